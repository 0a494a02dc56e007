"""Haru's own format, `POST /api/collect`: one hit, as docs/wire.md says, or a sentence about what is wrong with it."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from haru.clock import DAY_MS
from haru.collect.formats.format import Answer, Request, fault
from haru.collect.hit import Hit
from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.events.refusals import Refusal, Refused
from haru.events.text import storable

path = b"/api/collect"

MAX_PROPS = 30
MAX_KEY_BYTES = 300
MAX_VALUE_BYTES = 2_000
MAX_PAGE_BYTES = 2_000
MAX_REFERRER = 2_000
MAX_ENGAGED_MS = DAY_MS

COUNTED = Answer(200)
# Taken, but not counted: the sender did nothing that it could mend.
_DROPPED = {reason: Answer(200, (b"x-haru-dropped", reason.encode())) for reason in Refusal}


def read(request: Request) -> list[Hit]:
    """The one hit of a body. Raises `InvalidBody`."""
    body = parse(request.body)
    hit = request.hit(body.p)
    if body.n:
        hit.name = body.name
    if body.h:
        hit.hostname = body.h
    elif "://" not in body.p[:12]:
        hit.hostname = _origin_host(request.headers.get(b"origin", b""))
    if body.r:
        hit.referrer = body.r[:MAX_REFERRER]
    if body.sw:
        hit.screen_width = body.sw
    if body.sh:
        hit.screen_height = body.sh
    if body.tz and len(body.tz) <= 64:
        hit.timezone = body.tz
    if body.id:
        hit.key = body.id
    if body.d:
        hit.props = props(body)
    if body.revenue:
        hit.revenue_currency = body.revenue.currency.upper()
        hit.revenue_amount = revenue_amount(body)
    if body.e:
        hit.engaged_ms = body.e
    if body.sd is not None:
        hit.scroll_depth = body.sd
    if body.i is False:
        hit.interactive = False
    return [hit]


def answer(outcomes: list[Refused | None]) -> Answer:
    """200, with the reason in a header when the hit is not counted; 400 with a sentence when it must be mended."""
    (refused,) = outcomes
    if refused is None:
        return COUNTED
    if refused.reason is Refusal.INVALID:
        return fault(400, refused.sentence, (b"x-haru-dropped", Refusal.INVALID.encode()))
    return _DROPPED[refused.reason]


class InvalidBody(Refused):
    """A body that cannot be taken; the text is `field: what is wrong`."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Refusal.INVALID, sentence, detail=sentence.partition(":")[0])


Pixels = Annotated[int, Meta(ge=0, le=32_767)]
# Limits in bytes are kept by `_check`: JSON Schema counts characters, of which a text has at most as many.
Key = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_KEY_BYTES})]
Scalar = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_VALUE_BYTES})] | int | float | bool | None


class Revenue(msgspec.Struct):
    """What a conversion brought."""

    currency: Annotated[str, Meta(pattern="^[A-Za-z]{3}$", description="ISO 4217.")]
    amount: Annotated[
        str | int | float, Meta(description="A decimal number, such as 12.50: below 10^15, with at most 9 decimals.")
    ]


class EventBody(msgspec.Struct, rename={"revenue": "$"}):
    """Unknown keys are ignored, null is the same as absent."""

    p: Annotated[
        str,
        Meta(
            description=f"Path or URL of the page; at most {MAX_PAGE_BYTES:,} bytes.",
            extra_json_schema={"minLength": 1, "maxLength": MAX_PAGE_BYTES},
        ),
    ]
    n: Annotated[
        Annotated[str, Meta(min_length=1, max_length=120)] | None,
        Meta(description="Name of the event; pageview when absent."),
    ] = None
    r: Annotated[str | None, Meta(description=f"Referrer; cut at {MAX_REFERRER:,} characters.")] = None
    sw: Annotated[Pixels | None, Meta(description="Width of the screen, pixels.")] = None
    sh: Annotated[Pixels | None, Meta(description="Height of the screen, pixels.")] = None
    h: Annotated[
        Annotated[str, Meta(max_length=253)] | None,
        Meta(description="Host name; else that of p or of the Origin header."),
    ] = None
    tz: Annotated[str | None, Meta(description="The browser's time zone, a hint for the country; never stored.")] = None
    id: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        Meta(description="Idempotency key: counts once for a site in 24 hours."),
    ] = None
    i: Annotated[bool | None, Meta(description="false keeps a custom event from ending a bounce.")] = None
    e: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_ENGAGED_MS)] | None,
        Meta(description="Engaged milliseconds since the engagement event before."),
    ] = None
    sd: Annotated[Annotated[int, Meta(ge=0, le=100)] | None, Meta(description="Deepest scroll so far, percent.")] = None
    d: Annotated[
        Annotated[dict[Key, Scalar], Meta(max_length=MAX_PROPS)] | None,
        Meta(description=f"Properties: keys of at most {MAX_KEY_BYTES} bytes, values of at most {MAX_VALUE_BYTES:,}."),
    ] = None
    revenue: Annotated[Revenue | None, Meta(description="Revenue: its currency and its amount.")] = None

    @property
    def name(self) -> str:
        """The event's name."""
        return storable(self.n) if self.n else PAGEVIEW


_decode = msgspec.json.Decoder(EventBody).decode


def parse(body: bytes) -> EventBody:
    """The checked body. Raises `InvalidBody`."""
    try:
        read = _decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(_sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        read = _second_reading(body, str(error))
    _check(read)
    return read


def props(body: EventBody) -> dict[str, str]:
    """The properties as texts: true and false in lower case, numbers as JSON writes them, nulls left out."""
    if not body.d:
        return {}
    return {storable(key): _text(value) for key, value in body.d.items() if value is not None}


def revenue_amount(body: EventBody) -> str:
    """The amount of revenue as a plain decimal, "" when there is none."""
    if body.revenue is None:
        return ""
    return format(Decimal(str(body.revenue.amount)), "f")


def _second_reading(body: bytes, fault: str) -> EventBody:
    """Half a surrogate pair in an escape is no reason to lose a pageview: read again, and mend it in `storable`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidBody("body: is not UTF-8") from None
    if "surrogate" not in fault.lower() and "\\ud" not in text.lower():
        raise InvalidBody(f"body: is not JSON ({_plain(fault)})")
    try:
        return msgspec.convert(_mended(json.loads(text)), EventBody)
    except msgspec.ValidationError as error:
        raise InvalidBody(_sentence(str(error))) from None
    except (ValueError, RecursionError):
        raise InvalidBody("body: is not JSON") from None


def _mended(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _mended(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    return value


def _check(body: EventBody) -> None:
    if not body.p.strip():
        raise InvalidBody("p: is empty; give the path or URL of the page")
    if len(body.p.encode("utf-8", "surrogatepass")) > MAX_PAGE_BYTES:
        raise InvalidBody(f"p: is longer than {MAX_PAGE_BYTES:,} bytes")
    if body.d:
        _check_props(body.d)
    if body.revenue is not None:
        _check_revenue(body.revenue)
    if body.name == ENGAGEMENT and body.e is None and body.sd is None:
        raise InvalidBody("e: an engagement event needs e (milliseconds) or sd (percent)")


def _check_props(given: dict[str, Scalar]) -> None:
    for key, value in given.items():
        if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
            raise InvalidBody(f"d: a key must have 1 to {MAX_KEY_BYTES} bytes")
        if isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
            raise InvalidBody(f'd: the value of "{key}" is longer than {MAX_VALUE_BYTES:,} bytes')


def _check_revenue(revenue: Revenue) -> None:
    try:
        amount = Decimal(str(revenue.amount))
    except InvalidOperation:
        raise InvalidBody("$: amount is not a decimal number, such as 12.50") from None
    if not amount.is_finite() or abs(amount) >= Decimal(10) ** 15 or amount.as_tuple().exponent < -9:  # type: ignore[operator]
        raise InvalidBody("$: amount must be below 10^15 and have at most 9 decimals")


def _text(value: Scalar) -> str:
    if isinstance(value, str):
        return storable(value)
    return json.dumps(value)


def _origin_host(origin: bytes) -> str:
    if not origin or origin == b"null":
        return ""
    try:
        return urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `([^`]+)`")


def _sentence(fault: str) -> str:
    """msgspec's words as ours: "Expected `int`, got `str` - at `$.sw`" → "sw: expected int, got str"."""
    if missing := _MISSING.search(fault):
        return f"{missing[1]}: is required"
    match = _PLACE.match(fault)
    what, path = (match["what"], match["path"] or "") if match else (fault, "")
    name = path.lstrip(".").split(".")[0].split("[")[0] or "body"
    return f"{name}: {_plain(what)}"


def _plain(words: str) -> str:
    words = words.replace("`", "").replace(" | null", "").strip()
    return words[:1].lower() + words[1:]
