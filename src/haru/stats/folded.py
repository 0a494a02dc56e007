"""Questions over folded visits: the same rows as `statement` finds in the events, from rows that are ready.

A store that folds (`haru.events.store.Folding`) has two tables: `visit`, a row for each visit, and `page`, a row for
each page of a visit. Their rows are taken as they are when the visit lies wholly inside the period and has no event
that is not folded; the few others are made from their events, as ever. Rows of visitors who have no other are counted
without being told apart: that is what takes the time of a question.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    TableClause,
    and_,
    bindparam,
    case,
    column,
    distinct,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

from haru.events.event import Origin
from haru.events.store import FOLDED
from haru.events.visits import VISIT_GAP_MS
from haru.stats import filters, periods, statement
from haru.stats.dimensions import Dimension, Level
from haru.stats.facts import COUNTED, EVENT, E
from haru.stats.filters import And, Filter, Leaf, Not, Or
from haru.stats.periods import Period
from haru.stats.statement import Question

Expression = ColumnElement[Any]

# Counts and facts of a visit → the column that holds them. What is not here is asked of the events.
_HELD = {
    "pageviews": "pageviews",
    "events": "events",
    "viewed": "pageviews",
    "bounced": "bounced",
    "lasted_ms": "lasted_ms",
    "entry_page": "entry_page",
    "exit_page": "exit_page",
    "entry_hostname": "entry_hostname",
    "exit_hostname": "exit_hostname",
}
_COUNTERS = {"visitors", "visits", "pageviews", "events", "whole_visits", "viewed", "lasted_ms", "judged", "bounced"}
_OF_PAGES = {"visitors", "visits", "pageviews", "events"}
_OF_BUCKETS = {"visitors", "visits"}
_PAGES = ("entry_page", "exit_page", "entry_hostname", "exit_hostname")

# A visit that is not long lies in one bucket or in two, as only one that is longer than a bucket reaches over it. Days
# are the shortest buckets here, and no zone's clock ever took more than a part of an hour or a whole day out of one.
_UNITS = {"day", "week", "month"}
# What events alone tell is asked of them in a store of fewer, or when some are not folded and the period is shorter: it
# takes no longer (docs/performance.md).
MANY = 3_000_000
_FEW_MS = 7 * 24 * 60 * 60 * 1000

_PAGE = "event:page"
_UNFOLDED = E.id > bindparam(FOLDED, 0, BigInteger())


def _table(name: str, own: dict[str, TypeEngine[Any]], shared: tuple[str, ...]) -> TableClause:
    """A table of folded rows: its own columns, those it shares with events, and what all such tables have."""
    return table(
        name,
        *(column(name, kind) for name, kind in own.items()),
        *(column(name, E[name].type) for name in ("site_id", "visitor_id", *shared)),
        *(column(name, BigInteger()) for name in ("pageviews", "events")),
        *(column(name, E.occurred_at.type) for name in ("first_at", "last_at")),
        column("alone", Boolean()),
    )


VISIT = _table(
    "visit",
    {
        **dict.fromkeys(("id", "bounced", "lasted_ms"), BigInteger()),
        **dict.fromkeys(_PAGES, E.path.type),
        "long": Boolean(),
    },
    Origin.__struct_fields__,
)
PAGE = _table("page", {}, ("visit_id", "path"))
V = VISIT.c


class _Kind(Enum):
    """What a question is answered from."""

    VISITS = "visits, one row each"
    BUCKETS = "visits, a row for each bucket of time that they have an event in"
    PAGES = "pages of visits"


def holds(question: Question) -> bool:
    """Whether folded rows hold all that is asked."""
    return _kind(question) is not None


def suits(question: Question) -> bool:
    """Whether of a question whose answer folded rows hold the answer comes sooner from them, in a store of many events.

    One about facts of visits always does.
    """
    period = question.period
    return question.settled or statement.needs_facts(question.query) or period.end_ms - period.start_ms >= _FEW_MS


def unfolded(site_id: int, reach: Period) -> Select[Any]:
    """A row when the site has an event there that is not folded, else none."""
    return select(E.id).where(statement._within(site_id, reach), _UNFOLDED).limit(1)


def edge(site_id: int, at_ms: int) -> Select[Any]:
    """What `statement.edge` tells, from folded visits and from the events of those near the instant that grew since."""
    at = periods.moment(at_ms)
    crossing = select(V.first_at, V.last_at).where(V.site_id == site_id, V.first_at < at, V.last_at >= at)
    grown = select(E.visit_id).where(E.site_id == site_id, _UNFOLDED)
    near = statement._within(site_id, Period(at_ms - VISIT_GAP_MS, at_ms))
    grown_near = select(E.visit_id).where(near, E.visit_id.in_(grown))
    times = func.min(E.occurred_at), func.max(E.occurred_at)
    later = select(*times).where(E.site_id == site_id, E.visit_id.in_(grown_near)).group_by(E.visit_id)
    both = union_all(crossing, later).subquery("crossing")
    return select(func.min(both.c.first_at), func.max(both.c.last_at))


def groups(question: Question) -> FromClause:
    """One row for each group, its dimensions and counters: see `statement.build`. The question must suit."""
    kind = _kind(question)
    kept = (PAGE if kind is _Kind.PAGES else VISIT).c
    special = _special(question)

    def of_events(*only: Expression) -> FromClause:
        if kind is _Kind.VISITS:
            return statement._one_pass(question, question.counters, only)
        return statement._joined(question, question.counters, by_first=False, only=only)

    made = of_events(E.visit_id.in_(select(special.c.visit_id)), *_near(question))

    def rows(*conditions: Expression, at: str = "first_at") -> Select[Any]:
        columns = (_held(question, kept, name, at).label(name) for name in made.c.keys())  # noqa: SIM118 -- no dict
        return select(*columns).where(*_ready(question, kind, special), *conditions)

    others = [select(*made.c)]
    if kind is _Kind.BUCKETS:
        ends = [statement._bucket(question, _time(question), V[at]) for at in ("first_at", "last_at")]
        others.append(rows(V.first_at != V.last_at, ends[0] != ends[1], at="last_at"))
        others.append(select(*of_events(E.visit_id.in_(_long(question, special))).c))
    if "visitors" not in question.counters:
        return _grouped(question, union_all(rows(), *others), question.counters).subquery("grouped")
    alone: Expression = kept.alone
    if not question.settled:
        alone = and_(alone, kept.visitor_id.not_in(select(special.c.visitor_id)))
    rest = [name for name in question.counters if name != "visitors"]
    if not question.dimensions:
        # One pass is the faster then; with groups two are.
        either = union_all(rows().add_columns(alone.label("single")), *(other.add_columns(false()) for other in others))
        visits = either.subquery("visit")
        told_apart = func.count(distinct(case((not_(visits.c.single), visits.c.visitor_id))))
        visitors = func.count().filter(visits.c.single) + told_apart
        found = statement._by_visit(question, rest, by_first=False, rows=visits)
        return found.add_columns(visitors.label("visitors")).subquery("grouped")
    parts = [
        _grouped(question, rows(alone), rest).add_columns(func.count().label("visitors")).subquery("a"),
        _grouped(question, union_all(rows(not_(alone)), *others), question.counters).subquery("b"),
    ]
    names = [f"d{i}" for i in range(len(question.dimensions))]
    both = union_all(*(select(*(part.c[name] for name in [*names, *question.counters])) for part in parts))
    united = both.subquery("united")
    keys = [united.c[name] for name in names]
    return (
        select(*keys, *(func.sum(united.c[name]).label(name) for name in question.counters))
        .group_by(*keys)
        .subquery("grouped")
    )


def _kind(question: Question) -> _Kind | None:
    counters = set(question.counters)
    looked_at = set[Level]().union(*(levels for _, levels in question.conjuncts))
    if not counters or not all(_simple(filter) for filter, _ in question.conjuncts):
        return None
    levels = [dimension.level for dimension in question.dimensions]
    if question.query.dimensions == (_PAGE,):
        asked = {leaf.dimension for leaf in filters.leaves(question.query.filters)}
        return _Kind.PAGES if counters <= _OF_PAGES and asked <= {_PAGE} else None
    if counters <= _OF_BUCKETS and levels.count(Level.TIME) == 1:
        stamps = {*levels, *looked_at} <= {Level.STAMP, Level.TIME}
        unit = _time(question).column or question.unit
        return _Kind.BUCKETS if stamps and unit in _UNITS else None
    held = counters <= _COUNTERS and set(statement._facts(question, counters)) <= _HELD.keys()
    if not held or not {*levels, *looked_at} <= {Level.STAMP, Level.FACT, Level.TIME}:
        return None
    # A visit counts in each bucket it has an event in, a fact in one only.
    return None if question.by_time and counters & COUNTED.keys() else _Kind.VISITS


def _special(question: Question) -> CTE:
    """The visits, and their visitors, whose folded rows may lack an event or reach over an end of the period.

    In a question that is settled no row lacks an event.
    """
    start, end = (periods.moment(at_ms) for at_ms in (question.period.start_ms, question.period.end_ms))
    visits = select(V.id.label("visit_id"), V.visitor_id).where(V.site_id == question.site_id)
    parts = [visits.where(V.first_at < at, V.last_at >= at) for at in (start, end)]
    if not question.settled:
        later = select(E.visit_id, E.visitor_id)
        parts.append(later.where(statement._within(question.site_id, question.reach), _UNFOLDED))
    return union_all(*parts).cte("special")


def _near(question: Question) -> list[Expression]:
    """When the special visits are those that cross an end of the period: the times around the ends that hold them."""
    if not question.settled:
        return []
    return [or_(*(and_(*statement._inside(span)) for span in question.edges))]


def _long(question: Question, special: CTE) -> Select[Any]:
    """Visits inside the period that may have events in more than two buckets, and are not special."""
    start, end = (periods.moment(at_ms) for at_ms in (question.period.start_ms, question.period.end_ms))
    inside = select(V.id).where(V.site_id == question.site_id, V.first_at >= start, V.last_at < end)
    found = inside.where(V.long)
    return found if question.settled else found.where(V.id.not_in(select(special.c.visit_id)))


def _ready(question: Question, kind: _Kind | None, special: CTE) -> list[Expression]:
    """Folded rows of the site whose visits lie inside the period with all their events, and that filters accept."""
    kept = (PAGE if kind is _Kind.PAGES else VISIT).c
    start, end = question.period.start_ms, question.period.end_ms
    found = [
        kept.site_id == question.site_id,
        kept.first_at >= periods.moment(start),
        kept.last_at < periods.moment(end),
    ]
    if kind is _Kind.BUCKETS:
        found.append(not_(V.long))
    if not question.settled:
        found.append((V.id if kind is not _Kind.PAGES else kept.visit_id).not_in(select(special.c.visit_id)))
    ready = {Level.EVENT} if kind is _Kind.PAGES else {Level.STAMP}
    conditions = [filter for filter, levels in question.conjuncts if levels <= ready]
    return [*found, *(_of(kept, statement._condition(question, filter, statement._text)) for filter in conditions)]


def _grouped(question: Question, rows: Any, counters: list[str]) -> Select[Any]:
    by_first = question.by_time
    return statement._by_visit(question, counters, by_first=by_first, rows=rows.subquery("visit"))


def _held(question: Question, kept: Any, name: str, at: str) -> Expression:
    """What a folded row has in the place of a column of the rows made from events; its bucket is that of `at`."""
    if name == "inside":
        return literal_column("1")
    if name in _HELD or name == "visitor_id":
        return kept[_HELD.get(name, name)]  # type: ignore[no-any-return]
    for i, dimension in enumerate(question.dimensions):
        if name == f"d{i}":
            if dimension.level is Level.TIME:
                return statement._bucket(question, dimension, kept[at])
            return _of(kept, statement._key_text(dimension, statement._text(dimension)))
    return _of(kept, statement._stamps_beside_facts(question)[name])


def _time(question: Question) -> Dimension:
    (time,) = (dimension for dimension in question.dimensions if dimension.level is Level.TIME)
    return time


def _of(kept: Any, expression: Expression) -> Expression:
    """The same of a folded row: what it shares with events has the same name there."""

    def replaced(element: Any, **_: Any) -> Any:
        return kept[element.name] if getattr(element, "table", None) is EVENT else None

    return replacement_traverse(expression, {}, replaced)


def _simple(filter: Filter) -> bool:
    """Whether the filter looks at the values of one row, and at nothing else."""
    if isinstance(filter, And | Or):
        return all(_simple(part) for part in filter.filters)
    return _simple(filter.filter) if isinstance(filter, Not) else isinstance(filter, Leaf)
