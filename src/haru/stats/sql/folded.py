"""Questions over folded visits: the same rows as `statement` finds in the events, from rows that are ready.

The rows of the tables of `haru.stats.sql.folds` are taken as they are when the visit lies wholly inside the period and
has no event that is not folded; the few others are made from their events, as ever.

To tell visitors from each other is what takes the time of a question, so most need not be: of a visitor all of whose
visits up to the period's end lie wholly inside it, a row says itself whether it is the visitor's first in its group
(`_first`). Such rows are `plain`, and their visitors add up. The visitors of the few others are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from haru.clock import DAY_MS
from haru.stats.plan import Plan
from haru.stats.sql import statement
from haru.stats.sql.counters import COUNTERS, EVENT, E
from haru.stats.sql.folds import PAGE, UNFOLDED, VISIT, Folds, V
from haru.stats.vocabulary.dimensions import Dimension, Level, of
from haru.stats.vocabulary.filters import And, Filter, Leaf, Not, Or
from haru.store.duckdb.folding import SEEN

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
_ENDS = ("first_at", "last_at")

# A visit that is not long lies in one bucket or in two, as only one that is longer than a bucket reaches over it. Days
# are the shortest buckets here, and no zone's clock ever took more than a part of an hour or a whole day out of one.
_UNITS = {"day", "week", "month"}
# What events alone tell is asked of them in a store of fewer, unless the period is so long that as many may be in it as
# of a store of so many in a month; or when some are not folded and the period is shorter. It takes no longer
# (docs/performance.md).
MANY = 3_000_000
_MONTH_MS = 30 * DAY_MS
_FEW_MS = 7 * DAY_MS

_PAGE = "event:page"


class _Kind(Enum):
    """What a question is answered from."""

    VISITS = "visits, one row each"
    BUCKETS = "visits, a row for each bucket of time that they have an event in"
    PAGES = "pages of visits"


def holds(plan: Plan) -> bool:
    """Whether folded rows hold all that is asked."""
    return _kind(plan) is not None


def few(events: int, plan: Plan) -> bool:
    """Whether the answer comes sooner from events in a store of so many folded ones; facts of visits never do."""
    length_ms = plan.period.end_ms - plan.period.start_ms
    return not plan.needs_facts and events < MANY and events * length_ms < MANY * _MONTH_MS


def suits(plan: Plan, folds: Folds) -> bool:
    """Whether of a question whose answer folded rows hold the answer comes sooner from them, in a store of many events.

    One about facts of visits always does.
    """
    period = plan.period
    return folds.settled or plan.needs_facts or period.end_ms - period.start_ms >= _FEW_MS


def groups(plan: Plan) -> FromClause:
    """One row for each group, its dimensions and counters: see `statement.build`. The question must suit."""
    kind, special = _kind(plan), _special(plan)
    kept = (PAGE if kind is _Kind.PAGES else VISIT).c
    ready, names = _ready(plan, kind), _names(plan, kind)
    ends = _ENDS if kind is _Kind.BUCKETS else _ENDS[:1]

    def rows(at: str, *conditions: Expression) -> Select[Any]:
        columns = [_held(plan, kept, name, at).label(name) for name in names]
        if kind is _Kind.BUCKETS:
            conditions = *conditions, *_there(plan, at)
        return select(*columns).where(*ready, *conditions)

    made = [select(*(part.c[name] for name in names)) for part in _made(plan, kind, special)]
    whole = [] if _folds(plan).settled else [_visit_id(kept).not_in(select(special.c.visit_id))]
    if "visitors" not in plan.counters:
        found = union_all(*(rows(at, *whole) for at in ends), *made)
        return _grouped(plan, found, plan.counters).subquery("grouped")
    plain, other = _plain(plan, kind, special)
    firsts = (rows(at, plain).add_columns(_first(plan, kind, at).label("first")) for at in ends)
    told_apart = union_all(*(rows(at, *whole, other) for at in ends), *made)
    rest = [name for name in plan.counters if name != "visitors"]
    parts = [
        _grouped(plan, union_all(*firsts), rest, visitors=True).subquery("a"),
        _grouped(plan, told_apart, plan.counters).subquery("b"),
    ]
    keys = [f"d{i}" for i in range(len(plan.dimensions))]
    both = union_all(*(select(*(part.c[name] for name in [*keys, *plan.counters])) for part in parts))
    united = both.subquery("united").c
    sums = (func.sum(united[name]).label(name) for name in plan.counters)
    return select(*(united[key] for key in keys), *sums).group_by(*(united[key] for key in keys)).subquery("grouped")


def _made(plan: Plan, kind: _Kind | None, special: CTE) -> list[FromClause]:
    """Rows of the visits whose folded rows cannot be taken, from their events."""
    folds = _folds(plan)

    def of_events(*only: Expression) -> FromClause:
        if kind is _Kind.VISITS:
            return statement.rows_in_one_pass(plan, plan.counters, only)
        return statement.rows_joined(plan, plan.counters, by_first=False, only=only)

    found = []
    crossing = any(edge.start_ms < edge.end_ms for edge in folds.edges) and not _by_row(plan, kind)
    if crossing or not folds.settled:
        found.append(of_events(E.visit_id.in_(select(special.c.visit_id)), *_near(plan)))
    if kind is _Kind.BUCKETS and folds.long:
        found.append(of_events(E.visit_id.in_(_long(plan, special))))
    return found


def _names(plan: Plan, kind: _Kind | None) -> list[str]:
    """The columns of the rows of visits: those that `statement` gives rows made from events."""
    names = ["visitor_id"] if "visitors" in plan.counters else []
    names += [name for name in plan.counters if name in COUNTERS and COUNTERS[name].part]
    names += statement.facts_of(plan, plan.counters)
    names += [f"d{i}" for i, dimension in enumerate(plan.dimensions) if dimension.level is not Level.FACT]
    return ["inside", *names, *statement.stamps_beside_facts(plan)] if kind is _Kind.VISITS else names


def _by_row(plan: Plan, kind: _Kind | None) -> bool:
    """Whether a visit that crosses an end of the period counts as its row is: for nothing that depends on which of its
    events are inside. Of one that crosses both nobody knows whether any is.

    Between two midnights what a visit that is not long has inside lies in one bucket.
    """
    folds = _folds(plan)
    if not folds.settled or folds.over:
        return False
    if kind is _Kind.BUCKETS:
        return plan.whole_days and not folds.long
    counted = {"visitors", "visits"}.issuperset(name for name in plan.counters if name in COUNTERS)
    return kind is _Kind.VISITS and counted and not plan.by_time


def _there(plan: Plan, at: str) -> list[Expression]:
    """Whether a visit has a row in the bucket of its first event, and a second one in that of its last."""
    start, end = _moments(plan)
    if at == "first_at":
        return [V.first_at >= start]
    first, last = (statement.bucket_of(plan, _time(plan), V[end]) for end in _ENDS)
    return [V.last_at < end, or_(V.first_at < start, and_(V.first_at != V.last_at, first != last))]


def _kind(plan: Plan) -> _Kind | None:
    counters = set(plan.counters)
    looked_at = set[Level]().union(*(levels for _, levels in plan.conjuncts))
    if not counters or not all(_simple(filter) for filter, _ in plan.conjuncts):
        return None
    levels = [dimension.level for dimension in plan.dimensions]
    if plan.query.dimensions == (_PAGE,):
        asked = {leaf.dimension for leaf in plan.leaves}
        return _Kind.PAGES if counters <= _OF_PAGES and asked <= {_PAGE} else None
    if counters <= _OF_BUCKETS and levels.count(Level.TIME) == 1:
        stamps = {*levels, *looked_at} <= {Level.STAMP, Level.TIME}
        unit = _time(plan).column or plan.unit
        return _Kind.BUCKETS if stamps and unit in _UNITS else None
    held = counters <= _COUNTERS and set(statement.facts_of(plan, counters)) <= _HELD.keys()
    if not held or not {*levels, *looked_at} <= {Level.STAMP, Level.FACT, Level.TIME}:
        return None
    # A visit counts in each bucket it has an event in, a fact in one only.
    return None if plan.by_time and counters & COUNTERS.keys() else _Kind.VISITS


def _folds(plan: Plan) -> Folds:
    assert plan.folds is not None
    return plan.folds


def _special(plan: Plan) -> CTE:
    """The visits, and their visitors, whose folded rows may lack an event or reach over an end of the period.

    In a question that is settled no row lacks an event.
    """
    visits = select(V.id.label("visit_id"), V.visitor_id).where(V.site_id == statement.site_id(plan))
    parts = [visits.where(V.first_at < at, V.last_at >= at) for at in _moments(plan)]
    if not _folds(plan).settled:
        later = select(E.visit_id, E.visitor_id)
        parts.append(later.where(statement.within(plan, "reach"), UNFOLDED))
    return union_all(*parts).cte("special")


def _near(plan: Plan) -> list[Expression]:
    """When the special visits are those that cross an end of the period: the times around the ends that hold them."""
    if not _folds(plan).settled:
        return []
    return [or_(*(and_(*statement.in_time(plan, span)) for span in ("edge0", "edge1")))]


def _long(plan: Plan, special: CTE) -> Select[Any]:
    """Visits inside the period that may have events in more than two buckets, and are not special."""
    start, end = _moments(plan)
    inside = select(V.id).where(V.site_id == statement.site_id(plan), V.first_at >= start, V.last_at < end)
    found = inside.where(V.long)
    return found if _folds(plan).settled else found.where(V.id.not_in(select(special.c.visit_id)))


def _ready(plan: Plan, kind: _Kind | None) -> list[Expression]:
    """Folded rows of the site that can be taken, and that filters accept: of visits inside the period."""
    kept = (PAGE if kind is _Kind.PAGES else VISIT).c
    start, end = _moments(plan)
    inside = [kept.last_at >= start, kept.first_at < end]
    if not _by_row(plan, kind):
        inside = [kept.first_at >= start, kept.last_at < end]
    found = [kept.site_id == statement.site_id(plan), *inside]
    if kind is _Kind.BUCKETS:
        found.append(not_(V.long))
    ready = {Level.EVENT} if kind is _Kind.PAGES else {Level.STAMP}
    conditions = [filter for filter, levels in plan.conjuncts if levels <= ready]
    return [*found, *(_of(kept, statement.condition_of(plan, filter, statement.text_of)) for filter in conditions)]


def _plain(plan: Plan, kind: _Kind | None, special: CTE) -> tuple[Expression, Expression]:
    """Which rows are of visitors of whom no visit is special, and say what they are to each other; which are not.

    Whoever has a visit that crosses the period's start came before it.
    """
    kept = (PAGE if kind is _Kind.PAGES else VISIT).c
    folds, start = _folds(plan), _moments(plan)[0]
    tests = [(kept.since >= start, or_(kept.since < start, kept.since.is_(None)))]
    if not folds.settled:
        visitors = select(special.c.visitor_id)
        tests.append((kept.visitor_id.not_in(visitors), kept.visitor_id.in_(visitors)))
    elif folds.low_ms is not None and not _by_row(plan, kind):
        tests.append((kept.since < statement.moment(plan, "low"), kept.since >= statement.moment(plan, "low")))
    if not _tells(plan, kind):
        tests.append((V.alone, not_(V.alone)))
    return and_(*(yes for yes, _ in tests)), or_(*(no for _, no in tests))


def _tells(plan: Plan, kind: _Kind | None) -> bool:
    """Whether a row tells that it is its visitor's first in its group: filters take all rows of a group or none."""
    columns = {dimension.column for dimension in plan.dimensions}
    filtered = {of(leaf.dimension).column for leaf in plan.leaves}
    if kind is _Kind.PAGES:
        return True
    if kind is _Kind.BUCKETS:
        return len(columns) == 1 and not filtered
    return len(columns) <= 1 and columns <= SEEN.keys() and filtered <= columns


def _first(plan: Plan, kind: _Kind | None, at: str) -> Expression:
    """Whether no earlier row of the visitor is in the row's group, when it is plain; its bucket is that of `at`.

    Of visits that are not long, none that began before this one lies in the bucket of this one's end, or start, unless
    the last of them to end reaches it: they lie in two buckets at most, next to each other, and none began later.
    """
    if not _tells(plan, kind):
        return true()
    if kind is _Kind.PAGES:
        return not_(PAGE.c.again)
    if not plan.dimensions:
        return V.before.is_(None)
    if kind is _Kind.BUCKETS:
        before, own = (statement.bucket_of(plan, _time(plan), moment) for moment in (V.before, V[at]))
        return case((V.before.is_(None), true()), else_=before < own)
    return V.seen.op("&")(SEEN[plan.dimensions[0].column]) == 0


def _grouped(plan: Plan, rows: Any, counters: Sequence[str], *, visitors: bool = False) -> Select[Any]:
    """Groups of such rows; `visitors` adds the number of those that are a visitor's first."""
    visits = rows.subquery("visit")
    found = statement.grouped_by_visit(plan, counters, by_first=plan.by_time, rows=visits)
    return found.add_columns(func.count().filter(visits.c.first).label("visitors")) if visitors else found


def _moments(plan: Plan) -> tuple[Expression, Expression]:
    return statement.moment(plan, "period_start"), statement.moment(plan, "period_end")


def _visit_id(kept: Any) -> Expression:
    return V.id if kept is V else kept.visit_id  # type: ignore[no-any-return]


def _held(plan: Plan, kept: Any, name: str, at: str) -> Expression:
    """What a folded row has in the place of a column of the rows made from events; its bucket is that of `at`."""
    if name == "inside":
        return literal_column("1")
    if name in _HELD or name == "visitor_id":
        return kept[_HELD.get(name, name)]  # type: ignore[no-any-return]
    for i, dimension in enumerate(plan.dimensions):
        if name == f"d{i}":
            if dimension.level is Level.TIME:
                return statement.bucket_of(plan, dimension, kept[at])
            return _of(kept, statement.key_text(dimension, statement.text_of(dimension)))
    return _of(kept, statement.stamps_beside_facts(plan)[name])


def _time(plan: Plan) -> Dimension:
    (time,) = (dimension for dimension in plan.dimensions if dimension.level is Level.TIME)
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
