from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

import haru
from haru import settings
from haru.server import serving
from haru.server.serving import PortUnavailable, Server, Tracker, listener
from tests.server.nodes import Answer, ask


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """The tracker of a build of its own, which a package without a front end would lack."""
    build = tmp_path / "web" / "static" / "build"
    build.mkdir(parents=True)
    for ending in ("", ".gz", ".br"):
        (build / f"haru.js{ending}").write_bytes(b"script" + ending.encode())
    monkeypatch.setattr(haru, "__file__", str(tmp_path / "__init__.py"))
    return Tracker()


async def asked(tracker: Tracker, method: str = "GET", **headers: str) -> Answer:
    return await ask(tracker, Tracker.PATH, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize(
    ("accepted", "body", "encoding"),
    [
        ("gzip, br", b"script.br", b"br"),
        ("gzip", b"script.gz", b"gzip"),
        ("br;q=0, gzip;q=0.5", b"script.gz", b"gzip"),
        ("BR; q=1.0", b"script.br", b"br"),
        ("", b"script", None),
        ("gzip;q=0, br;q=0.0", b"script", None),
    ],
)
async def test_the_tracker_comes_in_the_smallest_form_that_is_taken(
    tracker: Tracker, accepted: str, body: bytes, encoding: bytes | None
) -> None:
    answer = await asked(tracker, accept_encoding=accepted)
    assert (answer.status, answer.body, answer.headers.get(b"content-encoding")) == (200, body, encoding)
    assert answer.headers[b"content-length"] == str(len(body)).encode()
    assert answer.headers[b"vary"] == b"accept-encoding"
    assert answer.headers[b"access-control-allow-origin"] == b"*"


async def test_a_browser_that_has_the_tracker_gets_no_body_and_neither_does_head(tracker: Tracker) -> None:
    first = await asked(tracker)
    again = await asked(tracker, if_none_match=first.headers[b"etag"].decode())
    assert (again.status, again.body) == (304, b"")
    other_form = await asked(tracker, if_none_match=first.headers[b"etag"].decode(), accept_encoding="br")
    assert other_form.status == 200
    head = await asked(tracker, "HEAD")
    assert (head.status, head.body, head.headers[b"content-length"]) == (200, b"", b"6")


async def test_a_tracker_that_is_not_built_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haru, "__file__", str(tmp_path / "__init__.py"))
    answer = await asked(Tracker())
    assert answer.status == 503
    assert b"make build" in answer.body


def test_a_port_is_shared_only_by_those_who_say_so() -> None:
    with listener("127.0.0.1", 0) as one:
        one.listen()
        port = one.getsockname()[1]
        for shared in (False, True):
            with pytest.raises(PortUnavailable, match=f"Port {port} on 127.0.0.1 is unavailable .* --port"):
                listener("127.0.0.1", port, shared=shared)
    with listener("127.0.0.1", 0, shared=True) as one:
        port = one.getsockname()[1]
        listener("127.0.0.1", port, shared=True).close()
        one.listen()
        with pytest.raises(PortUnavailable):
            listener("127.0.0.1", port)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_a_host_with_colons_is_one_of_ipv6() -> None:
    with listener("::1", 0) as one:
        assert one.family == socket.AF_INET6


async def application(*_: Any) -> None:
    raise AssertionError("it is not asked")


def test_a_stop_lets_live_streams_go_at_once_and_a_second_ctrl_c_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    closed: list[bool] = []
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    own = settings.read({"HARU_DATA_DIR": str(tmp_path)})
    server = Server(application, lambda: None, lambda: closed.append(server.should_exit), own)
    server.handle_exit(signal.SIGINT, None)
    assert closed == [False]  # before anything is waited for
    assert server.should_exit
    assert ended == []
    server.handle_exit(signal.SIGTERM, None)
    assert ended == []
    server.handle_exit(signal.SIGINT, None)
    assert ended == [130]
    assert b"Every event that was answered is on disk" in capfdbinary.readouterr().err


def test_an_application_that_does_not_start_ends_the_process(tmp_path: Path) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    own = settings.read({"HARU_DATA_DIR": str(tmp_path)})
    try:
        with listener("127.0.0.1", 0) as sock, pytest.raises(SystemExit):
            serving.run(Server(fails, lambda: None, list, own), sock)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
