"""Details: a tab of a panel with all its rows and all numbers that make sense for them, sorted, searched, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from haru.stats.answers import Reports, Row
from haru.stats.plan import ALL_ROWS, StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import filters
from haru.stats.vocabulary.metrics import METRICS as STATS
from haru.stats.vocabulary.metrics import MetricUse
from haru.web.dashboard.breakdowns import panels
from haru.web.dashboard.breakdowns.panels import Choice, Line
from haru.web.dashboard.breakdowns.tabs import Tab
from haru.web.dashboard.state import BY_NAME, METRICS, State

PAGE_ROWS = 100
# In the order of their columns; a tab has those that make sense for it, behind those of its panel.
LABELS = {
    "visitors": "Visitors",
    "percentage": "Share",
    "conversion_rate": "Conversion rate",
    "total_revenue": "Revenue",
    "average_revenue": "Average revenue",
    "visits": METRICS["visits"],
    "pageviews": METRICS["pageviews"],
    "events": "Events",
    "views_per_visit": METRICS["views_per_visit"],
    "bounce_rate": METRICS["bounce_rate"],
    "visit_duration": METRICS["visit_duration"],
    "time_on_page": "Time on page",
    "scroll_depth": "Scroll depth",
    "exit_rate": "Exit rate",
}
_REVENUE = {"total_revenue", "average_revenue"}
TOO_MANY = "There are too many rows to be compared, searched or sorted so: choose a shorter period, or no comparison."


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column."""

    name: str
    label: str
    meaning: str
    address: str  # of the view that is sorted by it; of the other direction when it is
    sort: str  # ascending or descending, or "" when rows are not sorted by it


@dataclass(frozen=True, slots=True)
class Details:
    """What a template shows."""

    name: str
    title: str
    entries: tuple[Choice, ...]
    tab: Tab
    head: Head  # of the names
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    total_rows: int  # of all pages
    first: int  # the place of the first of these lines among them, from 1
    last: int
    before: str  # the address of the page before; "" when there is none
    after: str


def details(reports: Reports, site: StatsSite, state: State, now_ms: int) -> Details:
    """The page of details in the address. Raises `StoreUnavailable`, and `QueryError` for too many rows."""
    group = panels.group_of(reports, site, state, state.details, now_ms)
    tab = panels.open_tab(group, state, state.details)
    names = metrics_of(tab, state, site)
    labels = {**LABELS, **dict(tab.columns)}
    sorting = _sorting(state, names)
    offset = (state.page - 1) * PAGE_ROWS
    rows, total = found(reports, site, state, tab, PAGE_ROWS, offset, now_ms)
    last = offset + len(rows)
    return Details(
        name=state.details,
        title=group.title,
        entries=panels.entries(group, state, state.details),
        tab=tab,
        head=_head(state, sorting, BY_NAME, tab.head, "", "asc"),
        heads=tuple(_head(state, sorting, name, labels[name], STATS[name].meaning, "desc") for name in names),
        lines=panels.lines(state.details, tab, state, rows, names),
        total_rows=total,
        first=offset + 1,
        last=last,
        before=state.address(page=state.page - 1) if state.page > 1 else "",
        after=state.address(page=state.page + 1) if last < total and rows else "",
    )


def _sorting(state: State, names: tuple[str, ...]) -> tuple[str, str]:
    """That of the address, where there is such a column."""
    by, direction = state.sorting
    return (by, direction) if by in names or by == BY_NAME else (names[0], "desc")


def _head(state: State, sorting: tuple[str, str], name: str, label: str, meaning: str, usual: str) -> Head:
    by, direction = sorting
    if by != name:
        return Head(name, label, meaning, state.address(sort=f"{name}.{usual}"), "")
    other = "asc" if direction == "desc" else "desc"
    return Head(name, label, meaning, state.address(sort=f"{name}.{other}"), f"{direction}ending")


def metrics_of(tab: Tab, state: State, site: StatsSite) -> tuple[str, ...]:
    """The metrics that have an answer for the rows of a tab under the filters."""
    query = panels.breakdown(tab, state, ())
    filtered = frozenset(leaf.dimension for leaf in filters.leaves(query.filters, done=False))
    asked = MetricUse(query.dimensions, filtered)
    pays = "event:goal" in asked.names and any(goal.currency for goal in site.goals)
    listed = dict.fromkeys((*(name for name, _ in tab.columns), *LABELS))
    sensible = (name for name in listed if not any(rule.broken(asked) for rule in STATS[name].rules))
    return tuple(name for name in sensible if pays or name not in _REVENUE)


def found(
    reports: Reports, site: StatsSite, state: State, tab: Tab, limit: int, offset: int, now_ms: int
) -> tuple[Sequence[Row], int]:
    """Some of the rows as the view sorts and searches them, and how many there are.

    What is searched and sorted by is the name that people read, which the store does not know of each value.
    """
    query, (by, direction) = _query(tab, state, site)
    if not state.search and by != BY_NAME:
        answer = reports.answer(site, replace(query, limit=limit, offset=offset), now_ms)
        return answer.rows, answer.total_rows or 0
    rows = [row for row in reports.answer(site, query, now_ms).rows if _fits(tab, row, state.search)]
    if by == BY_NAME:
        rows.sort(key=lambda row: _name(tab, row), reverse=direction == "desc")
    return rows[offset : offset + limit], len(rows)


def _query(tab: Tab, state: State, site: StatsSite) -> tuple[Query, tuple[str, str]]:
    """The question for all rows, and by what they are sorted."""
    names = metrics_of(tab, state, site)
    by, direction = _sorting(state, names)
    order = ((by, direction), *((name, "asc") for name in tab.dimensions)) if by in names else ()
    include = Include(total_rows=True, comparisons=state.comparison)
    query = replace(panels.breakdown(tab, state, names), order_by=order, include=include, limit=ALL_ROWS)
    return query, (by, direction)


def _name(tab: Tab, row: Row) -> str:
    return panels.text_of(tab, panels.values_of(row)).lower()


def _fits(tab: Tab, row: Row, text: str) -> bool:
    return text.lower() in _name(tab, row)
