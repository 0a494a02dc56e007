"""HTTP as ASGI has it, and what Haru's own protocol adds: shared by every room that answers requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]  # names in lower case

NARROW_BYTES = 8 * 1024

CONNECTION = "haru.connection"  # extension of an ASGI scope: its `Connection`


class Connection:
    """What a long answer may ask of its connection beyond ASGI."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def narrow(self) -> None:
        """Keep little for one who doesn't read: `send` waits as soon as the system's small buffer is full."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW_BYTES)
        self._transport.set_write_buffer_limits(high=0)

    def abort(self) -> None:
        """Close at once; what was not read is dropped."""
        self._transport.abort()


def peer_of(scope: Scope) -> str:
    """The address at the other end of the connection; "" where there is none, as on a Unix socket."""
    return str(scope["client"][0]) if scope.get("client") else ""


async def read_body(receive: Receive, most: int | None = None) -> bytes | None:
    """The body of a request; None when it has more than `most` bytes. Raises `ConnectionError` when it was cut off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the sender left before the end of the body")
        body += message.get("body", b"")
        if most is not None and len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def disconnected(receive: Receive) -> None:
    """Return when the other side has gone. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(
    send: Send, status: int, body: bytes, content_type: bytes = b"", headers: Headers | None = None
) -> None:
    """Send a whole answer. A body has its length with it, unless `headers` say it."""
    lines = list(headers or [])
    if content_type:
        lines.append((b"content-type", content_type))
    if body and all(name != b"content-length" for name, _ in lines):
        lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
