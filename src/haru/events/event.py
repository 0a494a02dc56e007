"""Event: one accepted request. Everything written ends in this shape and everything read starts from it."""

from __future__ import annotations

import msgspec

PAGEVIEW = "pageview"
ENGAGEMENT = "engagement"
# How what is not known is called to people: of a visit that has such a text, nobody can tell whether it is the text.
NOT_SET, NO_SOURCE, NO_CHANNEL = "(not set)", "Direct / None", "Direct"
UNKNOWN = frozenset((NOT_SET, NO_SOURCE, NO_CHANNEL))


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a visit came from and what it was made with: taken from its first event, stamped on all of its events.

    Text that is not known is the empty string, never null, so that every engine groups and sorts it alike.
    """

    source: str = ""  # named source or bare host of the referrer, or the tagged source; "" is Direct / None
    channel: str = ""  # one of the channels of docs/metrics.md; "" is Direct
    referrer: str = ""  # host + path, no www., no query, no trailing slash
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    click_id: str = ""  # name of the click id parameter ("gclid"), never its value
    country: str = ""  # ISO 3166-1 alpha-2
    region: str = ""  # ISO 3166-2
    city: int = 0  # GeoNames id; 0 is not known
    device: str = ""  # Desktop, Mobile or Tablet
    browser: str = ""  # family, such as Firefox
    browser_version: str = ""  # major, or major.minor
    os: str = ""  # family, such as macOS
    os_version: str = ""
    screen: str = ""  # 1920x1080
    language: str = ""  # primary tag of Accept-Language, such as "de"


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accepted request as collect hands it to the spool: enriched, with no address and no user agent left in it.

    The visit is not known yet: the loader finds it, in the order of arrival. New fields go to the end, with a default,
    so that a spool written by an older release still reads.
    """

    site_id: int
    at: int  # milliseconds since 1970 in UTC
    visitor_id: int  # signed 64 bit, under the salt of the event's UTC day
    visitor_before: int  # the same visitor under the salt of the day before; equal to visitor_id when there is none
    path: str  # of the page: no query, no fragment
    origin: Origin  # as this event alone tells it; the visit's first event decides
    name: str = PAGEVIEW  # "pageview", "engagement" or a custom name
    hostname: str = ""
    props: dict[str, str] = {}
    revenue_currency: str = ""  # ISO 4217
    revenue_amount: str = ""  # decimal, as text; "" is none
    engaged_ms: int = 0  # with engagement events: increment of engaged time, in milliseconds
    scroll_depth: int = -1  # with engagement events: deepest scroll so far, percent; -1 is not known
    interactive: bool = True  # false keeps a custom event from ending a bounce


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the order of arrival, as the spool gives it to the loader."""

    id: int  # grows with arrival, unique in an installation
    event: Event
