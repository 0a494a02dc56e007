"""The panels of a dashboard: what each asks, and what its rows show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from haru.events.countries import country_name
from haru.events.event import NOT_SET
from haru.stats.answers import Answer, Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.metrics import METRICS as STATS
from haru.stats.vocabulary.metrics import Number, change
from haru.stats.vocabulary.places import region_name
from haru.web.dashboard import filters
from haru.web.dashboard.state import METRICS, TABS, State
from haru.web.templatetags.numbers import NO_DATA, days, exact_value_of, value_of

PANEL_ROWS = 9
DETAIL_ROWS = 100
DETAIL_METRICS = ("visitors", "percentage", "visits", "pageviews", "bounce_rate", "visit_duration")
DETAIL_LABELS = {**METRICS, "visitors": "Visitors", "percentage": "Share"}

# In which direction a change is welcome: fewer bounces are.
FALLING_IS_GOOD = {"bounce_rate"}
MANY_VISITORS = (
    "Visitors are counted per day, without cookies: someone who comes on three days counts as up to three visitors."
)


@dataclass(frozen=True, slots=True)
class Tab:
    """One breakdown of a panel."""

    name: str
    label: str  # of the tab
    head: str  # of its column
    dimension: str
    mark: str = ""  # what stands before the text: "brand", "flag" or nothing
    set_only: bool = False  # rows of what is not known say nothing here


_PANELS: dict[str, tuple[str, tuple[Tab, ...]]] = {
    "sources": (
        "Sources",
        (
            Tab("sources", "Sources", "Source", "visit:source", "brand"),
            Tab("channels", "Channels", "Channel", "visit:channel"),
            Tab("campaigns", "Campaigns", "Campaign", "visit:utm_campaign", set_only=True),
        ),
    ),
    "pages": (
        "Pages",
        (
            Tab("pages", "Pages", "Page", "event:page"),
            Tab("entry", "Entry", "Entry page", "visit:entry_page", set_only=True),
            Tab("exit", "Exit", "Exit page", "visit:exit_page", set_only=True),
        ),
    ),
    "locations": (
        "Locations",
        (
            Tab("countries", "Countries", "Country", "visit:country", "flag"),
            Tab("regions", "Regions", "Region", "visit:region", "region"),
        ),
    ),
    "devices": (
        "Devices",
        (
            Tab("browsers", "Browsers", "Browser", "visit:browser", "brand"),
            Tab("os", "OS", "Operating system", "visit:os", "brand"),
            Tab("devices", "Devices", "Device", "visit:device", "device"),
            Tab("screens", "Screen", "Screen size", "visit:screen"),
        ),
    ),
}
assert {name: tuple(tab.name for tab in tabs) for name, (_, tabs) in _PANELS.items()} == TABS
NAMES = tuple(_PANELS)
ALL_TABS = tuple(tab for _, tabs in _PANELS.values() for tab in tabs)


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a row."""

    text: str
    exact: str


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a panel."""

    value: str  # as the store has it
    text: str  # as it is shown
    mark: str  # brand, flag, a device, or nothing
    code: str  # what the mark is looked up by
    width: str  # of its bar, such as "63.2%"
    cells: tuple[Cell, ...]
    beside: str = ""  # the country of a region: another may have the same name
    address: str = ""  # of the view of this row alone; of the view without that filter when it is in force
    chosen: bool = False  # it is the value of a filter


@dataclass(frozen=True, slots=True)
class Panel:
    """What a template shows of one panel."""

    name: str
    title: str
    tabs: tuple[Tab, ...]
    tab: Tab
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    cost_ms: float
    computed_at_ms: int
    total_rows: int


@dataclass(frozen=True, slots=True)
class Change:
    """How a number differs from the period compared with."""

    text: str  # "18%" or "3 pt", without a sign; a dash where there was nothing to differ from
    rising: bool
    good: bool | None  # None: unchanged


@dataclass(frozen=True, slots=True)
class Total:
    """One of the top numbers."""

    metric: str
    label: str
    text: str
    exact: str
    change: Change | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The top numbers."""

    totals: tuple[Total, ...]
    against: str  # the part of the other period that one which still runs is compared with; "" for a whole one
    cost_ms: float
    computed_at_ms: int


def panel(reports: Reports, site: StatsSite, state: State, name: str, now_ms: int, *, details: bool = False) -> Panel:
    """One panel with its open tab; `details` gives more rows and more numbers in each. Raises `StoreUnavailable`."""
    title, tabs = _PANELS[name]
    tab = next(tab for tab in tabs if tab.name == state.tab(name))
    metrics = DETAIL_METRICS if details else ("visitors",)
    answer = reports.answer(site, _breakdown(tab, state, metrics, details), now_ms)
    most = max((row.metrics[0] for row in answer.rows), default=0)
    lines = tuple(_line(tab, state, str(row.dimensions[0]), row.metrics, metrics, most) for row in answer.rows)
    heads = tuple(DETAIL_LABELS[metric] for metric in metrics)
    return Panel(name, title, tabs, tab, heads, lines, answer.cost_ms, answer.computed_at_ms, answer.total_rows or 0)


def without_numbers(state: State, name: str) -> dict[str, object]:
    """What a template shows of a panel whose numbers are unavailable."""
    title, tabs = _PANELS[name]
    return {"name": name, "title": title, "tabs": tabs, "tab": next(t for t in tabs if t.name == state.tab(name))}


def totals(reports: Reports, site: StatsSite, state: State, now_ms: int) -> Totals:
    """The top numbers, each with its change. Raises `StoreUnavailable`."""
    names = tuple(METRICS)
    include = Include(comparisons=state.comparison)
    answer = reports.answer(site, Query(names, state.date_range, filters=state.filters, include=include), now_ms)
    row = answer.rows[0]
    before = row.comparison.metrics if row.comparison else None
    shown = tuple(
        Total(
            name,
            METRICS[name],
            value_of(now, name),
            exact_value_of(now, name),
            _changed(name, now, before[place]) if before else None,
        )
        for place, (name, now) in enumerate(zip(names, row.metrics, strict=True))
    )
    return Totals(shown, _against(ZoneInfo(site.timezone), answer, now_ms), cost(answer), answer.computed_at_ms)


def _against(zone: ZoneInfo, answer: Answer, now_ms: int) -> str:
    start, end = answer.period
    if answer.comparison is None or not start <= answer.computed_at_ms < end:  # one that rolls ended then
        return ""
    first, last = (periods.wall(zone, at) for at in (answer.comparison.period[0], answer.comparison.period[1] - 1))
    return f"{days(first.date(), last.date(), today=periods.wall(zone, now_ms).date())} until {last:%H:%M}"


def cost(answer: Answer) -> float:
    """What it took to compute an answer and what it is compared with, ms."""
    return answer.cost_ms + (answer.comparison.cost_ms if answer.comparison else 0.0)


def tab_named(name: str) -> Tab | None:
    """The tab of this name, of whichever panel."""
    return next((tab for tab in ALL_TABS if tab.name == name), None)


def exported(tab: Tab, state: State, limit: int, offset: int) -> Query:
    """The rows of a tab with all their numbers, some at a time."""
    query = _breakdown(tab, state, DETAIL_METRICS, details=True)
    return replace(query, include=Include(), limit=limit, offset=offset)


def _breakdown(tab: Tab, state: State, metrics: tuple[str, ...], details: bool) -> Query:
    known = (Leaf("is_not", tab.dimension, (NOT_SET,)),) if tab.set_only else ()
    return Query(
        metrics,
        state.date_range,
        (tab.dimension,),
        (*known, *state.filters),
        include=Include(total_rows=details),
        limit=DETAIL_ROWS if details else PANEL_ROWS,
    )


def difference(metric: str, now: Number | None, then: Number | None) -> Number | None:
    """How much a number changed, in per cent or points; None when there was nothing before, or there is no data."""
    if then == 0 and not STATS[metric].points:
        return None
    return change(metric, now, then)


def _line(
    tab: Tab, state: State, value: str, numbers: tuple[Number, ...], metrics: tuple[str, ...], most: Number
) -> Line:
    width = f"{max(0.5, numbers[0] / most * 100):.1f}%" if most else "0%"
    cells = tuple(
        Cell(value_of(number, metric), exact_value_of(number, metric))
        for number, metric in zip(numbers, metrics, strict=True)
    )
    text = {"flag": country_name, "region": region_name}.get(tab.mark, str)(value)
    mark = "link" if value == "Direct / None" else "flag" if tab.mark == "region" else tab.mark
    code = value.partition("-")[0] if tab.mark == "region" else value
    beside = country_name(code) if tab.mark == "region" and text != NOT_SET else ""
    chosen = Leaf("is", tab.dimension, (value,)) in state.filters
    address = state.address(filters=filters.narrowed(state.filters, tab.dimension, value), details="")
    return Line(value, text, mark, code, width, cells, beside, address, chosen)


def _changed(metric: str, now: Number | None, then: Number | None) -> Change:
    found = difference(metric, now, then)
    if found is None:
        return Change(NO_DATA, False, None)
    text = f"{abs(found):.0f}{' pt' if STATS[metric].points else '%'}"
    good = None if found == 0 else (found > 0) != (metric in FALLING_IS_GOOD)
    return Change(text, found > 0, good)
