from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from haru.collect.endpoint import Endpoint, Headers
from haru.collect.formats.format import MAX_BODY_BYTES, Answer, Format
from haru.collect.formats.haru import COUNTED
from haru.server.connections import Limits
from haru.server.protocol import CollectProtocol, protocol
from haru.settings import Settings

KEEP_ALIVE = 1  # seconds


class Collect:
    """Answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, Headers, bytes | None]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.was_asked = asyncio.Event()

    def take(
        self,
        format: Format,
        method: str,
        query: bytes,
        headers: Headers,
        peer: str,
        body: bytes | None,
        done: Callable[[Answer], None],
    ) -> None:
        self.asked.append((method, query, headers, body))
        self.was_asked.set()
        if self.open.is_set():
            done(COUNTED)
        else:
            waiting = asyncio.ensure_future(self.open.wait())
            waiting.add_done_callback(lambda _: done(COUNTED))


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(endpoint: Collect) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One connection to a server that has nothing but the protocol."""
    config = uvicorn.Config(_nothing, lifespan="off", log_config=None, timeout_keep_alive=KEEP_ALIVE)
    config.load()
    made = protocol(lambda: cast(Endpoint, endpoint), Limits(Settings()))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: made(config, ServerState(), {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


def request(path: str = "/api/collect", body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def status(reader: asyncio.StreamReader) -> int:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return int(head.split()[1])


async def test_a_connection_that_is_used_stays_open_and_one_that_is_not_is_closed() -> None:
    async with serving(Collect()) as (reader, writer):
        begun = time.monotonic()
        while time.monotonic() - begun < 2.5 * KEEP_ALIVE:
            writer.write(request())
            assert await status(reader) == 200
            await asyncio.sleep(KEEP_ALIVE / 4)
        last = time.monotonic()
        assert await asyncio.wait_for(reader.read(), 5 * KEEP_ALIVE) == b""
        # A quarter of it had gone by before `last`.
        assert KEEP_ALIVE * 0.5 < time.monotonic() - last < KEEP_ALIVE * 2


async def test_one_whose_answer_takes_long_is_not_cut_off() -> None:
    endpoint = Collect()
    async with serving(endpoint) as (reader, writer):
        writer.write(request())
        assert await status(reader) == 200
        endpoint.open.clear()
        writer.write(request())
        await asyncio.sleep(KEEP_ALIVE * 2)
        endpoint.open.set()
        assert await status(reader) == 200


async def test_a_page_after_an_event_keeps_the_connection_as_long_too() -> None:
    async with serving(Collect()) as (reader, writer):
        writer.write(request())
        assert await status(reader) == 200
        await asyncio.sleep(KEEP_ALIVE * 0.7)
        writer.write(request("/elsewhere"))
        assert await status(reader) == 404
        await asyncio.sleep(KEEP_ALIVE * 0.7)  # longer ago than the event may be, not than the page
        writer.write(request())
        assert await status(reader) == 200
        assert await asyncio.wait_for(reader.read(), 5 * KEEP_ALIVE) == b""


async def test_events_sent_ahead_are_answered_in_turn_and_behind_a_page_by_the_application() -> None:
    endpoint = Collect()
    async with serving(endpoint) as (reader, writer):
        writer.write(request(body=b"1") + request("/api/collect?t=a", b"22") + request("/elsewhere") + request())
        assert [await status(reader) for _ in range(4)] == [200, 200, 404, 404]
    assert [(query, body) for _, query, _, body in endpoint.asked] == [(b"", b"1"), (b"t=a", b"22")]


async def test_a_body_that_is_declared_too_large_is_not_waited_for() -> None:
    endpoint = Collect()
    async with serving(endpoint) as (reader, writer):
        writer.write(f"POST /api/collect HTTP/1.1\r\nCONTENT-LENGTH: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert await status(reader) == 200
    assert [body for *_, body in endpoint.asked] == [None]
    assert dict(endpoint.asked[0][2]) == {b"content-length": str(MAX_BODY_BYTES + 1).encode()}


async def test_who_asks_first_whether_to_send_is_told_to() -> None:
    endpoint = Collect()
    async with serving(endpoint) as (reader, writer):
        head, body = request("/api/collect", b"{}", "Expect: 100-Continue").split(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await status(reader) == 100
        writer.write(body)
        assert await status(reader) == 200
    assert [body for *_, body in endpoint.asked] == [b"{}"]


@pytest.mark.parametrize("answered", [True, False])
async def test_an_ended_connection_leaves_nothing_for_the_collector_of_cycles(answered: bool) -> None:
    endpoint = Collect()
    gc.collect()
    gc.disable()
    try:
        async with serving(endpoint) as (reader, writer):
            assert len(_protocols()) == 1
            if not answered:
                endpoint.open.clear()
            writer.write(request())
            if answered:
                assert await status(reader) == 200
            else:
                await asyncio.wait_for(endpoint.was_asked.wait(), 5)
            writer.close()
            await writer.wait_closed()
            for _ in range(100):
                await asyncio.sleep(0.01)
                endpoint.open.set()
                if not _protocols():
                    break
            assert _protocols() == []
    finally:
        gc.enable()


def _protocols() -> list[CollectProtocol]:
    return [found for found in gc.get_objects() if isinstance(found, CollectProtocol)]
