"""What one connection may take: bytes before a request, bytes of a body, time; and how many one address may hold.

`Limits` are those of one process. Time goes by in `Limits.sweep`, which the server calls each second: a timer for each
request would cost more than to read the request.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from haru.collect.address import grouped, is_trusted, parsed
from haru.collect.formats import FORMATS
from haru.collect.formats.format import MAX_BODY_BYTES
from haru.http import Headers
from haru.settings import Settings

if TYPE_CHECKING:
    from haru.server.protocol import CollectProtocol

MAX_HEAD = 32 * 1024  # bytes of a request line and its headers, or of whatever else is neither head nor body

#: The most bytes of a body that is not a hit: of whoever sends a key or a session, and of anyone.
MAX_BODY_KNOWN, MAX_BODY = 1 << 20, 64 << 10
SESSION = b"haru_session="


def most_body(url: bytes, headers: Headers) -> int:
    """The most bytes that a request may bring as its body; `headers` have names in lower case."""
    if url.partition(b"?")[0] in FORMATS:
        return MAX_BODY_BYTES
    known = any(name == b"authorization" or (name == b"cookie" and SESSION in value) for name, value in headers)
    return MAX_BODY_KNOWN if known else MAX_BODY


class Limits:
    """The limits of this process, and who holds its connections."""

    def __init__(self, settings: Settings) -> None:
        self.header_seconds = settings.header_seconds
        self.idle_seconds = settings.idle_seconds
        self.now = time.monotonic()  # to the second: whoever reads it saves asking the clock
        self._most = settings.connections
        self._trusted = settings.trusted_proxies
        self._open: Counter[bytes] = Counter()  # address or /64 → connections

    def enter(self, peer: str) -> bytes | None:
        """Count a new connection: what it is counted under, b"" when it is not; None when there are too many."""
        address = parsed(peer)
        if not self._most or address is None or address.is_loopback or is_trusted(address, self._trusted):
            return b""
        place = grouped(peer)
        if self._open[place] >= self._most:
            return None
        self._open[place] += 1
        return place

    def leave(self, place: bytes | None) -> None:
        """The connection that `enter` counted has ended."""
        if place:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

    def sweep(self, connections: Iterable[CollectProtocol], now: float) -> None:
        """Close whatever has been waited for too long; `now` in seconds of `time.monotonic`. Called each second."""
        self.now = now
        for connection in list(connections):
            connection.look(now)
