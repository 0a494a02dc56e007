"""What a dashboard shows, as its address says it: period, filters, comparison, metric, interval, each open tab, and
of details the order, the search and the page.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from urllib.parse import urlencode

from haru.clock import MINUTE_MS
from haru.events.text import storable
from haru.stats.vocabulary import dimensions
from haru.stats.vocabulary.dimensions import PROPERTY
from haru.stats.vocabulary.filters import Filter
from haru.stats.vocabulary.metrics import METRICS as STATS
from haru.stats.vocabulary.periods import Comparison, DateRange, Dates, Instants, milliseconds, moment
from haru.web.dashboard import filters
from haru.web.dashboard.breakdowns import tabs

PERIODS: dict[str, str] = {
    "realtime": "Realtime",
    "day": "Today",
    "yesterday": "Yesterday",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "28d": "Last 28 days",
    "30d": "Last 30 days",
    "91d": "Last 91 days",
    "month": "This month",
    "year": "This year",
    "6mo": "Last 6 months",
    "12mo": "Last 12 months",
    "all": "All time",
}
CUSTOM = "custom"
# The key that leads to a period, on a page where keys are on.
KEYS: dict[str, str] = {
    "realtime": "R",
    "day": "D",
    "yesterday": "E",
    "24h": "H",
    "7d": "W",
    "28d": "F",
    "30d": "T",
    "month": "M",
    "year": "Y",
    "12mo": "L",
    "all": "A",
}

COMPARISONS: dict[str, str] = {
    "previous": "Previous period",
    "year": "Same period last year",
    "none": "No comparison",
}
_MODES = {"previous": "previous_period", "year": "year_over_year"}

INTERVALS: dict[str, str] = {"minute": "Minutes", "hour": "Hours", "day": "Days", "week": "Weeks", "month": "Months"}

METRICS: dict[str, str] = {
    "visitors": "Unique visitors",
    "visits": "Visits",
    "pageviews": "Pageviews",
    "views_per_visit": "Views per visit",
    "bounce_rate": "Bounce rate",
    "visit_duration": "Visit duration",
}

# Panel → the names of its tabs, the first of which is open at first.
TABS = {panel: tuple(tab.name for tab in group.tabs) for panel, group in tabs.PANELS.items()}
TABS[tabs.GOALS] = (tabs.GOAL_TAB.name, tabs.PROPERTIES, tabs.EVENT_TAB.name)

_OF_DETAILS = {"sort", "search", "page"}
BY_NAME = "name"
MAX_SEARCH = 200  # characters
MAX_PAGE = 10_000

OLDEST = date(1990, 1, 1)
LATEST = date(2200, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One view of a dashboard. "" for the period or the interval: what suits the site and the period."""

    period: str = ""
    first: date | None = None  # of a custom period, or the one day of the period `day`
    last: date | None = None
    minutes: Instants | None = None  # of a custom period that is not made of days: whole minutes
    interval: str = ""
    compare: str = "previous"
    metric: str = "visitors"
    sources: str = "sources"
    pages: str = "pages"
    locations: str = "countries"
    devices: str = "browsers"
    goals: str = "goals"
    prop: str = ""  # the key whose values the tab of properties has; "" for the one of most visitors
    details: str = ""  # the panel that is shown alone, with all its numbers
    sort: str = ""  # of its rows: a metric or "name", and ".asc" or ".desc"; "" for most visitors first
    search: str = ""  # what the names of its rows contain
    page: int = 1  # of its rows
    filters: tuple[Filter, ...] = ()

    @property
    def date_range(self) -> DateRange:
        """The period as a question names it."""
        if self.first is not None and self.last is not None:
            return Dates(self.first, self.last)
        if self.period == CUSTOM and self.minutes is not None:
            return self.minutes
        return self.period

    @property
    def comparison(self) -> Comparison | None:
        """What the period is compared with, to the same moment while it runs; there is nothing before all time."""
        if self.compare == "none" or self.period == "all":
            return None
        return Comparison(_MODES[self.compare], to_now=True)

    def tab(self, panel: str) -> str:
        """The open tab of a panel."""
        return str(getattr(self, panel))

    @property
    def sorting(self) -> tuple[str, str]:
        """By what the rows of details are sorted, and in which direction."""
        name, _, direction = (self.sort or "visitors.desc").partition(".")
        return name, direction

    def address(self, **changes: object) -> str:
        """The query string of this view with these changes: what is as it is at first is left out.

        Another view begins at its first page, and another tab has other names to search.
        """
        changes = ({"page": 1, "search": ""} if changes.keys() & TABS.keys() else {"page": 1}) | changes
        return "?" + urlencode(replace(self, **changes).pairs())  # type: ignore[arg-type]

    @property
    def habit(self) -> str:
        """The query string of what a person is likely to want again: no filters, no days of the calendar."""
        dated = {"period": "", "interval": ""} if self.first or self.minutes else {}
        plain = {"first": None, "last": None, "minutes": None, "filters": (), "details": "", "sort": "", "search": ""}
        return self.address(**plain | dated).removeprefix("?")

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the query string; `date` is the day of `day`, `from` and `to` a custom period.

        These are days, or minutes in UTC; both are included.
        """
        written = []
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                value == field.default
                or field.name in {"first", "last", "minutes"}
                or (field.name in _OF_DETAILS and not self.details)
            ):
                continue
            written.append((field.name, filters.text_of(value) if field.name == "filters" else str(value)))
        if self.first is not None and self.period == "day":
            written.append(("date", self.first.isoformat()))
        elif self.first is not None and self.last is not None:
            written += [("from", self.first.isoformat()), ("to", self.last.isoformat())]
        elif self.period == CUSTOM and self.minutes is not None:
            written += [("from", minute_text(self.minutes.first_ms)), ("to", minute_text(self.minutes.last_ms))]
        return written


def read(parameters: Mapping[str, str], usual: str, chosen_filters: tuple[Filter, ...] = ()) -> State:
    """The view in a query string; `usual` is the period of a site when none is named. Filters are read before.

    An address is typed, shared and kept for years: what cannot be used in it is left aside and the usual shown.
    """
    chosen: dict[str, object] = {
        "compare": _one(parameters, "compare", COMPARISONS),
        "metric": _one(parameters, "metric", METRICS),
        "interval": _one(parameters, "interval", INTERVALS),
        "details": _one(parameters, "details", TABS),
        "sort": _sort(parameters.get("sort", "")),
        "search": storable(parameters.get("search", "").strip())[:MAX_SEARCH],
        "prop": _property(parameters.get("prop", "")),
        "page": _page(parameters.get("page", "")),
        **{panel: _one(parameters, panel, tabs) for panel, tabs in TABS.items()},
    }
    state = replace(State(**_period(parameters, usual)), filters=chosen_filters)  # type: ignore[arg-type]
    return replace(state, **{name: value for name, value in chosen.items() if value})  # type: ignore[arg-type]


def _one(parameters: Mapping[str, str], name: str, choices: Collection[str]) -> str:
    value = parameters.get(name, "")
    return value if value in choices else ""


def _sort(text: str) -> str:
    name, _, direction = text.partition(".")
    return text if name in {*STATS, BY_NAME} and direction in {"asc", "desc"} else ""


def _property(text: str) -> str:
    return text if storable(text) == text and dimensions.known(PROPERTY + text) else ""


def _page(text: str) -> int:
    # Not str.isdigit: other digits than these are no page of ours.
    return min(int(text), MAX_PAGE) if re.fullmatch("[0-9]{1,9}", text) else 0


def _period(parameters: Mapping[str, str], usual: str) -> dict[str, object]:
    period = parameters.get("period", "")
    if period == CUSTOM or (not period and "from" in parameters):
        ends = parameters.get("from", ""), parameters.get("to", "")
        days = sorted(day for day in map(_date, ends) if day is not None)
        if len(days) == 2:
            return {"period": CUSTOM, "first": days[0], "last": days[1]}
        minutes = sorted(at for at in map(_minute, ends) if at is not None)
        if len(minutes) == 2:
            return {"period": CUSTOM, "minutes": Instants(minutes[0], minutes[1] + MINUTE_MS - 1)}
    elif period == "day" and (day := _date(parameters.get("date", ""))):
        return {"period": period, "first": day, "last": day}
    return {"period": period if period in PERIODS else usual}


def _date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if OLDEST <= day <= LATEST else None


def minute_text(at_ms: int) -> str:
    """The minute of an instant as an address has it, in UTC: the clocks of a site's zone show some of them twice."""
    return f"{moment(at_ms):%Y-%m-%dT%H:%MZ}"


def _minute(text: str) -> int | None:
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%MZ")
    except ValueError:
        return None
    return milliseconds(at) if OLDEST <= at.date() <= LATEST else None
