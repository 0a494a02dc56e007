"""Hands requests from a worker to the server's own process, over a Unix socket that only this user may open."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from haru.http import (
    CONNECTION,
    Connection,
    Headers,
    Receive,
    Scope,
    Send,
    disconnected,
    peer_of,
    read_body,
    respond,
)

if TYPE_CHECKING:
    import httpx

FILE = "pages.sock"
PEER = b"x-haru-peer"  # who asked: believed on the Unix socket, taken off everywhere
LIVE_SECONDS = 10.0  # who has not taken a message of a live stream for so long is let go

# Between two hops of HTTP: not handed on (RFC 9110, section 7.6.1).
_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", PEER})


class Forward:
    """An ASGI application that asks the server's own process and streams its answer."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._client: httpx.AsyncClient | None = None
        self._streams: set[Connection] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        try:
            body = await read_body(receive) or b""
        except ConnectionError:
            return  # nobody is there to be answered
        gone = asyncio.create_task(disconnected(receive))
        answering = asyncio.create_task(self._answer(scope, body, send))
        try:
            await asyncio.wait({gone, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answering.done():
                answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering

    def end_streams(self) -> None:
        """End the live streams: the process stops, and whoever does not read would hold it up."""
        for connection in self._streams:
            connection.abort()

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        import httpx

        client = self._connected()
        headers: Headers = [(name, value) for name, value in scope["headers"] if name not in _HOP]
        headers.append((PEER, peer_of(scope).encode()))
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = httpx.Request(
            scope["method"], httpx.URL("http://haru", raw_path=target), headers=headers, content=body or None
        )
        try:
            response = await client.send(request, stream=True)
        except httpx.TransportError:
            sentence = b"The pages are unavailable just now; events are being collected. Please try again.\n"
            await respond(send, 503, sentence, b"text/plain; charset=utf-8", [(b"retry-after", b"5")])
            return
        connection = scope.get("extensions", {}).get(CONNECTION)
        live = response.headers.get("content-type", "").startswith("text/event-stream")
        if live and connection is not None:
            connection.narrow()
            self._streams.add(connection)
        try:
            lines = [(name.lower(), value) for name, value in response.headers.raw if name.lower() not in _HOP]
            await send({"type": "http.response.start", "status": response.status_code, "headers": lines})
            async for part in response.aiter_raw():
                # `send` waits while the asker does not read, and so nothing more is read from the server meanwhile.
                async with asyncio.timeout(LIVE_SECONDS if live else None):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, httpx.TransportError):
            # The asker does not read, or the server's part broke off: an answer that looked whole would be a lie.
            if connection is not None:
                connection.abort()
        finally:
            self._streams.discard(connection)
            await response.aclose()

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            # A page may take as long as it takes, a live stream for ever; their senders bound them.
            self._client = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(
                    uds=str(self._path), limits=httpx.Limits(max_connections=None, max_keepalive_connections=32)
                ),
                timeout=httpx.Timeout(None, connect=5.0),
                headers={},
            )
        return self._client
