"""The panels of a dashboard: what each asks, and what its rows show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from haru.events.countries import country_name
from haru.events.event import NO_SOURCE, NOT_SET, UNKNOWN
from haru.stats import suggestions
from haru.stats.answers import Answer, Reports, Row
from haru.stats.plan import StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.dimensions import GOAL, KEYS, PROPERTY, known, of
from haru.stats.vocabulary.filters import Filter, Leaf
from haru.stats.vocabulary.metrics import METRICS as STATS
from haru.stats.vocabulary.metrics import Number, Value, change
from haru.web.dashboard import filters
from haru.web.dashboard.breakdowns import tabs
from haru.web.dashboard.breakdowns.tabs import Group, Menu, Tab
from haru.web.dashboard.state import METRICS, State
from haru.web.templatetags.numbers import NO_DATA, days, exact_value_of, value_of

PANEL_ROWS = 9
MAX_KEYS = 100  # of properties, in a menu

# In which direction a change is welcome: fewer bounces and exits are.
FALLING_IS_GOOD = {"bounce_rate", "exit_rate"}
MANY_VISITORS = (
    "Visitors are counted per day, without cookies: someone who comes on three days counts as up to three visitors."
)


NAMES = (*tabs.PANELS, tabs.GOALS)


@dataclass(frozen=True, slots=True)
class Change:
    """How a number differs from the period compared with."""

    text: str  # "18%" or "3 pt", without a sign; a dash where there was nothing to differ from
    rising: bool
    good: bool | None  # None: unchanged


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a row."""

    text: str
    exact: str
    change: Change | None = None  # None: compared with nothing


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a panel."""

    value: str  # as the store has it
    text: str  # as it is shown
    mark: str  # brand, flag, a device, or nothing
    code: str  # what the mark is looked up by
    width: str  # of its bar, such as "63.2%"
    cells: tuple[Cell, ...]
    beside: str = ""  # the country of a place: another may have the same name
    address: str = ""  # of the view of this row alone; of the view without that filter when it is in force
    chosen: bool = False  # it is the value of a filter
    badge: str = ""  # the revenue of a goal


@dataclass(frozen=True, slots=True)
class Choice:
    """What a tab's link shows, and where it leads; a menu has choices of its own."""

    label: str
    address: str
    current: bool
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """What a template shows of one panel."""

    name: str
    title: str
    entries: tuple[Choice, ...]
    tab: Tab
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    cost_ms: float
    computed_at_ms: int


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
    any: bool  # somebody was there
    cost_ms: float
    computed_at_ms: int


def panel(reports: Reports, site: StatsSite, state: State, name: str, now_ms: int) -> Panel:
    """One panel with its open tab. Raises `StoreUnavailable`."""
    group = group_of(reports, site, state, name, now_ms)
    tab = open_tab(group, state, name)
    metrics = tuple(metric for metric, _ in tab.columns)
    paid = ("total_revenue",) if tab.dimension == GOAL and any(goal.currency for goal in site.goals) else ()
    query = replace(breakdown(tab, state, (*metrics, *paid)), limit=PANEL_ROWS)
    answer = reports.answer(site, query, now_ms)
    shown = lines(name, tab, state, answer.rows, query.metrics)
    return Panel(
        name=name,
        title=group.title,
        entries=entries(group, state, name),
        tab=tab,
        heads=tuple(head for _, head in tab.columns),
        lines=tuple(_with_badge(line) for line in shown) if paid else shown,
        cost_ms=answer.cost_ms,
        computed_at_ms=answer.computed_at_ms,
    )


def _with_badge(line: Line) -> Line:
    *cells, revenue = line.cells
    return replace(line, cells=tuple(cells), badge="" if revenue.text == NO_DATA else revenue.text)


def without_numbers(site: StatsSite, state: State, name: str) -> dict[str, object]:
    """What a template shows of a panel whose numbers are unavailable."""
    group = _group(site, state, name, ())
    return {
        "name": name,
        "title": group.title,
        "entries": entries(group, state, name),
        "tab": open_tab(group, state, name),
    }


def group_of(reports: Reports, site: StatsSite, state: State, name: str, now_ms: int) -> Group:
    """The panel of this name with the tabs that the site has for it. Raises `StoreUnavailable`."""
    return _group(site, state, name, _keys(reports, site, state, now_ms) if name == tabs.GOALS else ())


def _group(site: StatsSite, state: State, name: str, keys: tuple[str, ...]) -> Group:
    if name != tabs.GOALS:
        return tabs.PANELS[name]
    chosen = (state.prop,) if state.prop and state.prop not in keys else ()
    return tabs.goals_group(bool(site.goals), (*keys, *chosen))


def has_goals(reports: Reports, site: StatsSite, state: State, now_ms: int) -> bool:
    """Whether there is something to show beside pageviews: goals, properties or other events."""
    if site.goals or state.prop or _keys(reports, site, state, now_ms):
        return True
    query = replace(breakdown(tabs.EVENT_TAB, replace(state, filters=()), ("visitors",)), limit=1)
    return bool(reports.answer(site, query, now_ms).rows)


def _keys(reports: Reports, site: StatsSite, state: State, now_ms: int) -> tuple[str, ...]:
    """The keys of properties in the period, those of most visitors first: the question that menus of filters ask."""
    query = Query(("visitors",), state.date_range, (KEYS.name,), limit=suggestions.SEARCHED)
    found = (str(row.dimensions[0]) for row in reports.answer(site, query, now_ms).rows)
    return tuple(key for key in found if known(PROPERTY + key))[:MAX_KEYS]


def open_tab(group: Group, state: State, name: str) -> Tab:
    """The open tab of a panel; its first one when the site has none like it."""
    like = [tab for tab in group.tabs if tab.name == state.tab(name)]
    return next((tab for tab in like if tab.key == state.prop), (like or group.tabs)[0])


def entries(group: Group, state: State, name: str) -> tuple[Choice, ...]:
    """The links to the tabs of a panel. A menu bears the name of its tab that is open."""
    chosen = open_tab(group, state, name)
    found = []
    for entry in group.entries:
        listed = entry.tabs if isinstance(entry, Menu) else (entry,)
        choices = tuple(Choice(tab.label, _tab_address(state, name, tab), tab == chosen) for tab in listed)
        if isinstance(entry, Menu):
            label = next((choice.label for choice in choices if choice.current), entry.label)
            found.append(Choice(label, "", chosen in listed, choices))
        else:
            found += choices
    return tuple(found)


def _tab_address(state: State, name: str, tab: Tab) -> str:
    return state.address(**{name: tab.name}, **({"prop": tab.key} if name == tabs.GOALS else {}))


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
            changed(name, now, before[place]) if before else None,
        )
        for place, (name, now) in enumerate(zip(names, row.metrics, strict=True))
    )
    return Totals(
        shown, _against(ZoneInfo(site.timezone), answer, now_ms), any(row.metrics), cost(answer), answer.computed_at_ms
    )


def _against(zone: ZoneInfo, answer: Answer, now_ms: int) -> str:
    start, end = answer.period
    if answer.comparison is None or not start <= answer.computed_at_ms < end:  # one that rolls ended then
        return ""
    first, last = (periods.wall(zone, at) for at in (answer.comparison.period[0], answer.comparison.period[1] - 1))
    return f"{days(first.date(), last.date(), today=periods.wall(zone, now_ms).date())} until {last:%H:%M}"


def cost(answer: Answer) -> float:
    """What it took to compute an answer and what it is compared with, ms."""
    return answer.cost_ms + (answer.comparison.cost_ms if answer.comparison else 0.0)


def breakdown(tab: Tab, state: State, metrics: tuple[str, ...]) -> Query:
    """The question for every row of a tab."""
    hidden = (*((of(tab.dimension).empty,) if tab.known_only else ()), *tab.hidden)
    shown = (Leaf("is_not", tab.dimension, hidden),) if hidden else ()
    return Query(metrics, state.date_range, tab.dimensions, (*shown, *state.filters))


def difference(metric: str, now: Value, then: Value) -> Number | None:
    """How much a number changed, in per cent or points; None when there was nothing before, or there is no data."""
    if then == 0 and not STATS[metric].points:
        return None
    return change(metric, now, then)


def lines(name: str, tab: Tab, state: State, rows: Sequence[Row], metrics: tuple[str, ...]) -> tuple[Line, ...]:
    """The rows of an answer as they are shown; the bars compare the first metric of these rows."""
    most = max((row.metrics[0] for row in rows), default=0)
    return tuple(_line(name, tab, state, row, metrics, most) for row in rows)


def _line(name: str, tab: Tab, state: State, row: Row, metrics: tuple[str, ...], most: Number) -> Line:
    width = f"{max(0.5, row.metrics[0] / most * 100):.1f}%" if most else "0%"
    values = values_of(row)
    chosen = all(Leaf("is", each, (value,)) in state.filters for each, value in _places(tab, values))
    into = {name: tab.opens} if tab.opens and not chosen and values[-1] not in UNKNOWN else {}
    address = state.address(filters=_narrowed(tab, state, values, chosen), details="", **into)
    return Line(values[-1], *_written(tab, values), width, _cells(row, metrics), _beside(tab, values), address, chosen)


def values_of(row: Row) -> tuple[str, ...]:
    """What the row is of, as filters name it."""
    return tuple(map(str, row.dimensions))


def _cells(row: Row, metrics: tuple[str, ...]) -> tuple[Cell, ...]:
    before = row.comparison.metrics if row.comparison else None
    return tuple(
        Cell(
            value_of(number, metric),
            exact_value_of(number, metric),
            changed(metric, number, before[place]) if before else None,
        )
        for place, (number, metric) in enumerate(zip(row.metrics, metrics, strict=True))
    )


def _places(tab: Tab, values: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """By which dimensions and values a row filters: a city says which country it is in, a version no browser."""
    pairs = tuple(zip(tab.dimensions, values, strict=True))
    return pairs[-1:] if tab.mark == "city" and values[-1] != NOT_SET else pairs


def _narrowed(tab: Tab, state: State, values: tuple[str, ...], chosen: bool) -> tuple[Filter, ...]:
    trees = state.filters
    for dimension, value in _places(tab, values):
        if chosen or Leaf("is", dimension, (value,)) not in trees:
            trees = filters.narrowed(trees, dimension, value)
    return trees


def _written(tab: Tab, values: tuple[str, ...]) -> tuple[str, str, str]:
    """The text of a row, its mark and what the mark is looked up by."""
    value = values[-1]
    text = text_of(tab, values)
    if tab.mark in {"region", "city"}:
        return text, "flag", values[0].partition("-")[0]
    return text, "link" if value == NO_SOURCE else tab.mark, values[0]


def text_of(tab: Tab, values: tuple[str, ...]) -> str:
    """What people call the values of a row: a country by its name, a version with its browser."""
    text = filters.value_name(tab.dimension, values[-1])
    return f"{values[0]} {text}" if tab.of and tab.mark != "city" else text


def _beside(tab: Tab, values: tuple[str, ...]) -> str:
    """The country of a place."""
    if tab.mark not in {"region", "city"} or values[0] == NOT_SET:
        return ""
    return country_name(values[0].partition("-")[0])


def changed(metric: str, now: Value, then: Value) -> Change:
    """How a number differs from the one before, as it is shown."""
    found = difference(metric, now, then)
    if found is None:
        return Change(NO_DATA, False, None)
    text = f"{abs(found):.1f}".removesuffix(".0") + (" pt" if STATS[metric].points else "%")
    good = None if found == 0 else (found > 0) != (metric in FALLING_IS_GOOD)
    return Change(text, found > 0, good)
