"""HTTP as ASGI has it, and what Haru's own protocol adds: shared by every room that answers requests."""

from __future__ import annotations

import asyncio
import socket

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
