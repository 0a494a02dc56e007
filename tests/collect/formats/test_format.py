"""A format is one file and one row of the table: here one that only the tests know, in a real server."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from haru.collect.formats.format import Answer, Request, fault
from haru.collect.hit import Hit
from haru.collect.sites import Site
from tests.server import FIREFOX, Server


def request(token: str, body: str) -> bytes:
    lines = [
        "POST /pages?t=" + token + " HTTP/1.1", "Host: x", f"User-Agent: {FIREFOX}", f"Content-Length: {len(body)}", "", body
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def answers(server: Server, *requests: bytes) -> list[tuple[int, list[str]]]:
    """Send requests on one connection, all at once; status and lines of each answer."""
    found = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"".join(requests))
        stream = connection.makefile("rb")
        for _ in requests:
            status = int(stream.readline().split()[1])
            headers = dict(iter(lambda: stream.readline().rstrip().lower().partition(b": ")[::2], (b"", b"")))
            assert headers[b"access-control-allow-origin"] == b"*"
            assert headers[b"content-type"] == b"text/plain"
            found.append((status, stream.read(int(headers[b"content-length"])).decode().split("\n")))
    return found


@pytest.mark.crash
def test_a_format_of_its_own_is_collected_by_a_server_that_has_it_in_the_table(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start(module="tests.collect.formats.pages")
        (answer,) = answers(server, request(token, "/a first\n/b second\n/c first"))
        assert answer == (202, ["counted", "counted", "duplicate"])
        # The second of two requests that are sent at once goes the ASGI way.
        found = answers(server, request(token, "/d"), request(token, "/e\n/f second"))
        assert found == [(202, ["counted"]), (202, ["counted", "duplicate"])]
        assert answers(server, request(token, "/g\nnothing")) == [(202, ["nothing is no page"])]
        large = "/" + "x" * 100_000  # more than a page may bring without a key
        assert answers(server, request(token, large)) == [(202, ["p: the path is longer than 2,000 bytes"])]
        server.call("load")
        assert server.stop() == 0
    with closing(duckdb.connect(str(server.data_dir / "events.duckdb"), read_only=True)) as store:
        pages = [page for (page,) in store.execute("SELECT path FROM event ORDER BY path").fetchall()]
    assert pages == ["/a", "/b", "/d", "/e"]


SITE = Site(id=1, domain="example.com", token="t")


def hit(**headers: str) -> Hit:
    """The hit of a request with these headers."""
    lines = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request(SITE, True, 7, "203.0.113.9", "SE", b"", lines, b"").hit("/a")


def test_a_hit_begins_with_what_the_request_itself_tells() -> None:
    found = hit(user_agent=FIREFOX, accept_language="de-AT,de", cookie="a=b")
    assert found == Hit(
        site=SITE,
        at=7,
        address="203.0.113.9",
        user_agent=FIREFOX,
        url="/a",
        language="de-AT,de",
        country_hint="SE",
        by_key=True,
    )


@pytest.mark.parametrize(
    ("headers", "prefetch", "opted_out"),
    [
        ({}, False, False),
        ({"sec_purpose": "prefetch;prerender"}, True, False),
        ({"purpose": "Preview"}, True, False),
        ({"x_purpose": "other"}, False, False),
        ({"dnt": "1"}, False, True),
        ({"sec_gpc": "1", "x_moz": "prefetch"}, True, True),
        ({"dnt": "0", "sec_gpc": "true"}, False, False),
    ],
)
def test_a_browser_says_that_it_only_fetches_ahead_or_wants_no_tracking(headers, prefetch, opted_out) -> None:
    found = hit(**headers)
    assert (found.prefetch, found.opted_out) == (prefetch, opted_out)


def test_an_answer_lets_any_page_read_it_and_has_the_length_of_its_body() -> None:
    headers = dict(Answer(202, (b"x-a", b"b"), body=b"ok").headers)
    assert headers[b"access-control-allow-origin"] == b"*"
    assert (headers[b"x-a"], headers[b"content-length"]) == (b"b", b"2")
    assert b"content-length" not in dict(Answer(204).headers)
    found = fault(400, "p: is required")
    assert (found.status, found.body) == (400, b'{"error":"p: is required"}')
    assert dict(found.headers)[b"content-type"] == b"application/json"
