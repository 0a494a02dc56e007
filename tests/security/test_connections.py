"""Whoever sends heads without end, half requests, bodies without end or nothing at all, against real servers."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.live.test_idle import signed_in, watch
from tests.server import Server

pytestmark = pytest.mark.crash

LIMITS = {"HARU_HEADER_SECONDS": "1", "HARU_IDLE_SECONDS": "3", "HARU_CONNECTIONS": "8", "HARU_HOST": "0.0.0.0"}
ROUTES = ["/account/login/", "/api/v2/query", "/api/v1/sites", "/health", "/js/haru.js", "/static/build/app.css", "/no"]
FLOOD = 40 << 20  # bytes
KEPT = 100_000_000  # bytes of memory that a flood may leave behind; a server without limits keeps all that is sent


@pytest.fixture(scope="module", params=[0, 1], ids=["one process", "a collect process"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; the last of them stops it."""
    folder = tmp_path_factory.mktemp("connections")
    with Server(folder / "data", forks=False, HARU_WORKERS=str(request.param), **LIMITS) as found:
        found.add_site()
        yield found.start()


def connected(server: Server, sent: bytes = b"", address: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection((address, server.port), timeout=60)
    sock.sendall(sent)
    return sock


def head(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def status(sock: socket.socket) -> int:
    """Of the next answer; 0 when the connection ends without one."""
    answer = b""
    with suppress(ConnectionError):
        while b"\r\n\r\n" not in answer and (part := sock.recv(65536)):
            answer += part
    return int(answer.split()[1]) if answer else 0


def ended(sock: socket.socket) -> bool:
    """Whether the server closes the connection, in the time that the socket has."""
    with suppress(ConnectionError):
        while sock.recv(65536):
            pass
    return True


def flood(sock: socket.socket, piece: bytes, most: int = FLOOD) -> None:
    """Send a piece again and again until the server has had enough."""
    with suppress(OSError):
        for _ in range(most // len(piece)):
            sock.sendall(piece)


def deaf(server: Server) -> socket.socket:
    """Has begun to read an answer of many, and goes on no more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(b"GET /static/build/app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
    assert sock.recv(15) == b"HTTP/1.1 200 OK"
    return sock


def stopped(server: Server) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    assert server.stop() == 0
    return time.monotonic() - began


def resident(server: Server) -> int:
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    return sum(each.memory_info().rss for each in [process, *process.children()])


def test_heads_without_end_are_refused_and_leave_no_memory_behind(server: Server) -> None:
    before = resident(server)
    line, many = b"x" * 100_000, b"A: b\r\n" * 20_000
    with ExitStack() as open_until_here:
        socks = [open_until_here.enter_context(closing(connected(server, b"GET / HTTP/1.1\r\nX: "))) for _ in range(8)]
        senders = [
            threading.Thread(target=flood, args=(sock, line if number % 2 else b"\r\n" + many))
            for number, sock in enumerate(socks)
        ]
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            assert httpx.get(f"{server.url}/health", timeout=30).status_code == 200
        assert {status(sock) for sock in socks} <= {431, 0}
    with closing(connected(server, b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)) as sock:
        assert status(sock) == 431
    assert resident(server) - before < KEPT


@pytest.mark.parametrize("path", ROUTES)
def test_bodies_of_anyone_are_refused_before_they_are_read(server: Server, path: str) -> None:
    with closing(connected(server, head(path, "Content-Length: 200000000"))) as sock:
        assert status(sock) == 413
    with closing(connected(server, head(path, "Transfer-Encoding: chunked"))) as sock:
        flood(sock, b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        # The tracker and the health pages do not wait for a body before they answer.
        assert status(sock) in {413, 0} or path in {"/health", "/js/haru.js"}
        assert ended(sock)


def test_an_event_without_end_gets_413(server: Server) -> None:
    with closing(
        connected(server, head(f"/api/collect?t={server.token('example.com')}", "Transfer-Encoding: chunked"))
    ) as sock:
        flood(sock, b"2710\r\n" + b"x" * 10_000 + b"\r\n", 400_000)
        assert status(sock) == 413
        assert ended(sock)


def test_half_and_silent_connections_are_closed_and_a_live_stream_is_not(server: Server) -> None:
    with closing(watch(server, signed_in(server))) as live, ExitStack() as open_until_here:
        live.settimeout(30)
        assert live.recv(15) == b"HTTP/1.1 200 OK"
        half_head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX:"
        half_body = [head(path, "Content-Length: 9") + b"half" for path in ("/account/login/", "/api/collect")]
        for expected, sent in [(408, half_head), *((408, half) for half in half_body), (0, b""), (0, b"\r\n")]:
            sock = open_until_here.enter_context(closing(connected(server, sent)))
            assert status(sock) == expected
        # They were all looked at one after the other: by now the stream was silent for far longer than they may be.
        assert httpx.get(f"{server.url}/health").status_code == 200
        live.setblocking(False)
        with suppress(BlockingIOError):
            while part := live.recv(65536):
                assert b"0\r\n\r\n" not in part
            raise AssertionError("the live stream was cut")


def test_one_address_may_hold_so_many_connections_and_this_machine_any_number(server: Server) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.9", 9))  # sends nothing: the system chooses which of its addresses it would use
        except OSError:
            pytest.skip("this machine has no address but the loopback one")
        address = probe.getsockname()[0]
    with ExitStack() as open_until_here:
        own = [open_until_here.enter_context(closing(connected(server))) for _ in range(20)]
        far = [open_until_here.enter_context(closing(connected(server, b"", address))) for _ in range(9)]
        assert status(far[8]) == 429
        own[19].sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert status(own[19]) == 200


def test_a_stop_waits_neither_for_half_requests_nor_for_those_who_do_not_read(server: Server) -> None:
    cookie = signed_in(server)
    before = len(server.log.read_text())
    with ExitStack() as open_until_here:
        half = [
            open_until_here.enter_context(closing(connected(server, head(path, "Content-Length: 9") + b"half")))
            for path in ("/account/login/", "/api/v2/query", "/api/collect")
        ]
        open_until_here.enter_context(closing(connected(server, b"GET / HTTP/1.1\r\n")))
        live = open_until_here.enter_context(closing(watch(server, cookie)))
        assert live.recv(15) == b"HTTP/1.1 200 OK"
        open_until_here.enter_context(closing(deaf(server)))

        busy = stopped(server)
        assert [status(sock) for sock in half] == [503, 503, 503]
    (line,) = server.log.read_text()[before:].splitlines()
    assert json.loads(line)["event"] == "stopped"
    # A machine that is slow in all it does may be so here; the ten seconds of answers that someone waits for it may not.
    assert busy < 3 + 2 * stopped(server.start())


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    with Server(tmp_path / "data", forks=False) as server:
        server.add_site()
        server.start()
        assert server.process is not None
        with closing(deaf(server)) as slow:  # whoever reads an answer, however slowly, holds up a stop
            server.process.send_signal(signal.SIGINT)
            with suppress(ConnectionError):
                while True:  # until the server listens no more: it is about to stop
                    slow.recv(100)
                    connected(server).close()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 128 + signal.SIGINT
        assert server.log.read_text().splitlines()[-1] == "Ended at once. Every event that was answered is on disk."
