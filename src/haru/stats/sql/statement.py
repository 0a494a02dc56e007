"""A plan → one SELECT.

Three ways lead to the numbers. Events alone are enough when nothing that is asked is a fact of a visit (`_by_event`).
Else there is first one row for each visit, or for each visit and page (`_visits`): made in one pass over the events
where that is possible (`rows_in_one_pass`), and by joining the facts where it is not (`rows_joined`). Facts come from
all events of a visit: the pass reaches as far outside the period as the visits do that cross its ends (`Plan.reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.types import String

from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.events.visits import VISIT_GAP_MS
from haru.stats import bounds
from haru.stats.plan import Plan
from haru.stats.sql.counters import COUNTERS, EVENT, FACTS, VISIT_COUNTERS, E
from haru.stats.sql.functions import AnyOf, Bucket, ByCodePoint, Local
from haru.stats.sql.goals import reaches, reaching
from haru.stats.sql.payload import Keys, Property
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import GOAL, KEYS, Dimension, Level, of
from haru.stats.vocabulary.filters import Done, Filter, Leaf
from haru.stats.vocabulary.metrics import METRICS
from haru.stats.vocabulary.periods import Period

Expression = ColumnElement[Any]


def edge(site_id: int, at_ms: int) -> Select[Any]:
    """The first and the last event of the visits that may cross an instant; nulls when there is none.

    Between two events of a visit there is never more than the gap: such a visit has one in the gap before the instant.
    """
    near = select(E.visit_id).where(_within(site_id, Period(at_ms - VISIT_GAP_MS, at_ms)))
    whole = select(func.min(E.occurred_at), func.max(E.occurred_at))
    return whole.where(E.site_id == site_id, E.visit_id.in_(near))


def first_event(site_id: int) -> Select[Any]:
    """The moment of a site's first event; null when there is none."""
    return select(func.min(E.occurred_at)).where(E.site_id == site_id)


def paths(site_id: int, period: Period) -> Select[Any]:
    """Every path of a pageview or of a report of engagement in a period."""
    found = select(E.path).distinct().where(_within(site_id, period), E.name.in_([PAGEVIEW, ENGAGEMENT]))
    return found.limit(bounds.MAX_VALUES + 1)


def values(site_id: int, dimension: Dimension, period: Period) -> Select[Any]:
    """Every value a dimension may have in a period, unknown as the empty text."""
    if dimension.level is Level.FACT:
        text = FACTS[dimension.column].text
        assert text is not None
        found = select(text)
    else:
        found = select(text_of(dimension))
    return found.distinct().where(_within(site_id, period)).limit(bounds.MAX_VALUES + 1)


def build(plan: Plan, groups: FromClause | None = None) -> Select[Any]:
    """The statement. Its columns: the dimensions, the counters and, when asked, the number of rows in all.

    Times come as the wall-clock start of their bucket; a counter is null in place of 0 where nothing was counted.
    Unless the plan is paged the rows are all and in no order. `groups` has another way to the rows of the groups.
    """
    grouped = _groups(plan) if groups is None else groups
    columns: list[Expression] = [grouped.c[f"d{i}"] for i in range(len(plan.dimensions))]
    columns += [grouped.c[name] for name in plan.counters]
    if plan.query.include.total_rows:
        columns.append(func.count().over())
    statement, most = select(*columns), most_rows(plan) + 1
    if not plan.paged or not plan.sorted_by_store:
        return statement.limit(most)
    statement = statement.order_by(*(_key(plan, grouped, *key) for key in plan.order))
    return statement.limit(min(plan.query.limit, most)).offset(plan.query.offset)


def most_rows(plan: Plan) -> int:
    """The rows that can be sorted or compared as a whole; a statement gives one more, to tell that there are more."""
    return bounds.MAX_CELLS // (len(plan.dimensions) + len(plan.counters) + 1)


def _key(plan: Plan, groups: FromClause, name: str, direction: str) -> Expression:
    if name in METRICS:
        key: Expression = groups.c[name]
    else:
        dimension = of(name)
        key = groups.c[f"d{plan.query.dimensions.index(name)}"]
        if dimension.level is not Level.TIME:
            key = ByCodePoint(case((key == "", dimension.empty), else_=key))
    return key.desc() if direction == "desc" else key.asc()


def _groups(plan: Plan) -> FromClause:
    """One row for each group: its dimensions and counters."""
    counted = [name for name in plan.counters if name in COUNTERS]
    of_visits = [name for name in plan.counters if name in VISIT_COUNTERS]
    if plan.by_time and counted and of_visits:
        return _both(plan, counted, of_visits)
    if of_visits:
        return grouped_by_visit(plan, plan.counters, by_first=plan.by_time).subquery("grouped")
    return _counts(plan, counted).subquery("grouped")


def _counts(plan: Plan, counted: list[str]) -> Select[Any]:
    if plan.needs_facts or any(COUNTERS[name].of_events is None for name in counted):
        return grouped_by_visit(plan, counted, by_first=False)
    return _by_event(plan, counted)


def _both(plan: Plan, counted: list[str], of_visits: list[str]) -> FromClause:
    """Events count in each bucket they happened in, a visit's facts in that of its first event: summed from both."""
    counts = _counts(plan, counted).subquery("counts")
    facts = grouped_by_visit(plan, of_visits, by_first=True).subquery("facts")
    names = [f"d{i}" for i in range(len(plan.dimensions))]
    parts = [
        select(
            *(part.c[name] for name in names),
            *(part.c[name] if name in own else literal_column("0").label(name) for name in plan.counters),
        )
        for part, own in ((counts, counted), (facts, of_visits))
    ]
    rows = union_all(*parts).subquery("united")
    summed = (func.sum(rows.c[name]).label(name) for name in plan.counters)
    keys = [rows.c[name] for name in names]
    return select(*keys, *summed).group_by(*keys).subquery("grouped")


def _by_event(plan: Plan, counted: list[str]) -> Select[Any]:
    keys = [_of_event(plan, dimension).label(f"d{i}") for i, dimension in enumerate(plan.dimensions)]
    counts = [(name, COUNTERS[name].of_events) for name in counted]
    statement = select(*keys, *(of_events().label(name) for name, of_events in counts if of_events is not None)).where(
        within(plan),
        # Most events have no properties: nothing is read of their JSON.
        *([E.props != "{}"] if KEYS in plan.dimensions else []),
        *(condition_of(plan, filter, text_of) for filter, _ in plan.conjuncts),
    )
    return _with_goals(plan, statement, EVENT).group_by(*_named(keys))


def _with_goals(plan: Plan, statement: Select[Any], source: FromClause) -> Select[Any]:
    """The statement from this source, each event once for each goal it reaches when goals are asked for."""
    if plan.reached is None:
        return statement.select_from(source)
    goals = plan.reached
    statement = statement.select_from(source.join(goals, literal_column("1") == literal_column("1")))
    return statement.where(*reaching(plan.site.goals, plan.paths, goals.c.goal))


def grouped_by_visit(
    plan: Plan, counters: Sequence[str], *, by_first: bool, rows: FromClause | None = None
) -> Select[Any]:
    """Groups of rows of visits. `by_first` puts a visit into the bucket of its first event inside the period."""
    rows = _visits(plan, counters, by_first=by_first) if rows is None else rows
    keys = [
        key_text(dimension, rows.c[dimension.column]).label(f"d{i}")
        if dimension.level is Level.FACT
        else rows.c[f"d{i}"]
        for i, dimension in enumerate(plan.dimensions)
    ]
    sums = []
    for name in counters:
        if name in COUNTERS:
            sums.append(COUNTERS[name].of_visits(rows.c).label(name))
        else:
            sums.append(_counted_visits(plan, name, rows).label(name))
    statement = select(*keys, *sums)
    if "inside" in rows.c:
        statement = statement.where(rows.c.inside > 0)
        for filter, levels in plan.conjuncts:
            if Level.FACT in levels:
                visit_id = rows.c.get("visit_id", E.visit_id)
                statement = statement.where(condition_of(plan, filter, lambda d: rows.c[d.column], visit_id))
    return statement.group_by(*_named(keys))


def _counted_visits(plan: Plan, name: str, rows: FromClause) -> Expression:
    counter = VISIT_COUNTERS[name]
    number = rows.c[counter.fact] if counter.fact else literal_column("1")
    conditions = [
        key_text(dimension, rows.c[counter.page]) == rows.c[f"d{i}"]
        for i, dimension in enumerate(plan.dimensions)
        if dimension.name == "event:page"
    ]
    if counter.judged:
        conditions += [condition_of(plan, leaf, lambda _: rows.c.entry_page) for leaf in _page_leaves(plan)]
    return func.sum(case((and_(*conditions), number), else_=literal_column("0")) if conditions else number)


def _page_leaves(plan: Plan) -> list[Leaf]:
    """The top-level filters on the page."""
    return [filter for filter, _ in plan.conjuncts if isinstance(filter, Leaf) and filter.dimension == "event:page"]


def facts_of(plan: Plan, counters: Iterable[str]) -> list[str]:
    """The facts that rows of visits must hold."""
    names = [VISIT_COUNTERS[name].fact for name in counters if name in VISIT_COUNTERS]
    names += [dimension.column for dimension in plan.dimensions if dimension.level is Level.FACT]
    names += [of(leaf.dimension).column for leaf in plan.leaves if of(leaf.dimension).level is Level.FACT]
    if "event:page" in plan.query.dimensions:
        names += [VISIT_COUNTERS[name].page for name in counters if name in VISIT_COUNTERS]
    if "judged" in counters and _page_leaves(plan):
        names.append("entry_page")
    return [name for name in dict.fromkeys(names) if name]


def _visits(plan: Plan, counters: Sequence[str], *, by_first: bool) -> FromClause:
    """A row for each visit that counts, and for each of its pages or buckets when the rows are those."""
    levels = {dimension.level for dimension in plan.dimensions}
    mixed = any({Level.EVENT, Level.FACT} <= looked_at for _, looked_at in plan.conjuncts)
    if mixed or Level.EVENT in levels or (Level.TIME in levels and not by_first):
        return rows_joined(plan, counters, by_first=by_first)
    return rows_in_one_pass(plan, counters)


def rows_in_one_pass(plan: Plan, counters: Sequence[str], only: Iterable[Expression] = ()) -> FromClause:
    """Visits with the facts of all their events and the counts of those that count, in one pass; `only` some visits.

    `inside` is the number of events that count; a visit with none does not belong to the plan.
    """
    stamps = [filter for filter, levels in plan.conjuncts if levels <= {Level.STAMP}]
    events = [filter for filter, levels in plan.conjuncts if Level.EVENT in levels]
    selected = [condition_of(plan, filter, text_of) for filter in events]
    inside = in_time(plan) if plan.reach != plan.period else []
    columns: list[Expression] = [_count(*inside, *selected).label("inside")]
    if "visitors" in counters:
        columns.append(AnyOf(E.visitor_id).label("visitor_id"))
    columns += [
        COUNTERS[name].of_visit(*inside, *selected, *COUNTERS[name].part).label(name)
        for name in counters
        if name in COUNTERS and COUNTERS[name].part
    ]
    facts = facts_of(plan, counters)
    columns += [FACTS[name].of_events().label(name) for name in facts]
    for i, dimension in enumerate(plan.dimensions):
        if dimension.level is Level.FACT:
            continue
        if dimension.level is Level.TIME:
            first = func.min(E.occurred_at).filter(and_(*inside)) if inside else func.min(E.occurred_at)
            columns.append(bucket_of(plan, dimension, first).label(f"d{i}"))
        else:
            columns.append(AnyOf(key_text(dimension, text_of(dimension))).label(f"d{i}"))
    columns += [AnyOf(text).label(name) for name, text in stamps_beside_facts(plan).items()]
    if any(_has_done(filter) for filter, levels in plan.conjuncts if Level.FACT in levels):
        columns.append(E.visit_id)
    where = [within(plan, "reach"), *(condition_of(plan, filter, text_of) for filter in stamps)]
    where += only
    if selected:
        # Most filters choose few visits: the facts of the others need not be worked out.
        holding = select(E.visit_id).where(within(plan), *selected)
        where.append(E.visit_id.in_(holding))
    return select(*columns).where(*where).group_by(E.visit_id).subquery("visit")


def stamps_beside_facts(plan: Plan) -> dict[str, Expression]:
    """The texts that filters look at together with facts, by the names of their columns."""
    mixed = [filter for filter, levels in plan.conjuncts if Level.FACT in levels]
    seen = {of(leaf.dimension) for leaf in filters.leaves(mixed, done=False)}
    return {d.column: text_of(d) for d in sorted(seen, key=lambda d: d.name) if d.level is Level.STAMP}


def _has_done(filter: Filter) -> bool:
    if isinstance(filter, Leaf | Done):
        return isinstance(filter, Done)
    return any(_has_done(part) for part in ((filter.filter,) if isinstance(filter, filters.Not) else filter.filters))


def rows_joined(plan: Plan, counters: Sequence[str], *, by_first: bool, only: Iterable[Expression] = ()) -> FromClause:
    """Rows for each visit and each value of the event's own dimensions, with the visit's facts joined to its events;
    `only` some visits.
    """
    facts = facts_of(plan, counters)
    inside = and_(*in_time(plan))
    first = [func.min(E.occurred_at).filter(inside).label("first_inside")] if by_first else []
    visit = (
        select(E.visit_id, *(FACTS[name].of_events().label(name) for name in facts), *first)
        .where(within(plan, "reach"))
        .group_by(E.visit_id)
        .subquery("whole")
    )

    def text(dimension: Dimension) -> Expression:
        return visit.c[dimension.column] if dimension.level is Level.FACT else text_of(dimension)

    keys = []
    for i, dimension in enumerate(plan.dimensions):
        if dimension.level is Level.FACT:
            continue
        if dimension.level is not Level.TIME:
            key = _key_of(plan, dimension)
        else:
            key = bucket_of(plan, dimension, visit.c.first_inside if by_first else E.occurred_at)
        keys.append(key.label(f"d{i}"))
    columns: list[Expression] = [AnyOf(E.visitor_id).label("visitor_id")]
    counted = [(name, COUNTERS[name]) for name in counters if name in COUNTERS and COUNTERS[name].part]
    columns += [counter.of_visit(*counter.part).label(name) for name, counter in counted]
    columns += [AnyOf(visit.c[name]).label(name) for name in facts]
    # Nothing of the whole visit may be asked for: then there is nothing to join.
    source = EVENT.join(visit, visit.c.visit_id == E.visit_id) if facts or first else EVENT
    statement = _with_goals(plan, select(*keys, *columns), source).where(
        within(plan),
        *(condition_of(plan, filter, text) for filter, _ in plan.conjuncts),
    )
    return statement.where(*only).group_by(E.visit_id, *_named(keys)).subquery("visit")


def _named(keys: list[Any]) -> list[Expression]:
    """Keys to group by, by name: the expression written twice would have its parameters twice and be another one."""
    return [literal_column(key.name) for key in keys]


def _count(*conditions: Expression) -> Expression:
    return func.count().filter(and_(*conditions)) if conditions else func.count()


def site_id(plan: Plan) -> Expression:
    """The site's id as a parameter."""
    return bindparam("site", plan.parameters["site"], BigInteger())


def moment(plan: Plan, name: str) -> Expression:
    """One of the plan's moments as a parameter."""
    return bindparam(name, plan.parameters[name], E.occurred_at.type)


def in_time(plan: Plan, span: str = "period") -> list[Expression]:
    """Whether an event happened in the period, or in another time of the plan."""
    return [E.occurred_at >= moment(plan, f"{span}_start"), E.occurred_at < moment(plan, f"{span}_end")]


def within(plan: Plan, span: str = "period") -> Expression:
    """Whether an event is one of the site in this time."""
    return and_(E.site_id == site_id(plan), *in_time(plan, span))


def _within(site_id: int, period: Period) -> Expression:
    start, end = periods.moment(period.start_ms), periods.moment(period.end_ms)
    return and_(E.site_id == site_id, E.occurred_at >= start, E.occurred_at < end)


def text_of(dimension: Dimension) -> Expression:
    """The value of an event or its visit, "" when it is not known."""
    if dimension.key:
        return Property(E.props, dimension.key)
    column = E[dimension.column]
    if dimension.column == "city":
        return case((column == 0, ""), else_=cast(column, String))
    return column


def key_text(dimension: Dimension, text: Expression) -> Expression:
    """The text to group by: what is called as the unknown is counted with it: nobody can tell them apart."""
    if dimension.key:
        return func.coalesce(func.nullif(text, dimension.empty), "")  # looks for the property once
    return case((text == dimension.empty, ""), else_=text)


def _of_event(plan: Plan, dimension: Dimension) -> Expression:
    if dimension.level is Level.TIME:
        return bucket_of(plan, dimension, E.occurred_at)
    return _key_of(plan, dimension)


def _key_of(plan: Plan, dimension: Dimension) -> Expression:
    """The text of an event to group by."""
    if dimension.name == GOAL:
        assert plan.reached is not None
        return plan.reached.c.goal
    if dimension == KEYS:
        return Keys(E.props)
    return key_text(dimension, text_of(dimension))


def bucket_of(plan: Plan, dimension: Dimension, at: Expression) -> Expression:
    """The bucket of a moment: its wall-clock time by the zone's offset just then, cut to the unit."""
    *earlier, last = (timedelta(milliseconds=stretch.offset_ms) for stretch in plan.stretches)
    offsets = [(moment(plan, f"shift{place}"), offset) for place, offset in enumerate(earlier)]
    return Bucket(dimension.column or plan.unit, Local(at, offsets, last))


def condition_of(
    plan: Plan,
    filter: Filter,
    column: Callable[[Dimension], Expression],
    visit_id: Expression = E.visit_id,
) -> Expression:
    """The filter on rows that have these columns."""

    def decided(part: Leaf | Done) -> Expression:
        if isinstance(part, Done):
            inner = within(plan), condition_of(plan, part.filter, text_of)
            # Its events are others than those of the rows, whatever these come from.
            doing = visit_id.in_(select(E.visit_id).where(*inner).correlate(None))
            return not_(doing) if part.negated else doing
        if part.dimension == GOAL:
            accepted = filters.holding(part)
            return or_(false(), *(reaches(goal, plan.paths) for goal in plan.site.goals if accepted(goal.name)))
        return filters.compared(part, column(of(part.dimension)), plan.values)

    return filters.condition(filter, decided)
