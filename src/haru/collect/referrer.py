"""Where a visit came from: the source and channel of a page's tags and referrer.

The rules are those of docs/metrics.md under "Source and channel"; the named sources are in sources.toml, which says of
each host what it is called and of what kind it is.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib import resources
from urllib.parse import parse_qs, urlsplit

import msgspec

MOST_TEXT = 200  # characters kept of a source and of each tag
MOST_REFERRER = 500

CLICK_IDS = ("gclid", "gbraid", "wbraid", "msclkid", "fbclid", "twclid")
_ADVERTISING_CLICKS = {"gclid", "gbraid", "wbraid", "msclkid"}  # of these four only advertisements carry one

_TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LOCAL = re.compile(r"^(localhost|.*\.localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$")


class Referral(msgspec.Struct, frozen=True, gc=False):
    """Where a visit came from, as far as its first request tells; "" for what it doesn't."""

    source: str = ""
    channel: str = ""
    referrer: str = ""  # host + path
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    click_id: str = ""  # the name of the parameter


class Named(msgspec.Struct, frozen=True):
    """A source that people know by name."""

    name: str
    kind: str
    hosts: list[str] = []
    tags: list[str] = []
    pattern: str = ""


class _Names(msgspec.Struct):
    hosts: dict[str, Named]
    tags: dict[str, Named]
    patterns: list[tuple[re.Pattern[str], Named]]


@cache
def _names() -> _Names:
    text = (resources.files("haru.collect") / "sources.toml").read_text("utf-8")
    rows = [msgspec.convert(row, Named) for row in tomllib.loads(text)["source"]]
    return _Names(
        hosts={host: row for row in rows for host in row.hosts},
        tags={tag: row for row in rows for tag in [*row.tags, row.name.lower(), *row.hosts]},
        patterns=[(re.compile(row.pattern), row) for row in rows if row.pattern],
    )


@cache
def _spam() -> frozenset[str]:
    text = (resources.files("haru.collect") / "spam.txt").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


@lru_cache(maxsize=16_384)
def classify(page_host: str, page_query: str, referrer: str) -> Referral:
    """Source, channel, stored referrer and tags of a request. Never raises.

    `page_query` is the query of the page's URL; only the tags and the names of click ids are read from it.
    """
    tags = _tags(page_query)
    host, stored = _referrer(page_host, referrer)
    tagged = tags.get("utm_source") or tags.get("source") or tags.get("ref") or ""
    named = _by_tag(tagged) if tagged else _by_host(host)
    source = named.name if named else (tagged or _without_www(host))
    medium = tags.get("utm_medium", "")
    click_id = tags.get("click_id", "")
    return Referral(
        source=source,
        channel=channel(
            source, named.kind if named else "", medium, tags.get("utm_campaign", ""), click_id, bool(host)
        ),
        referrer=stored,
        utm_source=tags.get("utm_source", ""),
        utm_medium=medium,
        utm_campaign=tags.get("utm_campaign", ""),
        utm_content=tags.get("utm_content", ""),
        utm_term=tags.get("utm_term", ""),
        click_id=click_id,
    )


@lru_cache(maxsize=16_384)
def is_spam(referrer: str) -> bool:
    """Whether the referrer is a host that sends made-up ones."""
    if not referrer:
        return False
    host = _host_of(referrer)
    return bool(host) and any(part in _spam() for part in _suffixes(host))


_PAID = re.compile(r"^(.*cp.*|ppc|retargeting|paid.*)$")
_SHOP_CAMPAIGN = re.compile(r"^(.*(([^a-df-z]|^)shop|shopping).*)$")
_EMAILS = {"email", "e-mail", "e_mail", "e mail"}
_DISPLAY = {"display", "banner", "expandable", "interstitial", "cpm"}
_ORGANIC_SOCIAL = {"social", "social-network", "social-media", "sm", "social network", "social media"}


def channel(source: str, kind: str, medium: str, campaign: str, click_id: str, referred: bool) -> str:
    """The channel by the first rule that fits; "" is Direct. The rules are GA4's default grouping, and AI Assistants.

    `kind` is the source's kind, `click_id` the name of the click id, `referred` whether there was a referrer.
    """
    source, medium, campaign = source.lower(), medium.lower(), campaign.lower()
    paid = bool(_PAID.match(medium)) or (not medium and click_id in _ADVERTISING_CLICKS)
    shopping = kind == "shopping" or bool(_SHOP_CAMPAIGN.match(campaign))
    rules = (
        ("Cross-network", "cross-network" in campaign),
        ("Paid Shopping", paid and shopping),
        ("Paid Search", paid and kind == "search"),
        ("Paid Social", paid and kind == "social"),
        ("Paid Video", paid and kind == "video"),
        ("Display", medium in _DISPLAY),
        ("Paid Other", paid),
        ("Organic Shopping", shopping),
        ("Organic Social", kind == "social" or medium in _ORGANIC_SOCIAL),
        ("Organic Video", kind == "video" or "video" in medium),
        ("AI Assistants", kind == "ai"),
        ("Organic Search", kind == "search" or medium == "organic"),
        ("Email", kind == "email" or source in _EMAILS or medium in _EMAILS),
        ("Affiliates", medium == "affiliate"),
        ("Audio", medium == "audio"),
        ("SMS", source == "sms" or medium == "sms"),
        ("Mobile Push Notifications", medium.endswith("push") or "mobile" in medium or "notification" in medium),
        ("Referral", bool(source) or referred or medium in {"referral", "app", "link"}),
    )
    return next((name for name, fits in rules if fits), "")


def _tags(query: str) -> dict[str, str]:
    if not query:
        return {}
    try:
        given = parse_qs(query, max_num_fields=200)
    except ValueError:
        return {}
    tags = {name: _clean(given[name][0]) for name in (*_TAGS, "source", "ref") if name in given}
    click_id = next((name for name in CLICK_IDS if name in given), "")
    if click_id:
        tags["click_id"] = click_id
    return tags


def _referrer(page_host: str, referrer: str) -> tuple[str, str]:
    """Host and stored form of a referrer; both "" when it is none: another scheme, the own site, this machine."""
    referrer = _UNSTORABLE.sub("\ufffd", referrer.strip())
    host = _host_of(referrer)
    if not host or _LOCAL.match(host) or _without_www(host) == _without_www(page_host.lower().partition(":")[0]):
        return "", ""
    path = urlsplit(referrer).path.rstrip("/")
    return host, (host + path)[:MOST_REFERRER]


@lru_cache(maxsize=16_384)
def _host_of(referrer: str) -> str:
    try:
        parts = urlsplit(referrer.strip())
        if parts.scheme not in {"http", "https", "android-app"}:
            return ""
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _suffixes(host: str) -> list[str]:
    """The host and the hosts above it: a.b.c → a.b.c, b.c, c."""
    parts = host.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _by_host(host: str) -> Named | None:
    if not host:
        return None
    names = _names()
    if host in names.hosts:
        return names.hosts[host]
    for pattern, row in names.patterns:
        if pattern.match(host):
            return row
    return next((names.hosts[part] for part in _suffixes(host) if part in names.hosts), None)


def _by_tag(tag: str) -> Named | None:
    folded = tag.lower()
    return _names().tags.get(folded) or _names().tags.get(_without_www(folded))


def _clean(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text.strip())[:MOST_TEXT]
