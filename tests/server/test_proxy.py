from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from haru.http import CONNECTION
from haru.server.proxy import FILE, Forward
from tests.server.nodes import Answer, ask, scope, until

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Pages:
    """The server's own process, as far as its socket goes: it notes what it is asked."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.asked: list[bytes] = []
        self.left = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
        self.asked.append(head + await reader.readexactly(int(length)))
        await self._answering(writer)
        await reader.read()
        self.left.set()
        writer.close()


@asynccontextmanager
async def pages(folder: Path, answering: Answering) -> AsyncIterator[tuple[Pages, Forward]]:
    found = Pages(answering)
    server = await asyncio.start_unix_server(found.answer, folder / FILE)
    forward = Forward(folder)
    yield found, forward
    await forward.close()
    server.close()


async def whole(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nX-Own: a\r\nX-Haru-Peer: b\r\nConnection: keep-alive\r\n\r\npage"
    )


async def broken_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe begin")
    writer.close()


async def stream(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: news\n\n")


async def nothing(writer: asyncio.StreamWriter) -> None:
    pass


class Connection:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.narrowed = self.aborted = False

    def narrow(self) -> None:
        self.narrowed = True

    def abort(self) -> None:
        self.aborted = True


async def test_a_request_is_handed_on_with_who_asked_and_its_answer_comes_back(tmp_path: Path) -> None:
    headers = {"Cookie": "a=b", "X-Haru-Peer": "127.0.0.1", "Connection": "close", "Content-Length": "4"}
    async with pages(tmp_path, whole) as (own, forward):
        more: dict[str, Any] = {"method": "PUT", "query_string": b"q=%20", "raw_path": b"/a%2Fb"}
        answer = await ask(forward, "/a/b", headers=headers, body=b"body", **more)
    assert (answer.status, answer.body) == (201, b"page")
    assert answer.headers[b"x-own"] == b"a"
    assert not answer.headers.keys() & {b"x-haru-peer", b"connection"}
    (asked,) = own.asked
    assert asked.startswith(b"PUT /a%2Fb?q=%20 HTTP/1.1\r\n")
    assert asked.endswith(b"\r\n\r\nbody")
    lines = asked.lower().split(b"\r\n")
    assert b"cookie: a=b" in lines
    assert [line for line in lines if line.startswith(b"x-haru-peer")] == [b"x-haru-peer: 203.0.113.9"]
    assert b"connection: close" not in lines


async def test_while_the_server_is_away_the_answer_says_so_and_to_come_again(tmp_path: Path) -> None:
    answer = await ask(Forward(tmp_path), "/sites")
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"5"
    assert b"events are being collected" in answer.body


async def test_an_answer_that_breaks_off_does_not_look_whole(tmp_path: Path) -> None:
    connection = Connection()
    async with pages(tmp_path, broken_off) as (_, forward):
        answer = await ask(forward, "/", extensions={CONNECTION: connection})
    assert connection.aborted
    assert answer.body == b"the begin"


async def test_when_whoever_asked_leaves_the_server_hears_of_it(tmp_path: Path) -> None:
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            await until(lambda: bool(own.asked))
        return messages.pop()

    async with pages(tmp_path, nothing) as (own, forward):
        await asyncio.wait_for(forward(scope("/"), receive, Answer().send), 60)
        await asyncio.wait_for(own.left.wait(), 60)


async def test_at_the_end_live_streams_are_ended_and_kept_small_before(tmp_path: Path) -> None:
    connection, other = Connection(), Connection()
    async with pages(tmp_path, stream) as (own, forward):
        watching = asyncio.create_task(ask(forward, "/sites/a/live", extensions={CONNECTION: connection}))
        await until(lambda: connection.narrowed)
        assert not connection.aborted
        forward.end_streams()
        assert connection.aborted
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.wait_for(own.left.wait(), 60)
    async with pages(tmp_path, whole) as (_, forward):
        await ask(forward, "/", extensions={CONNECTION: other})
        forward.end_streams()
    assert not other.narrowed
    assert not other.aborted
