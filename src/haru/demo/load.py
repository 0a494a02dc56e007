"""A load generator quick enough to keep one core of a server busy from the other: uvloop, bare sockets, one process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop


@dataclass
class Outcome:
    """What came of a run: seconds it took, seconds each answer took, answers by status."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request under way at a time."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.transport: asyncio.Transport | None = None
        self.begun = 0.0
        self.answered: asyncio.Future[None] | None = None
        self.waiting = b""
        self.next: bytes | None = None
        self.until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's own kind of transport

    def send(self, request: bytes, begun: float | None = None) -> None:
        assert self.transport is not None
        self.begun = begun if begun is not None else time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        end = self.waiting.find(b"\r\n\r\n")
        # The answers of interest have no body; one with a body ends the run with a sentence.
        if end < 0:
            return
        now = time.perf_counter()
        self.outcome.statuses[int(self.waiting[9:12])] += 1
        self.outcome.latencies.append(now - self.begun)
        self.waiting = b""
        if self.next is not None and now < self.until:
            self.send(self.next)
        elif self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("the server closed the connection"))


def request(url: str, token: str, body: bytes, user_agent: str) -> bytes:
    """The bytes of one POST."""
    parts = urlsplit(url)
    return (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"User-Agent: {user_agent}\r\nAccept-Language: de-DE,de;q=0.9\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _connect(url: str, count: int, outcome: Outcome) -> list[Connection]:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    pairs = [await loop.create_connection(lambda: Connection(outcome), host, port) for _ in range(count)]
    return [protocol for _, protocol in pairs]


async def _closed(url: str, requests: list[bytes], seconds: float) -> Outcome:
    outcome = Outcome()
    connections = await _connect(url, len(requests), outcome)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    for connection, each in zip(connections, requests, strict=True):
        connection.answered = loop.create_future()
        connection.next, connection.until = each, begun + seconds
        connection.send(each)
    await asyncio.gather(*(connection.answered for connection in connections if connection.answered))
    outcome.seconds = time.perf_counter() - begun
    return outcome


async def _open(url: str, requests: list[bytes], seconds: float, rate: float) -> Outcome:
    outcome = Outcome()
    idle = asyncio.Queue[Connection]()
    for connection in await _connect(url, len(requests), outcome):
        idle.put_nowait(connection)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int, due: float) -> None:
        connection = await idle.get()
        connection.answered = loop.create_future()
        # From the moment it was due: a server that stalls is charged for those who queue behind the stall.
        connection.send(requests[number % len(requests)], due)
        await connection.answered
        idle.put_nowait(connection)

    for number in range(int(seconds * rate)):
        due = begun + number / rate
        if (wait := due - time.perf_counter()) > 0.0005:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(number, due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    outcome.seconds = time.perf_counter() - begun
    return outcome


def closed(url: str, requests: list[bytes], seconds: float) -> Outcome:
    """As many connections as requests, each sending its own again as soon as it is answered."""
    return uvloop.run(_closed(url, requests, seconds))


def at_rate(url: str, requests: list[bytes], seconds: float, rate: float) -> Outcome:
    """So many requests a second, whether or not the answers keep up."""
    return uvloop.run(_open(url, requests, seconds, rate))
