"""The collect door: authenticate the token, limit, read, hand over, answer.

The answer 200 is sent after the commit of the spool, never before. `Endpoint.take` is the door; it is asked by
`haru.server.protocol`, which saves the price of a task and a dozen objects for each request, and by the raw ASGI
application below, for pipelined requests and for other servers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from haru.collect import hit
from haru.collect.address import client_address, grouped
from haru.collect.pipeline import Hit, Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.sites import Mirror, Site
from haru.events.refusals import Refusal, Refused
from haru.histogram import Histogram
from haru.settings import Settings
from haru.spool.spool import SpoolFull, SpoolUnavailable
from haru.spool.writer import Outcome, Writer

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]  # names in lower case

PATH = b"/api/collect"
INSTALLATION = 0  # the site id under which refusals that name no site are counted
RETRY_DISK = 10  # seconds a sender is asked to wait when the disk refuses
RETRY_FULL = 60  # and when the spool is full

_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"x-haru-dropped, retry-after"),
)
_PREFLIGHT = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"86400"),
)
_PREFETCH_HEADERS = frozenset({b"sec-purpose", b"purpose", b"x-moz", b"x-purpose"})


class Answer(Exception):
    """An answer: raised wherever it becomes clear, sent in one place."""

    def __init__(self, status: int, error: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.body = msgspec.json.encode({"error": error}) if error else b""
        # With 204 no length: there is no body to have one.
        length = ((b"content-length", str(len(self.body)).encode()),) if status != 204 else ()
        kind = ((b"content-type", b"application/json"),) if error else ()
        self.headers = (*_CORS, *headers, *length, *kind)


COUNTED = Answer(200)
_FAULT = Answer(500, "server: something went wrong here; it is in the log")


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
        self.answers: Counter[int] = Counter()  # status → answers
        self.refusals: Counter[str] = Counter()  # reason → requests
        self.accepted = 0
        self.seconds = Histogram((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as an ASGI application. Never raises for what the sender did."""
        headers: Headers = scope["headers"]
        try:
            body = await _body(receive, headers)
        except ConnectionError:
            return  # nobody is there to be answered
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        peer = scope["client"][0] if scope.get("client") else ""
        self.take(
            scope["method"],
            scope.get("query_string", b""),
            headers,
            peer,
            body,
            lambda answer: None if answered.done() else answered.set_result(answer),
        )
        answer = await answered
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        await send({"type": "http.response.body", "body": answer.body})

    def take(
        self, method: str, query: bytes, headers: Headers, peer: str, body: bytes | None, done: Callable[[Answer], None]
    ) -> None:
        """One request; `done` is called once with the answer, at once or after the commit.

        `headers` have names in lower case. A `body` that is larger than may be is None.
        """
        begun = time.perf_counter()

        def answered(answer: Answer) -> None:
            self.answers[answer.status] += 1
            self.seconds.observe(time.perf_counter() - begun)
            done(answer)

        try:
            self._take(method, query, headers, peer, body, answered)
        except Answer as answer:
            # Most of them live as long as the process: each would keep the frames, and the bodies in them, of every
            # time that it was raised.
            answer.__traceback__ = answer.__context__ = None
            answered(answer)
        except Exception:
            log.exception("collect_failed")
            answered(_FAULT)

    def _take(
        self,
        method: str,
        query: bytes,
        listed: Headers,
        peer: str,
        body: bytes | None,
        answered: Callable[[Answer], None],
    ) -> None:
        if method != "POST":
            if method == "OPTIONS":
                raise Answer(204, headers=_PREFLIGHT)
            raise Answer(405, "method: send a POST", ((b"allow", b"POST, OPTIONS"),))
        headers = dict(listed)
        now = self._clock()
        address = self._address(peer, listed)
        site, by_key = self._site(query, headers, address, now)
        self._keep_to_limit(site.id, address, now, site.rate_limit)
        if body is None:
            self._refuse(site.id, now, Refusal.TOO_LARGE)
            raise TOO_LARGE
        try:
            read = hit.parse(body)
            event = self._pipeline.run(self._hit(site, by_key, read, headers, address, now))
        except hit.InvalidBody as error:
            self._refuse(site.id, now, Refusal.INVALID, str(error).partition(":")[0])
            raise _invalid(str(error)) from None
        except Refused as refused:
            self._refuse(site.id, now, refused.reason, refused.detail)
            if refused.reason is Refusal.INVALID:
                raise _invalid(refused.sentence) from None
            raise _dropped(refused.reason) from None

        def committed(outcome: Outcome) -> None:
            if outcome is True:
                self.accepted += 1
                answered(COUNTED)
            elif outcome is False:
                self._refuse(site.id, now, Refusal.DUPLICATE)
                answered(_dropped(Refusal.DUPLICATE))
            else:
                answered(_unavailable(outcome))

        self._writer.put(event, read.id or "", committed)

    def _refuse(self, site_id: int, now: float, reason: Refusal, detail: str = "") -> None:
        self.refusals[reason.value] += 1
        self._writer.refused(site_id, int(now * 1000), reason.value, detail)

    def _address(self, peer: str, headers: Headers) -> str:
        if not self._trusted:
            return client_address(peer, "", ())
        # Several headers of this name are one list; a dict keeps the last only.
        forwarded = ", ".join(v.decode("latin-1") for n, v in headers if n == b"x-forwarded-for")
        return client_address(peer, forwarded, self._trusted)

    def _site(self, query: bytes, headers: dict[bytes, bytes], address: str, now: float) -> tuple[Site, bool]:
        token, by_key = _token(query, headers)
        site = self._mirror.by_token(token) if token else None
        if site is None:
            # By address alone, so that nobody can try out tokens quickly.
            self._keep_to_limit(INSTALLATION, address, now, None)
            if token and not self._mirror.sure:
                raise Answer(
                    503,
                    "server: the list of sites is unavailable just now; send the event again",
                    ((b"retry-after", str(RETRY_DISK).encode()),),
                )
            self._refuse(INSTALLATION, now, Refusal.UNKNOWN_SITE)
            raise Answer(
                401,
                "token: no site has this token; copy it from the site's settings",
                ((b"www-authenticate", b"Bearer"), (b"x-haru-dropped", Refusal.UNKNOWN_SITE.encode())),
            )
        return site, by_key

    def _keep_to_limit(self, site_id: int, address: str, now: float, limit: int | None) -> None:
        wait = self._limit.hit(site_id, grouped(address), limit)
        if wait:
            self._refuse(site_id, now, Refusal.RATE_LIMITED)
            raise Answer(
                429,
                f"rate: too many requests from this address; wait {wait} s",
                ((b"retry-after", str(wait).encode()), (b"x-haru-dropped", Refusal.RATE_LIMITED.encode())),
            )

    def _hit(
        self,
        site: Site,
        by_key: bool,
        body: hit.Body,
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
            referrer=body.r[: hit.MOST_REFERRER] if body.r else "",
            screen_width=body.sw or 0,
            screen_height=body.sh or 0,
            props=hit.props(body),
            revenue_currency=body.revenue.currency.upper() if body.revenue else "",
            revenue_amount=hit.revenue_amount(body),
            engaged_ms=body.e or 0,
            scroll_depth=-1 if body.sd is None else body.sd,
            interactive=body.i is not False,
            timezone=body.tz if body.tz and len(body.tz) <= 64 else "",
            language=headers.get(b"accept-language", b"").decode("latin-1"),
            country_hint=headers.get(self._country_header, b"").decode("latin-1") if self._country_header else "",
            prefetch=not _PREFETCH_HEADERS.isdisjoint(headers) and _is_prefetch(headers),
            opted_out=headers.get(b"dnt") == b"1" or headers.get(b"sec-gpc") == b"1",
            by_key=by_key,
        )


async def _body(receive: Receive, headers: Headers) -> bytes | None:
    """The body of a request; None when it is too large. Raises `ConnectionError` when it was cut off."""
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > hit.MOST_BYTES:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the sender left before the end of the body")
        body += message.get("body", b"")
        if len(body) > hit.MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _token(query: bytes, headers: dict[bytes, bytes]) -> tuple[str, bool]:
    """The token sent and whether it came in the Authorization header."""
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1"), True
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


TOO_LARGE = Answer(
    413,
    f"body: is larger than {hit.MOST_BYTES // 1024} KiB",
    ((b"x-haru-dropped", Refusal.TOO_LARGE.encode()), (b"connection", b"close")),
)
_DROPPED = {reason: Answer(200, headers=((b"x-haru-dropped", reason.encode()),)) for reason in Refusal}


def _dropped(reason: Refusal) -> Answer:
    """Taken, but not counted: the sender did nothing that it could mend."""
    return _DROPPED[reason]


def _invalid(sentence: str) -> Answer:
    return Answer(400, sentence, ((b"x-haru-dropped", Refusal.INVALID.encode()),))


def _unavailable(error: SpoolUnavailable) -> Answer:
    if isinstance(error, SpoolFull):
        return Answer(503, "server: the spool is full; send the event again", ((b"retry-after", b"%d" % RETRY_FULL),))
    return Answer(503, "server: the disk refuses; send the event again", ((b"retry-after", b"%d" % RETRY_DISK),))
