"""The endpoint of every format: authenticate the token, limit, read, hand over, answer.

The answer is sent after the commit of the spool, never before. `Endpoint.take` is called by `haru.server.protocol`,
which saves the price of a task and a dozen objects for each request, and by the raw ASGI application below, for
pipelined requests and for other servers. What a request means and how it is answered, its format says.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from haru.collect.address import client_address, grouped
from haru.collect.formats import FORMATS
from haru.collect.formats.format import MAX_BODY_BYTES, Answer, Format, Request, fault
from haru.collect.pipeline import Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.sites import Site, Sites
from haru.events.refusals import Refusal, Refused
from haru.histogram import Histogram
from haru.http import Headers, Receive, Scope, Send, peer_of, read_body, respond
from haru.settings import Settings
from haru.spool.spool import SpoolFull, SpoolUnavailable
from haru.spool.writer import Entry, Outcome, Writer

log = logging.getLogger(__name__)

INSTALLATION = 0  # the site id under which refusals that name no site are counted
RETRY_DISK = 10  # seconds a sender is asked to wait when the disk refuses
RETRY_FULL = 60  # and when the spool is full

_PREFLIGHT = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"86400"),
)
_FAULT = fault(500, "server: something went wrong here; it is in the log")
_DUPLICATE = Refused(Refusal.DUPLICATE)


class Endpoint:
    """`POST` to the path of a format."""

    def __init__(
        self,
        settings: Settings,
        sites: Sites,
        pipeline: Pipeline,
        limit: RateLimit,
        writer: Writer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trusted = settings.trusted_proxies
        self._country_header = settings.country_header.lower().encode() if settings.trusted_proxies else b""
        self._sites = sites
        self._pipeline = pipeline
        self._limit = limit
        self._writer = writer
        self._clock = clock
        self.answers: Counter[int] = Counter()  # status → answers
        self.refusals: Counter[str] = Counter()  # reason → hits
        self.accepted = 0
        self.seconds = Histogram((0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to the path of a format as an ASGI application. Never raises for what the sender did."""
        headers: Headers = scope["headers"]
        try:
            body = await _body(receive, headers)
        except ConnectionError:
            return  # nobody is there to be answered
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        peer = peer_of(scope)
        self.take(
            FORMATS[scope["path"].encode()],
            scope["method"],
            scope.get("query_string", b""),
            headers,
            peer,
            body,
            lambda answer: None if answered.done() else answered.set_result(answer),
        )
        answer = await answered
        await respond(send, answer.status, answer.body, headers=list(answer.headers))

    def take(
        self,
        format: Format,
        method: str,
        query: bytes,
        headers: Headers,
        peer: str,
        body: bytes | None,
        done: Callable[[Answer], None],
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
            self._take(format, method, query, headers, peer, body, answered)
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
        format: Format,
        method: str,
        query: bytes,
        listed: Headers,
        peer: str,
        body: bytes | None,
        answered: Callable[[Answer], None],
    ) -> None:
        if method != "POST":
            if method == "OPTIONS":
                raise Answer(204, *_PREFLIGHT)
            raise fault(405, "method: send a POST", (b"allow", b"POST, OPTIONS"))
        headers = dict(listed)
        at = int(self._clock() * 1000)
        address = self._address(peer, listed)
        site, by_key = self._site(query, headers, address, at)
        self._keep_to_limit(site.id, address, at, site.rate_limit)
        if body is None:
            self._refuse(site.id, at, Refusal.TOO_LARGE)
            raise TOO_LARGE
        hint = headers.get(self._country_header, b"").decode("latin-1") if self._country_header else ""
        request = Request(site, by_key, at, address, hint, query, headers, body)
        entries, outcomes = self._understand(format, request)
        if not entries:
            raise _answer(format, outcomes)
        site_id = site.id  # what waits for a commit must not hold the request with its body

        def committed(outcome: Outcome) -> None:
            if outcome is None:
                self.accepted += len(entries)
            elif isinstance(outcome, SpoolUnavailable):
                answered(_unavailable(outcome))
                return
            else:
                self.accepted += sum(outcome)
                self._refuse_duplicates(site_id, at, outcomes, outcome)
            answered(_answer(format, outcomes))

        self._writer.put(entries, committed)

    def _understand(self, format: Format, request: Request) -> tuple[list[Entry], list[Refused | None]]:
        """The events of a request with their idempotency keys; and for each of its hits None or why it has none."""
        entries: list[Entry] = []
        outcomes: list[Refused | None] = []
        try:
            hits = format.read(request)
        except Refused as refused:
            return entries, [self._refused(request, refused)]
        for hit in hits:
            try:
                entries.append((self._pipeline.run(hit), hit.key))
                outcomes.append(None)
            except Refused as refused:
                outcomes.append(self._refused(request, refused))
        return entries, outcomes

    def _refused(self, request: Request, refused: Refused) -> Refused:
        """Count a refusal; the same without the frames that it was raised in, as it is kept until the answer."""
        self._refuse(request.site.id, request.at, refused.reason, refused.detail)
        return Refused(refused.reason, refused.sentence)

    def _refuse_duplicates(self, site_id: int, at: int, outcomes: list[Refused | None], written: list[bool]) -> None:
        """Put among the outcomes which events were not written, as their key was counted already."""
        places = [place for place, refused in enumerate(outcomes) if refused is None]
        for place, first in zip(places, written, strict=True):
            if not first:
                self._refuse(site_id, at, Refusal.DUPLICATE)
                outcomes[place] = _DUPLICATE

    def _refuse(self, site_id: int, at: int, reason: Refusal, detail: str = "") -> None:
        self.refusals[reason.value] += 1
        self._writer.refused(site_id, at, reason.value, detail)

    def _address(self, peer: str, headers: Headers) -> str:
        if not self._trusted:
            return client_address(peer, "", ())
        # Several headers of this name are one list; a dict keeps the last only.
        forwarded = ", ".join(v.decode("latin-1") for n, v in headers if n == b"x-forwarded-for")
        return client_address(peer, forwarded, self._trusted)

    def _site(self, query: bytes, headers: dict[bytes, bytes], address: str, at: int) -> tuple[Site, bool]:
        token, by_key = _token(query, headers)
        site = self._sites.by_token(token) if token else None
        if site is None:
            # By address alone, so that nobody can try out tokens quickly.
            self._keep_to_limit(INSTALLATION, address, at, None)
            if token and self._sites.refresh():  # the site may be younger than the last look at the file
                site = self._sites.by_token(token)
        if site is None:
            if token and not self._sites.sure:
                raise fault(
                    503,
                    "server: the list of sites is unavailable just now; send the event again",
                    (b"retry-after", str(RETRY_DISK).encode()),
                )
            self._refuse(INSTALLATION, at, Refusal.UNKNOWN_SITE)
            raise fault(
                401,
                "token: no site has this token; copy it from the site's settings",
                (b"www-authenticate", b"Bearer"),
                (b"x-haru-dropped", Refusal.UNKNOWN_SITE.encode()),
            )
        return site, by_key

    def _keep_to_limit(self, site_id: int, address: str, at: int, limit: int | None) -> None:
        wait = self._limit.hit(site_id, grouped(address), limit)
        if wait:
            self._refuse(site_id, at, Refusal.RATE_LIMITED)
            raise fault(
                429,
                f"rate: too many requests from this address; wait {wait} s",
                (b"retry-after", str(wait).encode()),
                (b"x-haru-dropped", Refusal.RATE_LIMITED.encode()),
            )


async def _body(receive: Receive, headers: Headers) -> bytes | None:
    """The body of a request; None when it is too large. Raises `ConnectionError` when it was cut off."""
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        return None
    return await read_body(receive, MAX_BODY_BYTES)


def _token(query: bytes, headers: dict[bytes, bytes]) -> tuple[str, bool]:
    """The token sent and whether it came in the Authorization header."""
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1"), True
    if query.startswith(b"t=") and b"&" not in query and b"%" not in query:
        return query[2:].decode("latin-1"), False
    return parse_qs(query.decode("latin-1")).get("t", [""])[0], False


TOO_LARGE = fault(
    413,
    f"body: is larger than {MAX_BODY_BYTES // 1024} KiB",
    (b"x-haru-dropped", Refusal.TOO_LARGE.encode()),
    (b"connection", b"close"),
)


def _answer(format: Format, outcomes: list[Refused | None]) -> Answer:
    """What a format answers. One that fails must not keep those from their answer whose events share the commit."""
    try:
        return format.answer(outcomes)
    except Exception:
        log.exception("collect_failed")
        return _FAULT


def _unavailable(error: SpoolUnavailable) -> Answer:
    if isinstance(error, SpoolFull):
        return fault(503, "server: the spool is full; send the event again", (b"retry-after", b"%d" % RETRY_FULL))
    return fault(503, "server: the disk refuses; send the event again", (b"retry-after", b"%d" % RETRY_DISK))
