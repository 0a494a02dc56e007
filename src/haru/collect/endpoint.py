"""The collect door as a raw ASGI application: read, authenticate the token, limit, hand over, answer.

The answer 200 is sent after the commit of the spool, never before.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from haru.collect import payload
from haru.collect.address import client_address, grouped
from haru.collect.mirror import Mirror, Site
from haru.collect.pipeline import Hit, Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.refusals import Refusal, Refused
from haru.events.spool import SpoolUnavailable, Writer
from haru.settings import Settings

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

INSTALLATION = 0  # the site id under which refusals that name no site are counted

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-haru-dropped, retry-after"),
]
_PREFLIGHT = [
    *_CORS,
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]
_OK = {"type": "http.response.start", "status": 200, "headers": [*_CORS, (b"content-length", b"0")]}
_EMPTY = {"type": "http.response.body", "body": b""}
_PREFETCH_HEADERS = frozenset({b"sec-purpose", b"purpose", b"x-moz", b"x-purpose"})


class Answer(Exception):
    """An answer other than 200 counted: raised wherever it becomes clear, sent in one place."""

    def __init__(self, status: int, error: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers


class Endpoint:
    """`POST /api/collect`."""

    def __init__(
        self,
        settings: Settings,
        mirror: Mirror,
        pipeline: Pipeline,
        limit: RateLimit,
        writer: Writer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trusted = settings.trusted_proxies
        self._country_header = settings.country_header.lower().encode() if settings.trusted_proxies else b""
        self._mirror = mirror
        self._pipeline = pipeline
        self._limit = limit
        self._writer = writer
        self._clock = clock
        self.accepted = 0
        self.refused: Counter[tuple[int, Refusal]] = Counter()  # (site id or INSTALLATION, reason) → requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Never raises for what the sender did."""
        try:
            await self._collect(scope, receive)
        except Answer as answer:
            await _send(send, answer)
            return
        await send(_OK)
        await send(_EMPTY)

    async def _collect(self, scope: Scope, receive: Receive) -> None:
        method = scope["method"]
        if method == "OPTIONS":
            raise Answer(204, headers=tuple(_PREFLIGHT))
        if method != "POST":
            raise Answer(405, "method: send a POST", ((b"allow", b"POST, OPTIONS"),))
        headers: dict[bytes, bytes] = dict(scope["headers"])
        now = self._clock()
        address = self._address(scope, headers)
        site, by_key = self._site(scope, headers, address, now)
        self._keep_to_limit(site.id, address, now, site.rate_limit)
        body = await self._body(site, receive, headers)
        try:
            read = payload.parse(body)
            event = self._pipeline.run(self._hit(site, by_key, read, headers, address, now))
        except payload.InvalidBody as error:
            self.refused[site.id, Refusal.INVALID] += 1
            raise Answer(400, str(error)) from None
        except Refused as refused:
            self.refused[site.id, refused.reason] += 1
            if refused.reason is Refusal.INVALID:
                raise Answer(400, refused.sentence) from None
            raise _dropped(refused.reason) from None
        try:
            written = await self._writer.put(event, read.id or "")
        except SpoolUnavailable:
            raise Answer(503, "server: the disk refuses; send the event again", ((b"retry-after", b"10"),)) from None
        if not written:
            self.refused[site.id, Refusal.DUPLICATE] += 1
            raise _dropped(Refusal.DUPLICATE)
        self.accepted += 1

    def _address(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._trusted:
            return client_address(peer, "", ())
        # Several headers of this name are one list; a dict keeps the last only.
        forwarded = ", ".join(v.decode("latin-1") for n, v in scope["headers"] if n == b"x-forwarded-for")
        return client_address(peer, forwarded, self._trusted)

    def _site(self, scope: Scope, headers: dict[bytes, bytes], address: str, now: float) -> tuple[Site, bool]:
        token, by_key = _token(scope, headers)
        site = self._mirror.by_token(token) if token else None
        if site is None:
            # By address alone, so that nobody can try out tokens quickly.
            self._keep_to_limit(INSTALLATION, address, now, None)
            self.refused[INSTALLATION, Refusal.UNKNOWN_SITE] += 1
            raise Answer(
                401,
                "token: no site has this token; copy it from the site's settings",
                ((b"www-authenticate", b"Bearer"), (b"x-haru-dropped", Refusal.UNKNOWN_SITE.encode())),
            )
        return site, by_key

    def _keep_to_limit(self, site_id: int, address: str, now: float, limit: int | None) -> None:
        wait = self._limit.hit(site_id, grouped(address), now, limit)
        if wait:
            self.refused[site_id, Refusal.RATE_LIMITED] += 1
            raise Answer(
                429,
                f"rate: too many requests from this address; wait {wait} s",
                ((b"retry-after", str(wait).encode()), (b"x-haru-dropped", Refusal.RATE_LIMITED.encode())),
            )

    async def _body(self, site: Site, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        length = headers.get(b"content-length", b"0")
        size = int(length) if length.isdigit() else 0
        body = b""
        more = size <= payload.MOST_BYTES
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Answer(400, "body: the connection ended before the body did")
            part: bytes = message.get("body", b"")
            body = body + part if body else part
            size = len(body)
            more = message.get("more_body", False) and size <= payload.MOST_BYTES
        if size > payload.MOST_BYTES:
            self.refused[site.id, Refusal.TOO_LARGE] += 1
            raise _too_large()
        return body

    def _hit(
        self,
        site: Site,
        by_key: bool,
        body: payload.Body,
        headers: dict[bytes, bytes],
        address: str,
        now: float,
    ) -> Hit:
        hostname = body.h or ""
        if not hostname and "://" not in body.p[:12]:
            hostname = _origin_host(headers.get(b"origin", b""))
        return Hit(
            site=site,
            at=int(now * 1000),
            address=address,
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            url=body.p,
            name=body.name,
            hostname=hostname,
            referrer=body.r[: payload.MOST_REFERRER] if body.r else "",
            screen_width=body.sw or 0,
            screen_height=body.sh or 0,
            props=payload.props(body),
            revenue_currency=body.revenue.currency.upper() if body.revenue else "",
            revenue_amount=payload.revenue_amount(body),
            engaged_ms=body.e or 0,
            scroll_depth=-1 if body.sd is None else body.sd,
            interactive=body.i is not False,
            timezone=body.tz if body.tz and len(body.tz) <= 64 else "",
            language=headers.get(b"accept-language", b"").decode("latin-1"),
            country_hint=headers.get(self._country_header, b"").decode("latin-1") if self._country_header else "",
            prefetch=not _PREFETCH_HEADERS.isdisjoint(headers) and _is_prefetch(headers),
            by_key=by_key,
        )


def _token(scope: Scope, headers: dict[bytes, bytes]) -> tuple[str, bool]:
    """The token sent and whether it came in the Authorization header."""
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1"), True
    query = scope.get("query_string", b"")
    if query.startswith(b"t=") and b"&" not in query and b"%" not in query:
        return query[2:].decode("latin-1"), False
    return parse_qs(query.decode("latin-1")).get("t", [""])[0], False


def _is_prefetch(headers: dict[bytes, bytes]) -> bool:
    return any(b"pre" in headers.get(name, b"").lower() for name in _PREFETCH_HEADERS)


def _origin_host(origin: bytes) -> str:
    if not origin or origin == b"null":
        return ""
    try:
        return urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


def _too_large() -> Answer:
    return Answer(
        413,
        f"body: is larger than {payload.MOST_BYTES // 1024} KiB",
        ((b"x-haru-dropped", Refusal.TOO_LARGE.encode()), (b"connection", b"close")),
    )


def _dropped(reason: Refusal) -> Answer:
    """Taken, but not counted: the sender did nothing that it could mend."""
    return Answer(200, headers=((b"x-haru-dropped", reason.encode()),))


async def _send(send: Send, answer: Answer) -> None:
    body = msgspec.json.encode({"error": answer.error}) if answer.error else b""
    headers = list(answer.headers) if answer.status == 204 else [*_CORS, *answer.headers]
    if answer.status != 204:
        headers.append((b"content-length", str(len(body)).encode()))
    if body:
        headers.append((b"content-type", b"application/json"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
