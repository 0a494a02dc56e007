"""uvicorn's HTTP protocol with a short way to the collect endpoint.

An ASGI call costs a task, a cycle and a dozen messages for each request; here the parsed request goes to the endpoint
as it is and the answer is written to the connection after the commit. All else (pages, pipelined requests, websockets)
takes uvicorn's own way.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from haru.collect.endpoint import Endpoint
from haru.collect.formats import FORMATS
from haru.collect.formats.format import MAX_BODY_BYTES, Answer, Format
from haru.collect.formats.haru import COUNTED
from haru.http import CONNECTION, Connection, Headers
from haru.server.connections import MAX_HEAD, Limits, most_body

LINGER_SECONDS = 1.0  # how long the rest of a body that is not wanted is taken in before the connection is closed
STOP_SECONDS = 0.5  # how long the rest of a body is waited for when the server is asked to stop
UNREAD_SECONDS = 1.0  # an answer of which nothing is taken for so long holds up a stop no more

_CLOSE = (b"connection", b"close")


class _NoEvent:
    """What uvicorn wakes a waiting application by; nobody waits here."""

    def set(self) -> None:
        """Nothing to wake."""


_NO_EVENT = _NoEvent()


class _Refused(Exception):
    """Raised to the parser, which then lets go of what it has."""


class Exchange:
    """One request to the collect endpoint and its answer, in the place of uvicorn's request-response cycle."""

    __slots__ = (
        "_protocol",
        "body",
        "disconnected",
        "format",
        "keep_alive",
        "method",
        "more_body",
        "query",
        "response_complete",
        "taken",
    )

    message_event = _NO_EVENT
    response_started = False  # an answer is written as a whole

    def __init__(self, protocol: CollectProtocol, format: Format, query: bytes, method: str, keep_alive: bool) -> None:
        self._protocol = protocol
        self.format = format
        self.query = query
        self.method = method
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.taken = False  # handed to the endpoint: what still comes of the body is of no use

    def answer(self, answer: Answer) -> None:
        """Write the answer, if there is still someone to read it."""
        protocol = self._protocol
        self.response_complete = True
        transport = protocol.transport
        if self.disconnected or transport.is_closing():
            return
        if self.more_body or _CLOSE in answer.headers:
            self.keep_alive = False
        if answer is COUNTED and self.keep_alive:
            transport.write(protocol.counted())
        else:
            written = encoded(answer, protocol.server_state.default_headers, self.keep_alive)
            transport.write(written.removesuffix(answer.body) if self.method == "HEAD" else written)
            if not self.keep_alive:
                if self.more_body:
                    # Closing while the sender still sends would take the answer away from under its hands.
                    protocol.loop.call_later(LINGER_SECONDS, transport.close)
                else:
                    transport.close()
        protocol.on_response_complete()


def encoded(answer: Answer, default_headers: Headers, keep_alive: bool) -> bytes:
    """The bytes of an answer."""
    closing = () if keep_alive or _CLOSE in answer.headers else (_CLOSE,)
    return _encoded(answer.status, (*default_headers, *answer.headers, *closing), answer.body)


def _encoded(status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> bytes:
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join((STATUS_LINE[status], *lines, b"\r\n", body))


class CollectProtocol(HttpToolsProtocol):
    """One connection."""

    _counted: tuple[Headers, bytes] = ([], b"")  # of all connections: the default headers hold the time, to the second

    def __init__(
        self,
        endpoint: Callable[[], Endpoint | None],
        limits: Limits,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self._endpoint = endpoint
        self._limits = limits
        self._place: bytes | None = b""  # what the connection is counted under
        self._refused = False  # what still comes is dropped
        self._heard = limits.now  # when something was last got on with: a head, a part of a body, an answer
        self._head_since: float | None = None  # the first byte of a request came then, and its headers did not end yet
        self._stray = 0  # bytes since the last whole head or part of a body
        self._room = 0  # bytes that the body may still have
        self._left = -1  # bytes of an answer that were not taken when the last sweep looked
        self._current: RequestResponseCycle | None = None  # what the application answers; `cycle` is what came last
        self._idle_since: float | None = None  # an exchange ended then, and nothing came since
        self._idle_timer: asyncio.TimerHandle | None = None

    def counted(self) -> bytes:
        """The bytes of the commonest answer."""
        default_headers = self.server_state.default_headers
        if CollectProtocol._counted[0] is not default_headers:
            CollectProtocol._counted = (default_headers, encoded(COUNTED, default_headers, True))
        return CollectProtocol._counted[1]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See uvicorn."""
        super().connection_made(transport)
        if self.client is None and not is_local(self.server):
            # It was reset before anyone could ask the system whose it is; what it sent would count as nobody's.
            self._refused = True
            transport.abort()
            return
        self._place = self._limits.enter(self.client[0] if self.client else "")
        if self._place is None:
            self._refuse(429, "Your address holds too many connections: close some, or ask for HARU_CONNECTIONS.")

    def data_received(self, data: bytes) -> None:
        """See uvicorn. Bytes that lead to nothing are bounded, wherever they stand: in a head, a chunk, a trailer."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._stray += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is answered as if it had not offered another protocol
        except httptools.HttpParserError:
            if not self._refused:
                self._refuse(400, "This cannot be read as HTTP.")
        if self._stray > MAX_HEAD and not self._refused:
            self._refuse_head(self.cycle if self._is_receiving() else None)

    def on_message_begin(self) -> None:
        """See uvicorn. What only an ASGI application needs is made when one is asked."""
        self._head_since = self._limits.now
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """See uvicorn. Names in lower case."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See uvicorn."""
        if self._stray > MAX_HEAD and _size(self.url, self.headers) > MAX_HEAD:
            self._refuse_head()
            raise _Refused
        self._stray = 0
        self._head_since = None
        self._heard = self._limits.now
        declared = 0
        for name, value in self.headers:
            if name == b"content-length":
                declared = int(value) if value.isdigit() else 0
            elif name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
        url = self.url
        path, _, query = url.partition(b"?")
        format = FORMATS.get(path)
        if format is not None and (self.cycle is None or self.cycle.response_complete):
            keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            exchange = Exchange(self, format, query, self.parser.get_method().decode("latin-1"), keep_alive)
            self.cycle = exchange  # type: ignore[assignment]  # it has what the rest of the protocol asks of a cycle
            if declared > MAX_BODY_BYTES:
                self._take(exchange, None)
            elif self.expect_100_continue:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self._room = most_body(url, self.headers)
        if declared > self._room:
            self._refuse_body(None)
        expect, headers = self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue, self.headers = url, expect, headers
        self.scope["headers"] = headers
        self.scope["extensions"] = {CONNECTION: Connection(self.transport)}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        self._stray = 0
        self._heard = self._limits.now
        exchange = self.cycle
        if not isinstance(exchange, Exchange):
            self._room -= len(body)
            if self._room < 0:
                self._refuse_body(exchange)
            super().on_body(body)
        elif not exchange.taken:
            exchange.body = exchange.body + body if exchange.body else body
            if len(exchange.body) > MAX_BODY_BYTES:
                self._take(exchange, None)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        exchange = self.cycle
        if not isinstance(exchange, Exchange):
            super().on_message_complete()
            return
        exchange.more_body = False
        if not exchange.taken:
            self._take(exchange, exchange.body)
        elif exchange.response_complete and not exchange.keep_alive:
            self.transport.close()

    def on_response_complete(self) -> None:
        """See uvicorn. One who asks and asks but doesn't read the answers is not read from either."""
        self._heard = self._limits.now
        if isinstance(self.cycle, Exchange) and not self.pipeline:
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            self._wait_for_next()
        else:
            super().on_response_complete()
        if self.flow.write_paused:
            self.flow.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        if self._current is not None:
            self._current.disconnected = True
            self._current.message_event.set()
            self._current = None
        super().connection_lost(exc)
        self._limits.leave(self._place)
        # Nothing may refer back to the protocol: as a cycle, each ended connection would stay in memory for minutes.
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if isinstance(self.cycle, Exchange):
            self.cycle = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """See uvicorn, which tells only the last of pipelined requests that the sender left."""
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None
        super()._unset_keepalive_if_required()

    def _wait_for_next(self) -> None:
        """Close the connection after uvicorn's time without a request.

        One timer looks when it is due how long it has been, as to start and to stop one for each request costs more
        than to read the request.
        """
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_for_idleness)

    def _look_for_idleness(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return  # a request is under way, its end waits again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_for_idleness)
        else:
            self.timeout_keep_alive_handler()

    def look(self, now: float) -> None:
        """Close the connection when what it waits for does not come. Called each second."""
        cycle, limits = self.cycle, self._limits
        if is_local(self.server):  # a collect process of our own looks after those who ask it
            return
        if left := self._untaken():
            self._look_whether_taken(left, now)
            return
        self._left = -1
        if self._refused:
            return
        if self._head_since is not None:
            if now - self._head_since > limits.header_seconds:
                self._refuse(408, f"The headers of a request must end within {limits.header_seconds} s.")
        elif cycle is not None and not cycle.response_complete and (not cycle.more_body or self.flow.read_paused):
            return  # the application is asked
        elif now - self._heard > limits.idle_seconds:
            if cycle is not None and not cycle.response_complete:
                self._refuse(408, f"The body stopped for {limits.idle_seconds} s.", cycle)
            self.transport.close()

    def shutdown(self) -> None:
        """See uvicorn. Bodies that are under way are waited for, but not for as long as answers that someone reads."""
        super().shutdown()
        if self._is_receiving():
            self.loop.call_later(STOP_SECONDS, self._stop_receiving)
        self._stop_unread(0)

    def resume_writing(self) -> None:
        """See uvicorn."""
        super().resume_writing()
        if not self.pipeline:
            self.flow.resume_reading()

    def _refuse_head(self, cycle: RequestResponseCycle | None = None) -> None:
        self._refuse(431, f"The request line and headers are larger than {MAX_HEAD // 1024} KiB.", cycle)

    def _refuse_body(self, cycle: RequestResponseCycle | None) -> None:
        self._refuse(413, f"The body is larger than {most_body(self.url, self.headers) // 1024} KiB.", cycle)
        raise _Refused

    def _refuse(self, status: int, sentence: str, cycle: RequestResponseCycle | None = None) -> None:
        """Answer in the place of the application, and close when the sender had a moment to read it.

        `cycle` is the request when the application was asked already: it hears that the sender left.
        """
        self._refused = True
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
        before = self.cycle is not cycle and self.cycle is not None and not self.cycle.response_complete
        if not (before or self.pipeline or (cycle is not None and (cycle.response_started or cycle.response_complete))):
            self.transport.write(_refusal(status, sentence, self.url, self.server_state.default_headers))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def _is_receiving(self) -> bool:
        """Whether a body is under way, and nothing but it."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not (cycle.response_complete or cycle.response_started)

    def _stop_receiving(self) -> None:
        if self._is_receiving() and not self._refused and not self.transport.is_closing():
            self._refuse(503, "The server stops: send this again in a moment.", self.cycle)
            self.transport.close()

    def _stop_unread(self, before: int) -> None:
        """Look until the connection ends; drop it when as many bytes wait for the reader as the look before saw."""
        if self not in self.connections:
            return
        left = self._untaken()
        if left and left == before:
            self.transport.abort()
        else:
            self.loop.call_later(UNREAD_SECONDS, self._stop_unread, left)

    def _untaken(self) -> int:
        """Bytes of answers that the other side did not take; 0 when the system has all of them to send."""
        waiting = self.transport.get_write_buffer_size()
        return waiting + _unsent(self.transport) if waiting else 0

    def _look_whether_taken(self, left: int, now: float) -> None:
        """Drop a connection whose answer nobody reads; one who reads slowly takes some in the time of many looks."""
        if left != self._left:
            self._left, self._heard = left, now
        elif now - self._heard > self._limits.idle_seconds:
            self.transport.abort()

    def _take(self, exchange: Exchange, body: bytes | None) -> None:
        exchange.taken = True
        exchange.body = b""
        endpoint = self._endpoint()
        if endpoint is None:  # the server is about to start or has ended
            self.transport.close()
            return
        peer = self.client[0] if self.client else ""
        endpoint.take(exchange.format, exchange.method, exchange.query, self.headers, peer, body, exchange.answer)


def protocol(endpoint: Callable[[], Endpoint | None], limits: Limits) -> Callable[..., CollectProtocol]:
    """What uvicorn calls to make the protocol of a connection; `endpoint` gives the one that takes a request."""
    return partial(CollectProtocol, endpoint, limits)


def is_local(server: tuple[str, int | None] | None) -> bool:
    """Whether a connection came in on a Unix socket; `server` is as in its ASGI scope: there a path without a port."""
    return server is not None and server[1] is None


def _size(url: bytes, headers: Headers) -> int:
    """Bytes of a head, near enough: what parts its pieces is taken to be four bytes for each."""
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _refusal(status: int, sentence: str, url: bytes, default_headers: Headers) -> bytes:
    """The bytes of an answer that no application gave; programs get JSON."""
    body, kind = f"{sentence}\n".encode(), b"text/plain; charset=utf-8"
    if url.startswith(b"/api/"):
        body, kind = msgspec.json.encode({"error": sentence}), b"application/json"
    length = str(len(body)).encode()
    return _encoded(status, (*default_headers, (b"content-type", kind), (b"content-length", length), _CLOSE), body)


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the system took and the other side did not, where the system tells."""
    with contextlib.suppress(OSError, AttributeError):
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(answer, sys.byteorder)
    return 0
