"""Where a visit came from: the source and channel of a page's tags and referrer.

The rules are those of docs/metrics.md under "Source and channel"; the named sources are in sources.toml, which says of
each host what it is called and of what kind it is.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from functools import cache, lru_cache
from importlib import resources
from urllib.parse import parse_qs, urlsplit

import idna
import msgspec

from haru.events.text import storable

MAX_TEXT = 200  # characters kept of a source and of each tag
MAX_REFERRER = 500

# The parameters by which networks mark a click, and the source that each one names. All but Facebook's, which hangs on
# every link of its pages, are of advertisements.
CLICK_IDS = {
    "gclid": "Google",
    "gbraid": "Google",
    "wbraid": "Google",
    "dclid": "Google",
    "msclkid": "Bing",
    "yclid": "Yandex",
    "ttclid": "TikTok",
    "twclid": "Twitter",
    "li_fat_id": "LinkedIn",
    "fbclid": "Facebook",
}
_UNPAID_CLICKS = {"", "fbclid"}

_TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
_LOCAL = re.compile(r"^(localhost|.*\.localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$")


class Referral(msgspec.Struct, frozen=True, gc=False):
    """Where a visit came from, as far as its first request tells; "" for what it doesn't."""

    source: str = ""
    channel: str = ""
    referrer: str = ""  # host + path, without www.
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""
    click_id: str = ""  # the name of the parameter


class Source(msgspec.Struct, frozen=True):
    """A source that people know by name."""

    name: str
    kind: str = ""


class _Sources(msgspec.Struct):
    hosts: dict[str, Source]  # by the forms of sources.toml: a.example, =a.example, a.*
    tags: dict[str, Source]


@cache
def _sources() -> _Sources:
    text = (resources.files("haru.collect") / "sources.toml").read_text("utf-8")
    found = _Sources(hosts={}, tags={})
    for kind, named in tomllib.loads(text).items():
        for name, words in named.items():
            source = Source(name, kind)
            found.tags[name.lower()] = source
            for word in words:
                (found.hosts if "." in word else found.tags)[word] = source
    return found


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
    click_id = tags.get("click_id", "")
    source = _source(page_host, tags.get("utm_source") or tags.get("source") or tags.get("ref") or "", host, click_id)
    medium = tags.get("utm_medium", "")
    return Referral(
        source=source.name,
        channel=channel(source.name, source.kind, medium, tags.get("utm_campaign", ""), click_id, bool(host)),
        referrer=stored,
        utm_source=tags.get("utm_source", ""),
        utm_medium=medium,
        utm_campaign=tags.get("utm_campaign", ""),
        utm_content=tags.get("utm_content", ""),
        utm_term=tags.get("utm_term", ""),
        click_id=click_id,
    )


def warm() -> None:
    """Read the sources now rather than at the first request."""
    _sources()


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
_PUSH = re.compile(r"push$|mobile|notification")
_DISPLAY = {"display", "banner", "expandable", "interstitial", "cpm"}
_ORGANIC_SOCIAL = {"social", "social-network", "social-media", "sm", "social network", "social media"}


def channel(source: str, kind: str, medium: str, campaign: str, click_id: str, referred: bool) -> str:
    """The channel by the first rule that fits; "" is Direct. The rules are GA4's default grouping, and AI Assistants.

    `kind` is the source's kind, `click_id` the name of the click id, `referred` whether there was a referrer.
    """
    source, medium, campaign = source.lower(), medium.lower(), campaign.lower()
    paid = bool(_PAID.match(medium)) or (not medium and click_id not in _UNPAID_CLICKS)
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
        ("Mobile Push Notifications", source == "firebase" or bool(_PUSH.search(medium))),
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


def _source(page_host: str, tagged: str, host: str, click_id: str) -> Source:
    """The first that says something of the tag, the host of the referrer and the click id."""
    # A tag that is a whole URL is named as the referrer would be.
    if _host_of(tagged):
        host, tagged = _referrer(page_host, tagged)[0] or host, ""
    if tagged:
        folded = tagged.lower()
        return _sources().tags.get(folded) or _by_host(_without_www(folded)) or Source(tagged)
    if host:
        return _by_host(host) or Source(host[:MAX_TEXT])
    return _sources().tags[CLICK_IDS[click_id].lower()] if click_id else Source("")


def _referrer(page_host: str, referrer: str) -> tuple[str, str]:
    """Host and stored form of a referrer; both "" when it is none: another scheme, the own site, this machine."""
    referrer = storable(referrer.strip())
    host = _host_of(referrer)
    if not host or _LOCAL.match(host) or host == _plain(page_host.lower().partition(":")[0]):
        return "", ""
    path = urlsplit(referrer).path.rstrip("/")
    return host, (host + path)[:MAX_REFERRER]


@lru_cache(maxsize=16_384)
def _host_of(referrer: str) -> str:
    """The host of a URL in the form in which it is kept: without `www.`, its letters those that people read."""
    try:
        parts = urlsplit(referrer.strip())
        if parts.scheme not in {"http", "https", "android-app"}:
            return ""
        return _plain((parts.hostname or "").rstrip("."))
    except ValueError:
        return ""


def _plain(host: str) -> str:
    if ("xn--" in host or not host.isascii()) and len(host) <= 253:
        with suppress(idna.IDNAError, UnicodeError):
            host = idna.decode(host, uts46=True)
    return _without_www(host)


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _suffixes(host: str) -> list[str]:
    """The host and the hosts above it: a.b.c → a.b.c, b.c, c. No list has a host of more than eight words."""
    parts = host.split(".")[-8:]
    return [".".join(parts[start:]) for start in range(len(parts))]


_COUNTRY = re.compile(r"(.+?)\.(?:com?\.[a-z]{2}|com|cat|[a-z]{2})")  # a name under the domain of a country, or .com


def _by_host(host: str) -> Source | None:
    """The source of the longest part of the host that has one."""
    hosts = _sources().hosts
    for part in _suffixes(host):
        country = _COUNTRY.fullmatch(part)
        for form in (part, f"{country[1]}.*") if country else (part,):
            source = (hosts.get(f"={form}") if part == host else None) or hosts.get(form)
            if source is not None:
                return source
    return None


def _clean(text: str) -> str:
    return storable(text.strip())[:MAX_TEXT]
