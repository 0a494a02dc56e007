"""What happens to a hit: `STEPS` in their order. Read this first."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from haru.collect import bots, referrer, useragent
from haru.collect.address import grouped
from haru.collect.geo import NOWHERE, Geo, Place, country_of_timezone, valid_country
from haru.collect.hit import Hit
from haru.events.event import Event, Origin
from haru.events.refusals import Refusal, Refused
from haru.events.text import storable

MAX_PATH_BYTES = 2_000

# (moment in ms, site id, grouped address, user agent) → the visitor's id under today's salt and under yesterday's
Identify = Callable[[int, int, bytes, str], tuple[int, int]]


class Page(msgspec.Struct, frozen=True, gc=False):
    """What is read from the URL of a page; the rest of its query is never kept."""

    path: str
    hostname: str
    query: str


class Draft(msgspec.Struct):
    """What the steps have found out of a hit so far."""

    page: Page = Page("/", "", "")
    referral: referrer.Referral = referrer.Referral()
    agent: useragent.Agent = useragent.Agent()
    place: Place = NOWHERE
    visitor_id: int = 0
    visitor_before: int = 0


class Pipeline:
    """From a hit to an event, with the means the steps need."""

    def __init__(self, identify: Identify, geo: Geo) -> None:
        self.identify = identify
        self.geo = geo

    def run(self, hit: Hit) -> Event:
        """The event of a hit; raises `Refused` when it is not to be counted."""
        draft = Draft()
        for step in STEPS if hit.site.excludes else _WITHOUT_EXCLUSIONS:
            step(self, hit, draft)
        return _event(hit, draft)


def refuse_prefetch(_: Pipeline, hit: Hit, __: Draft) -> None:
    """A page that the browser fetched ahead was not seen by anyone."""
    if hit.prefetch:
        raise Refused(Refusal.PREFETCH)


def refuse_bot(_: Pipeline, hit: Hit, __: Draft) -> None:
    """Robots are not visitors. A program with the site's key is its owner's own and may count."""
    kind = bots.kind(hit.user_agent)
    if kind and not (kind == "library" and hit.by_key):
        raise Refused(Refusal.BOT, detail=bots.crawler(hit.user_agent))


def refuse_opted_out(_: Pipeline, hit: Hit, __: Draft) -> None:
    """Who asked not to be tracked is not counted where the site honours it."""
    if hit.opted_out and hit.site.exclusions.honour_opt_out:
        raise Refused(Refusal.OPTED_OUT)


def refuse_excluded_address(_: Pipeline, hit: Hit, __: Draft) -> None:
    """Addresses and networks that the site leaves out, such as its owner's own."""
    if hit.site.exclusions.has_address(hit.address):
        raise Refused(Refusal.EXCLUDED_ADDRESS)


def read_page(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Path, host and query of the page."""
    page = split_page(hit.url)
    if len(page.path) > MAX_PATH_BYTES // 4 and len(page.path.encode()) > MAX_PATH_BYTES:
        raise Refused(Refusal.INVALID, f"p: the path is longer than {MAX_PATH_BYTES:,} bytes")
    draft.page = page


def refuse_excluded_hostname(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Hosts that are not among those the site allows, such as a copy of it elsewhere. No host at all counts."""
    if hit.site.exclusions.has_hostname(hit.hostname or draft.page.hostname):
        raise Refused(Refusal.EXCLUDED_HOSTNAME)


def refuse_excluded_page(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Pages that the site leaves out, such as its administration."""
    if hit.site.exclusions.has_page(draft.page.path):
        raise Refused(Refusal.EXCLUDED_PAGE)


def read_referrer(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Source and channel, from the tags in the page's query or from the referrer."""
    if referrer.is_spam(hit.referrer):
        raise Refused(Refusal.SPAM_REFERRER)
    host = draft.page.hostname or hit.hostname or hit.site.domain
    draft.referral = referrer.classify(host, draft.page.query, hit.referrer)


def read_agent(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Browser, operating system and device."""
    draft.agent = useragent.parse(hit.user_agent)


def locate(pipeline: Pipeline, hit: Hit, draft: Draft) -> None:
    """Country (and more, with a database): by the address, else by what the CDN says, else by the time zone."""
    place = pipeline.geo.locate(hit.address)
    if not place.country:
        country = valid_country(hit.country_hint) if hit.country_hint else ""
        country = country or (country_of_timezone(hit.timezone) if hit.timezone else "")
        if country:
            place = Place(country=country)
    draft.place = place


def refuse_excluded_country(_: Pipeline, hit: Hit, draft: Draft) -> None:
    """Countries that the site leaves out. A hit whose country is not known counts."""
    if draft.place.country in hit.site.exclusions.countries:
        raise Refused(Refusal.EXCLUDED_COUNTRY)


def identify(pipeline: Pipeline, hit: Hit, draft: Draft) -> None:
    """The visitor's ids. From here on nothing needs the address."""
    draft.visitor_id, draft.visitor_before = pipeline.identify(
        hit.at, hit.site.id, grouped(hit.address), hit.user_agent
    )


Step = Callable[[Pipeline, Hit, Draft], None]

STEPS: tuple[Step, ...] = (
    refuse_prefetch,
    refuse_bot,
    refuse_opted_out,
    refuse_excluded_address,
    read_page,
    refuse_excluded_hostname,
    refuse_excluded_page,
    read_referrer,
    read_agent,
    locate,
    refuse_excluded_country,
    identify,
)

# What a site without any rule of its own goes through: most of them, so they don't pay for the others.
_OF_EXCLUSIONS = {
    refuse_opted_out,
    refuse_excluded_address,
    refuse_excluded_hostname,
    refuse_excluded_page,
    refuse_excluded_country,
}
_WITHOUT_EXCLUSIONS = tuple(step for step in STEPS if step not in _OF_EXCLUSIONS)


@lru_cache(maxsize=8192)
def split_page(url: str) -> Page:
    """Path, host and query of a page given as path or URL; a fragment stays only where it is a route (`#/...`)."""
    url = storable(url.strip())
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:  # brackets that are no IPv6 host and the like
        return Page(path="/" + url.split("?")[0].split("#")[0].lstrip("/"), hostname="", query="")
    path = parts.path if parts.scheme in {"http", "https", ""} else url.split("?")[0].split("#")[0]
    if not path.startswith("/"):
        path = "/" + path
    if parts.fragment.startswith(("/", "!/")):
        path = f"{path}#{parts.fragment.split('?')[0]}"
    return Page(path=path, hostname=host, query=parts.query)


@lru_cache(maxsize=4096)
def language_of(header: str) -> str:
    """The primary tag of the first language in an Accept-Language header: `de-AT,de;q=0.9` → `de`."""
    tag = header.split(",")[0].split(";")[0].split("-")[0].strip().lower()
    return tag if 2 <= len(tag) <= 3 and tag.isascii() and tag.isalpha() else ""


@lru_cache(maxsize=4096)
def _screen(width: int, height: int) -> str:
    return f"{width}x{height}" if width and height else ""


@lru_cache(maxsize=4096)
def _origin(referral: referrer.Referral, agent: useragent.Agent, place: Place, screen: str, language: str) -> Origin:
    return Origin(
        source=referral.source,
        channel=referral.channel,
        referrer=referral.referrer,
        utm_source=referral.utm_source,
        utm_medium=referral.utm_medium,
        utm_campaign=referral.utm_campaign,
        utm_content=referral.utm_content,
        utm_term=referral.utm_term,
        click_id=referral.click_id,
        country=place.country,
        region=place.region,
        city=place.city,
        device=agent.device,
        browser=agent.browser,
        browser_version=agent.browser_version,
        os=agent.os,
        os_version=agent.os_version,
        screen=screen,
        language=language,
    )


def _event(hit: Hit, draft: Draft) -> Event:
    return Event(
        site_id=hit.site.id,
        at=hit.at,
        visitor_id=draft.visitor_id,
        visitor_before=draft.visitor_before,
        path=draft.page.path,
        origin=_origin(
            draft.referral,
            draft.agent,
            draft.place,
            _screen(hit.screen_width, hit.screen_height),
            language_of(hit.language) if hit.language else "",
        ),
        name=hit.name,
        hostname=storable(hit.hostname or draft.page.hostname),
        props=hit.props,
        revenue_currency=hit.revenue_currency,
        revenue_amount=hit.revenue_amount,
        engaged_ms=hit.engaged_ms,
        scroll_depth=hit.scroll_depth,
        interactive=hit.interactive,
    )
