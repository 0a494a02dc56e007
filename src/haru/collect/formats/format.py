"""What a format is: where its trackers send to, which hits a request holds, what its trackers are answered."""

from __future__ import annotations

from typing import Protocol

import msgspec

from haru.collect.hit import Hit
from haru.collect.sites import Site
from haru.events.refusals import Refused

MAX_BODY_BYTES = 128 * 1024  # of a request in any format

_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-haru-dropped, retry-after"),
)
_PREFETCH_HEADERS = frozenset({b"sec-purpose", b"purpose", b"x-moz", b"x-purpose"})


class Answer(Exception):
    """An answer: raised wherever it becomes clear, sent in one place."""

    def __init__(self, status: int, *headers: tuple[bytes, bytes], body: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        # With 204 no length: there is no body to have one.
        length = ((b"content-length", str(len(body)).encode()),) if status != 204 else ()
        self.headers = (*_CORS, *headers, *length)


def fault(status: int, sentence: str, *headers: tuple[bytes, bytes]) -> Answer:
    """An answer that says what is wrong, in Haru's one JSON shape: `field: what to do`."""
    body = msgspec.json.encode({"error": sentence})
    return Answer(status, *headers, (b"content-type", b"application/json"), body=body)


class Request(msgspec.Struct, gc=False):
    """One request whose site is known and whose sender is within the limit; it never leaves memory either."""

    site: Site
    by_key: bool  # whether the token came in the Authorization header
    at: int  # milliseconds since 1970 in UTC
    address: str
    country_hint: str  # what a trusted CDN says
    query: bytes
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes  # at most `MAX_BODY_BYTES`

    def hit(self, url: str) -> Hit:
        """A pageview of this page with what the request itself tells; a format then sets what it knows better."""
        headers = self.headers
        return Hit(
            site=self.site,
            at=self.at,
            address=self.address,
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            url=url,
            language=headers.get(b"accept-language", b"").decode("latin-1"),
            country_hint=self.country_hint,
            prefetch=not headers.keys().isdisjoint(_PREFETCH_HEADERS) and _is_prefetch(headers),
            opted_out=headers.get(b"dnt") == b"1" or headers.get(b"sec-gpc") == b"1",
            by_key=self.by_key,
        )


class Format(Protocol):
    """The way in which one kind of tracker speaks. A module may be one, as `haru.collect.formats.haru` is."""

    path: bytes

    def read(self, request: Request) -> list[Hit]:
        """The hits in a request, in order. Raises `Refused` when it cannot be read."""

    def answer(self, outcomes: list[Refused | None]) -> Answer:
        """What the sender is told: for each hit None when it is on disk, else why it is not counted.

        A request that could not be read has one outcome. It must not raise: what counts is on disk by then.
        """


def _is_prefetch(headers: dict[bytes, bytes]) -> bool:
    return any(b"pre" in headers.get(name, b"").lower() for name in _PREFETCH_HEADERS)
