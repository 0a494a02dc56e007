"""Hit: one thing that a visitor did, as the endpoint hands it to the pipeline."""

from __future__ import annotations

import msgspec

from haru.collect.sites import Site
from haru.events.event import PAGEVIEW


class Hit(msgspec.Struct, gc=False):
    """One hit as a format read it, before it is understood. It holds the address, so it never leaves memory."""

    site: Site
    at: int  # milliseconds since 1970 in UTC
    address: str
    user_agent: str
    url: str  # path or URL of the page, as sent
    name: str = PAGEVIEW
    hostname: str = ""
    referrer: str = ""
    screen_width: int = 0
    screen_height: int = 0
    props: dict[str, str] = {}
    revenue_currency: str = ""
    revenue_amount: str = ""
    engaged_ms: int = 0
    scroll_depth: int = -1
    interactive: bool = True
    timezone: str = ""
    language: str = ""  # the Accept-Language header
    country_hint: str = ""  # what a trusted CDN says
    prefetch: bool = False
    opted_out: bool = False  # the browser says so, by DNT: 1 or Sec-GPC: 1
    by_key: bool = False  # the token came in the Authorization header: the sender is a program its owner wrote
    key: str = ""  # idempotency key: of the hits of a site with the same one, the first counts
