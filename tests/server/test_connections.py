from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.server import ServerState

from haru.collect.endpoint import Endpoint
from haru.collect.formats.format import MAX_BODY_BYTES, Format
from haru.collect.formats.haru import COUNTED
from haru.server.connections import MAX_HEAD, Limits, most_body
from haru.server.protocol import CollectProtocol, protocol
from haru.settings import Settings, read

DEFAULTS = Settings()
SESSION = (b"cookie", b"haru_csrf=a; haru_session=b")
LARGE = b"x" * 3_000_000


@dataclass
class Application:
    """Reads the whole body of a request, then answers with as many bytes as it is told to."""

    length: int = 2
    asked: list[str] = field(default_factory=list)
    left: int = 0  # requests whose sender left in the midst of the body

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            if not message["more_body"]:
                break
        length = str(self.length).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": b"x" * self.length})


class Collect:
    """Counts whatever it is asked."""

    def __init__(self) -> None:
        self.bodies: list[bytes | None] = []

    def take(
        self, format: Format, method: str, query: bytes, headers: Any, peer: str, body: bytes | None, done: Any
    ) -> None:
        self.bodies.append(body)
        done(COUNTED)


@dataclass
class Serving:
    limits: Limits
    state: ServerState
    port: int
    application: Application
    endpoint: Collect

    async def ask(self, *parts: bytes) -> tuple[int, bytes]:
        """Send the parts, one after the other, on a connection of their own; status and body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            return await answered(reader)
        finally:
            writer.close()

    async def connected(self, sent: bytes = b"") -> asyncio.StreamReader:
        """A new connection that has sent so much."""
        before = len(self.state.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(sent)
        await until(lambda: len(self.state.connections) > before)
        await asyncio.sleep(0.1)  # what was sent is there
        return reader

    def sweep(self, seconds: float) -> None:
        """So many seconds went by."""
        self.limits.sweep(cast(set[CollectProtocol], self.state.connections), self.limits.now + seconds)

    _writers: list[asyncio.StreamWriter] = field(default_factory=list)


async def until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  # what it waits for is uvicorn's, which tells nobody
            await asyncio.sleep(0.01)


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))


async def ended(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(30):
        return await reader.read() == b""


@asynccontextmanager
async def serving(settings: Settings = DEFAULTS, length: int = 2) -> AsyncIterator[Serving]:
    """A server that has nothing but the protocol."""
    application, endpoint, state, limits = Application(length), Collect(), ServerState(), Limits(settings)
    config = uvicorn.Config(application, lifespan="off", log_config=None)
    config.load()
    made = protocol(lambda: cast(Endpoint, endpoint), limits)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: made(config, state, {}), "127.0.0.1", 0)
    found = Serving(limits, state, server.sockets[0].getsockname()[1], application, endpoint)
    try:
        yield found
    finally:
        for writer in found._writers:
            writer.close()
        for connection in list(state.connections):
            connection.transport.abort()
        server.close()


def head(path: str = "/account/login/", *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


# Bytes of a head


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: " + LARGE,
        b"GET /" + LARGE,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500_000,
        b"\r\n" * 1_500_000,
        head("/", "X: " + "x" * MAX_HEAD),
        head("/?" + "x" * MAX_HEAD),
        head("/api/collect", "X: " + "x" * MAX_HEAD, "Content-Length: 2") + b"{}",
        head("/", "Transfer-Encoding: chunked") + b"2;" + LARGE,
        head("/", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\nTrailer: " + LARGE,
        head("/", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n" + b"A: b\r\n" * 500_000,
        head("/api/collect", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\nTrailer: " + LARGE,
    ],
    ids=lambda sent: repr(sent[:60]),
)
async def test_a_head_that_is_too_large_gets_431_and_so_does_what_is_neither_head_nor_body(sent: bytes) -> None:
    async with serving() as found:
        pieces = [sent[at : at + 60_000] for at in range(0, len(sent), 60_000)]
        status, body = await found.ask(*pieces)
        assert status == 431
        assert b"32 KiB" in body
        assert found.endpoint.bodies == []


async def test_a_head_of_nearly_the_most_is_read_in_one_piece_or_in_many() -> None:
    sent = head("/", "X: " + "x" * (MAX_HEAD - 100), "Content-Length: 50000") + b"x" * 50_000
    async with serving() as found:
        assert (await found.ask(sent))[0] == 200
        assert (await found.ask(*(sent[at : at + 1000] for at in range(0, len(sent), 1000))))[0] == 200


async def test_many_requests_on_one_connection_are_no_large_head() -> None:
    async with serving() as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        for path in ("/", "/api/collect"):
            writer.write(head(path, "X: " + "x" * 1000, "Content-Length: 0") * 100)
            for _ in range(100):
                assert (await answered(reader))[0] == 200
        writer.close()


# Bytes of a body


def test_anyone_may_send_less_than_those_with_a_key_or_a_session() -> None:
    assert most_body(b"/account/login/", []) == most_body(b"/share/a", [(b"cookie", b"haru_csrf=a")]) == 64 << 10
    assert most_body(b"/sites/a/settings", [SESSION]) == most_body(b"/api/v2/query", [(b"authorization", b"")])
    assert most_body(b"/sites/a/settings", [SESSION]) == 1 << 20
    assert most_body(b"/api/collect?t=a", []) == MAX_BODY_BYTES
    assert most_body(b"http://example.com/", []) == 64 << 10


@pytest.mark.parametrize("path", ["/account/login/", "/api/v2/query", "/", "/health", "/js/haru.js"])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_gets_413_and_no_application_reads_it(path: str, declared: bool) -> None:
    async with serving() as found:
        if declared:
            status, body = await found.ask(head(path, "Content-Length: 200000000"))
            assert found.application.asked == []
        else:
            status, body = await found.ask(head(path, "Transfer-Encoding: chunked"), *[chunk(b"x" * 9000)] * 100)
            await until(lambda: found.application.left == 1)
        assert status == 413
        sentence = "The body is larger than 64 KiB."
        assert (
            body == json.dumps({"error": sentence}, separators=(",", ":")).encode() or body.decode() == f"{sentence}\n"
        )
        assert body.startswith(b"{") == path.startswith("/api/")
        await until(lambda: not found.state.connections)


async def test_a_body_of_a_session_may_be_larger() -> None:
    async with serving() as found:
        for path, header in [
            ("/sites/a/settings", "Cookie: haru_session=a"),
            ("/api/v2/query", "Authorization: Bearer a"),
        ]:
            assert (await found.ask(head(path, header, "Content-Length: 1048576"), b"x" * 1048576))[0] == 200
            assert (await found.ask(head(path, header, "Content-Length: 1048577")))[0] == 413


async def test_an_event_that_is_too_large_is_for_the_endpoint_to_refuse() -> None:
    async with serving() as found:
        await found.ask(head("/api/collect", "Transfer-Encoding: chunked"), *[chunk(b"x" * 9000)] * 100)
        assert found.endpoint.bodies == [None]


# Time


async def test_a_head_has_ten_seconds_to_come_to_its_end() -> None:
    async with serving() as found:
        half = await found.connected(b"GET / HTTP/1.1\r\nHost: x\r\nX:")
        found.sweep(9)
        assert len(found.state.connections) == 1
        found.sweep(2)
        assert await answered(half) == (408, b"The headers of a request must end within 10 s.\n")
        assert await ended(half)


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n\r\n", head("/", "Content-Length: 9") + b"half", head("/api/collect", "Content-Length: 9") + b"half"],
)
async def test_a_connection_that_is_silent_for_sixty_seconds_is_closed(sent: bytes) -> None:
    async with serving() as found:
        silent = await found.connected(sent)
        found.sweep(59)
        assert len(found.state.connections) == 1
        found.sweep(2)
        if b"half" in sent:
            status, body = await answered(silent)
            assert status == 408
            assert b"The body stopped for 60 s." in body
        assert await ended(silent)
        await until(lambda: not found.state.connections)
        assert found.endpoint.bodies == []


async def test_one_who_does_not_read_an_answer_is_closed_and_a_slow_reader_is_not() -> None:
    async with serving(length=20_000_000) as found:
        deaf = await found.connected(head(method="GET"))
        await until(lambda: all(each.flow.write_paused for each in found.state.connections))
        for _ in range(5):  # takes a little between two looks
            found.sweep(40)
            await asyncio.sleep(0.1)
            assert await deaf.readexactly(1_000_000)
            await asyncio.sleep(0.1)
        assert len(found.state.connections) == 1
        found.sweep(1)
        found.sweep(59)
        assert len(found.state.connections) == 1
        found.sweep(2)
        await until(lambda: not found.state.connections)


async def test_a_stop_waits_for_a_slow_reader_and_not_for_one_who_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("haru.server.protocol.UNREAD_SECONDS", 0.5)
    async with serving(length=20_000_000) as found:
        deaf, slow = [await found.connected(head(method="GET")) for _ in range(2)]
        await until(lambda: all(each.flow.write_paused for each in found.state.connections))
        for connection in list(found.state.connections):
            connection.shutdown()
        body = bytearray()
        while part := await slow.read(500_000):
            body += part
            await asyncio.sleep(0.02)
        assert len(body.partition(b"\r\n\r\n")[2]) == 20_000_000
        await until(lambda: not found.state.connections)
        assert len(await deaf.read()) < 20_000_000


# Whose a connection is

UNKNOWN = head("/a", "X-Haru-Peer: 198.51.100.7", method="GET") + head("/api/collect", "Content-Length: 2") + b"{}"


async def test_a_connection_that_was_reset_before_anyone_asked_whose_it_is_is_dropped() -> None:
    async with serving() as found:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", found.port)) as sock:  # blocks: the server has not looked yet
                sock.sendall(UNKNOWN)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert (await found.ask(head("/b", method="GET")))[0] == 200  # it was accepted after the others
        await until(lambda: not found.state.connections)
        found.sweep(1)
        assert found.application.asked == ["/b"]
        assert found.endpoint.bodies == []


# Connections of one address


def test_one_address_may_hold_so_many_connections_and_leaves_room_when_it_ends_one() -> None:
    limits = Limits(DEFAULTS)
    for address in ("203.0.113.7", "2001:db8:1:1::1"):
        places = [limits.enter(address) for _ in range(256)]
        assert None not in places
        assert limits.enter(address) is None
        limits.leave(places[0])
        assert limits.enter(address) is not None
    assert limits.enter("203.0.113.8")
    assert limits.enter("::ffff:203.0.113.7") is None
    assert limits.enter("2001:db8:1:1:ffff::2") is None
    assert limits.enter("2001:db8:1:2::1")


def test_this_machine_and_trusted_proxies_may_hold_any_number() -> None:
    limits = Limits(read({"HARU_TRUSTED_PROXIES": "198.51.100.0/24, 2001:db8::/32", "HARU_CONNECTIONS": "1"}))
    for address in ("127.0.0.1", "127.1.2.3", "::1", "198.51.100.7", "2001:db8::7", "::ffff:198.51.100.7", ""):
        assert [limits.enter(address) for _ in range(3)] == [b"", b"", b""]
    assert limits.enter("192.0.2.1")
    assert limits.enter("192.0.2.1") is None
    unlimited = Limits(replace(DEFAULTS, connections=0))
    assert [unlimited.enter("192.0.2.1") for _ in range(1000)] == [b""] * 1000


async def test_a_connection_too_many_is_told_so_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools_impl, "get_remote_addr", lambda transport: ("203.0.113.7", 1))
    async with serving(replace(DEFAULTS, connections=2)) as found:
        first = await found.connected()
        await found.connected()
        third = await found.connected(head(method="GET"))
        status, body = await answered(third)
        assert status == 429
        assert b"HARU_CONNECTIONS" in body
        assert await ended(third)
        assert found.application.asked == []
        found._writers[0].close()
        await until(lambda: len(found.state.connections) == 1)
        assert (await found.ask(head(method="GET")))[0] == 200
        del first
