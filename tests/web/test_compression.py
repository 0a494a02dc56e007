"""Pages, answers of the API and built files come compressed to whoever takes that; streams and archives do not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from haru.server.serving import Tracker
from haru.web.project.middleware import Compression
from haru.web.templatetags.icons import BUILD

TAKES = {"accept-encoding": "gzip, deflate, br, zstd"}


@pytest.fixture
def opened(sign_in, owner, site):
    """Opens a page as the owner, with what the browser takes."""
    return lambda path, **headers: sign_in(owner).get(path, headers=headers)


@pytest.mark.parametrize(
    "path", ["/sites", "/sites/example.com/settings", "/api/docs", "/api/openapi.json", "/no/page"]
)
def test_a_page_comes_compressed_and_is_the_same(opened, path):
    plain, packed = opened(path), opened(path, **TAKES)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.content) < len(plain.content) * 0.6
    # Forms carry a key that is masked again each time: the length is the same.
    assert len(gzip.decompress(packed.content)) == len(plain.content)
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in opened(path, **{"accept-encoding": "identity"}).headers


def test_the_length_of_a_page_tells_nothing_of_its_secrets(opened):
    lengths = {len(opened("/sites/example.com/settings", **TAKES).content) for _ in range(12)}
    assert len(lengths) > 3  # random bytes are among them


def test_neither_streams_nor_what_is_compressed_already_are_compressed():
    kinds = [
        StreamingHttpResponse([b"x" * 10_000], content_type="text/csv"),
        HttpResponse(b"x" * 10_000, content_type="application/zip"),
        HttpResponse(b"x" * 10_000, content_type="font/woff2"),
    ]
    for answer in kinds:
        request = RequestFactory().get("/", headers=TAKES)
        assert "Content-Encoding" not in Compression(lambda _, answer=answer: answer)(request).headers


def test_the_built_files_lie_there_compressed(opened):
    for name in ("app.css", "app.js", "icons.svg"):
        plain = Path(BUILD, name).read_bytes()
        for encoding, takes in [("br", "gzip, deflate, br"), ("gzip", "gzip")]:
            answer = opened(f"/static/build/{name}?v=1", **{"accept-encoding": takes})
            assert answer.headers["Content-Encoding"] == encoding
            assert "Accept-Encoding" in answer.headers["Vary"]
            assert len(answer.content) < len(plain) / 2
            assert "immutable" in answer.headers["Cache-Control"]
        assert gzip.decompress(answer.content) == plain
        assert opened(f"/static/build/{name}").content == plain


async def asked(**headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """The tracker, for whoever asks with these headers."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await Tracker()({"method": "GET", "headers": listed}, None, send)  # type: ignore[arg-type]
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_the_tracker_comes_compressed_and_each_form_has_its_own_tag():
    _, _, plain = await asked()
    tags = set()
    for takes, encoding in [("gzip, deflate, br", b"br"), ("gzip", b"gzip"), ("br;q=0, identity", None)]:
        status, headers, body = await asked(accept_encoding=takes)
        assert status == 200
        assert headers.get(b"content-encoding") == encoding
        assert headers[b"vary"] == b"accept-encoding"
        assert int(headers[b"content-length"]) == len(body) <= len(plain)
        tags.add(headers[b"etag"])
        assert (await asked(accept_encoding=takes, if_none_match=headers[b"etag"].decode()))[0] == 304
        if encoding == b"gzip":
            assert gzip.decompress(body) == plain
    assert len(tags) == 3
