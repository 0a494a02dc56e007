"""Where did my hit go? What every refusal means, and the page that shows how many there were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from haru.collect.formats.format import MAX_BODY_BYTES
from haru.events.refusals import Refusal
from haru.sites import access
from haru.sites.pages.views import installation
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import Period
from haru.web.dashboard import chart
from haru.web.dashboard.breakdowns.panels import Cell, Line
from haru.web.dashboard.chart import Point
from haru.web.dashboard.state import State
from haru.web.dashboard.views import View
from haru.web.refusals import ledger
from haru.web.refusals.ledger import Ledger, Reason
from haru.web.templatetags.numbers import full, short, value_of

SETTINGS = "/sites/{domain}/settings"
COUNTING = "/sites/{domain}/settings/counting"

DEFAULT = "24h"  # the period at first: who misses a hit has just sent it, and most other periods end yesterday


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a person is told about one reason."""

    title: str
    meaning: str
    remedy: str  # how to change it, or why there is nothing to change
    page: str = ""  # where it is changed: SETTINGS or COUNTING; "" for nowhere on a page
    link: str = ""  # the text of the link there


EXPLANATIONS: dict[str, Explanation] = {
    Refusal.BOT: Explanation(
        title="Robot or program",
        meaning="The user agent is that of a crawler, a headless browser or a program, not of a person.",
        remedy="There is nothing to change for people. A program of yours counts when it sends the token in the "
        "Authorization header.",
    ),
    Refusal.PREFETCH: Explanation(
        title="Loaded ahead of time",
        meaning="The browser loaded the page in advance, and nobody has seen it.",
        remedy="There is nothing to change: the visit counts when the page is opened.",
    ),
    Refusal.SPAM_REFERRER: Explanation(
        title="Spam referrer",
        meaning="The referrer is a host that is known for faking visits to advertise itself.",
        remedy="There is nothing to change: the list of such hosts comes with Haru.",
    ),
    Refusal.UNKNOWN_SITE: Explanation(
        title="Unknown token",
        meaning="No site has the token that was sent. So it is not known whose hit it was: it is counted for the "
        "installation, never on the page of a site.",
        remedy="Copy the snippet again: a new token ends the old one at once.",
        page=SETTINGS,
        link="Snippet and token",
    ),
    Refusal.RATE_LIMITED: Explanation(
        title="Too many requests",
        meaning="One address sent more requests in a minute than it may.",
        remedy="Raise the site's rate limit, or HARU_RATE_LIMIT for all sites. Behind a reverse proxy set "
        "HARU_TRUSTED_PROXIES: without it all visitors have the proxy's address.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.EXCLUDED_ADDRESS: Explanation(
        title="Excluded address",
        meaning="The sender's address is one that this site does not count, such as your own.",
        remedy="Take the address off the site's list.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.EXCLUDED_COUNTRY: Explanation(
        title="Excluded country",
        meaning="The visitor is in a country that this site does not count.",
        remedy="Take the country off the site's list.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.EXCLUDED_PAGE: Explanation(
        title="Excluded page",
        meaning="The path of the page is one that this site does not count.",
        remedy="Take the page off the site's list.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.EXCLUDED_HOSTNAME: Explanation(
        title="Excluded host name",
        meaning="The host name of the page is one that this site does not count, such as a copy of it for testing.",
        remedy="Change the site's list of host names.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.OPTED_OUT: Explanation(
        title="Asked not to be counted",
        meaning="The browser sent Do Not Track or Global Privacy Control, and this site honours them.",
        remedy="Let the site no longer honour these signals.",
        page=COUNTING,
        link="What is counted",
    ),
    Refusal.NO_VISIT_FOR_ENGAGEMENT: Explanation(
        title="Reading without a visit",
        meaning="A page reported how long it was read, and there was no visit to add that to: it was over, or never "
        "counted. No visit and no pageview is lost.",
        remedy="There is nothing to change. If there are many, look whether pageviews are refused for another reason.",
    ),
    Refusal.DUPLICATE: Explanation(
        title="Sent twice",
        meaning="An event with this idempotency key was counted within the last 24 hours.",
        remedy="There is nothing to change when it was sent again. Else give each event a key (id) of its own.",
    ),
    Refusal.INVALID: Explanation(
        title="Cannot be read",
        meaning="The body of the request breaks a rule of the wire format. The sender got 400.",
        remedy="Send it with curl: the answer names the field and the fault. docs/wire.md has the rule of each field.",
    ),
    Refusal.TOO_LARGE: Explanation(
        title="Too large",
        meaning=f"The body of the request is larger than {MAX_BODY_BYTES // 1024} KiB. The sender got 413.",
        remedy="Send fewer or shorter properties with an event.",
    ),
}

# What the fields that `invalid` names stand for.
FIELDS: dict[str, str] = {
    "p": "page",
    "r": "referrer",
    "sw": "width of the screen",
    "sh": "height of the screen",
    "n": "name of the event",
    "d": "properties",
    "$": "revenue",
    "e": "engaged time",
    "sd": "depth of scrolling",
    "i": "interactive",
    "h": "host name",
    "tz": "time zone",
    "id": "idempotency key",
    "body": "not JSON in UTF-8",
}


def title(reason: str) -> str:
    """A reason for people."""
    told = EXPLANATIONS.get(reason)
    return told.title if told else reason


def reference() -> str:
    """Every reason as a table in Markdown; docs/refusals.md holds this text, and a test keeps it so."""
    rows = ["| reason | title | meaning | how to change it |", "|---|---|---|---|"]
    for reason, told in EXPLANATIONS.items():
        where = f" ({told.link})" if told.link else ""
        rows.append(f"| `{reason}` | {told.title} | {told.meaning} | {told.remedy}{where} |")
    return "\n".join(rows) + "\n"


@require_safe
@never_cache
@login_required
def page(request: HttpRequest, domain: str) -> HttpResponse:
    """What was not counted on a site and why, for everyone who may read its numbers.

    Hits with an unknown token belong to no site, and there is no one who may see all of an installation: they are not
    shown.
    """
    site = access.readable(request.user, domain)
    manages = access.role_of(request.user, site) in access.MANAGERS
    view = View(site, request, usual=DEFAULT)
    found = ledger.find(view.stats_site, view.state.date_range, view.now_ms)
    intervals = _intervals(view.zone, view.state, found.period)
    chosen = view.state.interval if view.state.interval in intervals else ""
    counted = ledger.read(view.stats_site, found, chosen, view.now_ms)
    robots, invalid = counted.of(Refusal.BOT), counted.of(Refusal.INVALID)
    context = {
        "site": site,
        "state": view.state,
        "address": view.state.address() if request.GET else "",  # without one the dashboard knows what it was
        **view.choices(),
        "manages": manages,
        "counted": counted,
        "totals": _totals(counted),
        "chart": _chart(view, counted, intervals),
        "rows": [_row(reason, counted.refused, site.domain, manages) for reason in counted.reasons],
        "others": [
            _row(counted.of(name), 0, site.domain, manages) for name in EXPLANATIONS if not counted.of(name).count
        ],
        "heads": ("Requests",),
        "breakdowns": [
            {
                "name": "crawlers",
                "title": "AI crawlers",
                "tab": {"label": "AI crawlers", "head": "Crawler"},
                "lines": _lines(robots.details, "brand"),
                "nothing": "No crawler of an AI company came by in this period.",
            },
            {
                "name": "fields",
                "title": "Cannot be read, by field",
                "tab": {"label": "Fields at fault", "head": "Field of the body"},
                "lines": _lines(tuple((_field(name), count) for name, count in invalid.details), ""),
                "nothing": "Every body could be read in this period.",
            },
        ],
    }
    if manages:
        context["curl"] = installation(site)["curl"].replace("curl ", "curl -i ", 1)  # -i shows the answer's headers
    return render(request, "refusals/refusals.html", context)


def _intervals(zone: ZoneInfo, state: State, period: Period) -> tuple[str, ...]:
    """The intervals to choose from: those of the dashboard that are not shorter than the ledger's hours."""
    return tuple(unit for unit in chart.intervals(zone, replace(state, period=""), period) if unit != "minute")


def _totals(counted: Ledger) -> list[tuple[str, str, str]]:
    """Label, number and the number with every digit."""
    accepted, refused = counted.accepted, counted.refused
    share = value_of(refused / (accepted + refused) * 100 if refused else 0, "percentage")
    return [
        ("Accepted", short(accepted), full(accepted)),
        ("Refused", short(refused), full(refused)),
        ("Share refused", share, share),
    ]


def _chart(view: View, counted: Ledger, intervals: tuple[str, ...]) -> dict[str, Any]:
    zone, period, unit = view.zone, counted.period, counted.interval
    today = periods.wall(zone, view.now_ms).date()
    count = len(counted.buckets) + len(counted.coming)
    points = []
    for bucket in counted.buckets:
        refused = sum(bucket.refused.values())
        numbers = (bucket.accepted, full(bucket.accepted), refused, full(refused))
        points.append(Point(*chart.spoken(bucket.label, unit, count), *numbers, unfinished=False))
    if points and view.now_ms in period:
        points[-1] = replace(points[-1], unfinished=True)
    points += [Point(*chart.spoken(label, unit, count), None, "", None, "", False) for label in counted.coming]
    return {
        "name": chart.named(zone, (period.start_ms, period.end_ms), today),
        "interval": unit,
        "intervals": tuple(dict.fromkeys((*intervals, unit))),
        "points": points,
    }


def _row(reason: Reason, whole: int, domain: str, manages: bool) -> dict[str, Any]:
    """A reason as the table shows it; only who manages the site is led to its settings."""
    told = EXPLANATIONS.get(reason.name)
    return {
        "name": reason.name,
        "title": title(reason.name),
        "told": told,
        "address": told.page.format(domain=domain) if told and manages else "",
        "count": short(reason.count),
        "exact": full(reason.count),
        "share": value_of(reason.count / whole * 100 if whole else 0, "percentage"),
    }


def _lines(counts: tuple[tuple[str, int], ...], mark: str) -> list[Line]:
    most = max((count for _, count in counts), default=1)
    return [
        Line(text, text, mark, text, f"{max(0.5, count / most * 100):.1f}%", (Cell(short(count), full(count)),))
        for text, count in counts
    ]


def _field(name: str) -> str:
    return f"{name} ({FIELDS[name]})" if name in FIELDS else name
