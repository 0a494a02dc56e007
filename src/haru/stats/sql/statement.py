"""A question → one SELECT.

Three ways lead to the numbers. Events alone are enough when nothing that is asked is a fact of a visit (`_by_event`).
Else there is first one row for each visit, or for each visit and page (`_visits`): made in one pass over the events
where that is possible (`_one_pass`), and by joining the facts where it is not (`_joined`). Facts come from all events
of a visit: the pass reaches as far outside the period as the visits do that cross its ends (`Question.reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
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
from haru.stats.query import Query
from haru.stats.question import Question, needs_facts, order
from haru.stats.sql.counters import COUNTED, COUNTED_VISITS, EVENT, FACTS, E
from haru.stats.sql.functions import AnyOf, Bucket, ByCodePoint, Local
from haru.stats.sql.goals import reaches, reaching
from haru.stats.sql.payload import Property
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import CURRENCY, GOAL, Dimension, Level, of
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


def paid(question: Question) -> Question:
    """What tells the revenue of each row and currency: the dimensions, the currency, the sum of amounts, how many."""
    dimensions = *question.query.dimensions, CURRENCY.name
    known = Leaf("is_not", CURRENCY.name, (CURRENCY.empty,))
    query = Query(("visitors",), question.query.date_range, dimensions, (*question.query.filters, known))
    return replace(question, query=query, counted=("revenue", "payments"))


def values(site_id: int, dimension: Dimension, period: Period) -> Select[Any]:
    """Every value a dimension may have in a period, unknown as the empty text."""
    if dimension.level is Level.FACT:
        text = FACTS[dimension.column].text
        assert text is not None
        found = select(text)
    else:
        found = select(_text(dimension))
    return found.distinct().where(_within(site_id, period)).limit(bounds.MAX_VALUES + 1)


def build(
    question: Question, *, paged: bool = True, groups: Callable[[Question], FromClause] | None = None
) -> Select[Any]:
    """The statement. Its columns: the dimensions, the counters and, when asked, the number of rows in all.

    Times come as the wall-clock start of their bucket; a counter is null in place of 0 where nothing was counted.
    Unless `paged` the rows are all and in no order. `groups` is another way to the rows of the groups.
    """
    grouped = (groups or _groups)(question)
    columns: list[Expression] = [grouped.c[f"d{i}"] for i in range(len(question.dimensions))]
    columns += [grouped.c[name] for name in question.counters]
    if question.query.include.total_rows:
        columns.append(func.count().over())
    statement, most = select(*columns), most_rows(question) + 1
    if not paged or not question.sorted_by_store:
        return statement.limit(most)
    statement = statement.order_by(*(_key(question, grouped, *key) for key in order(question.query)))
    return statement.limit(min(question.query.limit, most)).offset(question.query.offset)


def most_rows(question: Question) -> int:
    """The rows that can be sorted or compared as a whole; a statement gives one more, to tell that there are more."""
    return bounds.MAX_CELLS // (len(question.dimensions) + len(question.counters) + 1)


def _key(question: Question, groups: FromClause, name: str, direction: str) -> Expression:
    if name in METRICS:
        key: Expression = groups.c[name]
    else:
        dimension = of(name)
        key = groups.c[f"d{question.query.dimensions.index(name)}"]
        if dimension.level is not Level.TIME:
            key = ByCodePoint(case((key == "", dimension.empty), else_=key))
    return key.desc() if direction == "desc" else key.asc()


def _groups(question: Question) -> FromClause:
    """One row for each group: its dimensions and counters."""
    counted = [name for name in question.counters if name in COUNTED]
    of_visits = [name for name in question.counters if name in COUNTED_VISITS]
    if question.by_time and counted and of_visits:
        return _both(question, counted, of_visits)
    if of_visits:
        return _by_visit(question, question.counters, by_first=question.by_time).subquery("grouped")
    return _counts(question, counted).subquery("grouped")


def _counts(question: Question, counted: list[str]) -> Select[Any]:
    if needs_facts(question.query) or any(COUNTED[name].of_events is None for name in counted):
        return _by_visit(question, counted, by_first=False)
    return _by_event(question, counted)


def _both(question: Question, counted: list[str], of_visits: list[str]) -> FromClause:
    """Events count in each bucket they happened in, a visit's facts in that of its first event: summed from both."""
    counts = _counts(question, counted).subquery("counts")
    facts = _by_visit(question, of_visits, by_first=True).subquery("facts")
    names = [f"d{i}" for i in range(len(question.dimensions))]
    parts = [
        select(
            *(part.c[name] for name in names),
            *(part.c[name] if name in own else literal_column("0").label(name) for name in question.counters),
        )
        for part, own in ((counts, counted), (facts, of_visits))
    ]
    rows = union_all(*parts).subquery("united")
    summed = (func.sum(rows.c[name]).label(name) for name in question.counters)
    keys = [rows.c[name] for name in names]
    return select(*keys, *summed).group_by(*keys).subquery("grouped")


def _by_event(question: Question, counted: list[str]) -> Select[Any]:
    keys = [_of_event(question, dimension).label(f"d{i}") for i, dimension in enumerate(question.dimensions)]
    counts = [(name, COUNTED[name].of_events) for name in counted]
    statement = select(*keys, *(of_events().label(name) for name, of_events in counts if of_events is not None)).where(
        question.within(),
        *(_condition(question, filter, _text) for filter, _ in question.conjuncts),
    )
    return _with_goals(question, statement, EVENT).group_by(*_named(keys))


def _with_goals(question: Question, statement: Select[Any], source: FromClause) -> Select[Any]:
    """The statement from this source, each event once for each goal it reaches when goals are asked for."""
    if question.reached is None:
        return statement.select_from(source)
    goals = question.reached
    statement = statement.select_from(source.join(goals, literal_column("1") == literal_column("1")))
    return statement.where(*reaching(question.goals, question.paths, goals.c.goal))


def _by_visit(
    question: Question, counters: list[str], *, by_first: bool, rows: FromClause | None = None
) -> Select[Any]:
    """Groups of rows of visits. `by_first` puts a visit into the bucket of its first event inside the period."""
    rows = _visits(question, counters, by_first=by_first) if rows is None else rows
    keys = [
        _key_text(dimension, rows.c[dimension.column]).label(f"d{i}")
        if dimension.level is Level.FACT
        else rows.c[f"d{i}"]
        for i, dimension in enumerate(question.dimensions)
    ]
    sums = []
    for name in counters:
        if name in COUNTED:
            sums.append(COUNTED[name].of_visits(rows.c).label(name))
        else:
            sums.append(_counted_visits(question, name, rows).label(name))
    statement = select(*keys, *sums)
    if "inside" in rows.c:
        statement = statement.where(rows.c.inside > 0)
        for filter, levels in question.conjuncts:
            if Level.FACT in levels:
                visit_id = rows.c.get("visit_id", E.visit_id)
                statement = statement.where(_condition(question, filter, lambda d: rows.c[d.column], visit_id))
    return statement.group_by(*_named(keys))


def _counted_visits(question: Question, name: str, rows: FromClause) -> Expression:
    counter = COUNTED_VISITS[name]
    number = rows.c[counter.fact] if counter.fact else literal_column("1")
    conditions = [
        _key_text(dimension, rows.c[counter.page]) == rows.c[f"d{i}"]
        for i, dimension in enumerate(question.dimensions)
        if dimension.name == "event:page"
    ]
    if counter.judged:
        conditions += [_condition(question, leaf, lambda _: rows.c.entry_page) for leaf in _page_leaves(question)]
    return func.sum(case((and_(*conditions), number), else_=literal_column("0")) if conditions else number)


def _page_leaves(question: Question) -> list[Leaf]:
    """The top-level filters on the page."""
    return [filter for filter, _ in question.conjuncts if isinstance(filter, Leaf) and filter.dimension == "event:page"]


def _facts(question: Question, counters: Iterable[str]) -> list[str]:
    """The facts that rows of visits must hold."""
    names = [COUNTED_VISITS[name].fact for name in counters if name in COUNTED_VISITS]
    names += [dimension.column for dimension in question.dimensions if dimension.level is Level.FACT]
    names += [
        of(leaf.dimension).column
        for leaf in filters.leaves(question.query.filters)
        if of(leaf.dimension).level is Level.FACT
    ]
    if "event:page" in question.query.dimensions:
        names += [COUNTED_VISITS[name].page for name in counters if name in COUNTED_VISITS]
    if "judged" in counters and _page_leaves(question):
        names.append("entry_page")
    return [name for name in dict.fromkeys(names) if name]


def _visits(question: Question, counters: list[str], *, by_first: bool) -> FromClause:
    """A row for each visit that counts, and for each of its pages or buckets when the rows are those."""
    levels = {dimension.level for dimension in question.dimensions}
    mixed = any({Level.EVENT, Level.FACT} <= looked_at for _, looked_at in question.conjuncts)
    if mixed or Level.EVENT in levels or (Level.TIME in levels and not by_first):
        return _joined(question, counters, by_first=by_first)
    return _one_pass(question, counters)


def _one_pass(question: Question, counters: list[str], only: Iterable[Expression] = ()) -> FromClause:
    """Visits with the facts of all their events and the counts of those that count, in one pass; `only` some visits.

    `inside` is the number of events that count; a visit with none does not belong to the question.
    """
    stamps = [filter for filter, levels in question.conjuncts if levels <= {Level.STAMP}]
    events = [filter for filter, levels in question.conjuncts if Level.EVENT in levels]
    selected = [_condition(question, filter, _text) for filter in events]
    inside = question.inside() if question.reach != question.period else []
    columns: list[Expression] = [_count(*inside, *selected).label("inside")]
    if "visitors" in counters:
        columns.append(AnyOf(E.visitor_id).label("visitor_id"))
    columns += [
        COUNTED[name].of_visit(*inside, *selected, *COUNTED[name].part).label(name)
        for name in counters
        if name in COUNTED and COUNTED[name].part
    ]
    facts = _facts(question, counters)
    columns += [FACTS[name].of_events().label(name) for name in facts]
    for i, dimension in enumerate(question.dimensions):
        if dimension.level is Level.FACT:
            continue
        if dimension.level is Level.TIME:
            first = func.min(E.occurred_at).filter(and_(*inside)) if inside else func.min(E.occurred_at)
            columns.append(_bucket(question, dimension, first).label(f"d{i}"))
        else:
            columns.append(AnyOf(_key_text(dimension, _text(dimension))).label(f"d{i}"))
    columns += [AnyOf(text).label(name) for name, text in _stamps_beside_facts(question).items()]
    if any(_has_done(filter) for filter, levels in question.conjuncts if Level.FACT in levels):
        columns.append(E.visit_id)
    where = [question.within("reach"), *(_condition(question, filter, _text) for filter in stamps)]
    where += only
    if selected:
        # Most filters choose few visits: the facts of the others need not be worked out.
        holding = select(E.visit_id).where(question.within(), *selected)
        where.append(E.visit_id.in_(holding))
    return select(*columns).where(*where).group_by(E.visit_id).subquery("visit")


def _stamps_beside_facts(question: Question) -> dict[str, Expression]:
    """The texts that filters look at together with facts, by the names of their columns."""
    mixed = [filter for filter, levels in question.conjuncts if Level.FACT in levels]
    seen = {of(leaf.dimension) for leaf in filters.leaves(mixed, done=False)}
    return {d.column: _text(d) for d in sorted(seen, key=lambda d: d.name) if d.level is Level.STAMP}


def _has_done(filter: Filter) -> bool:
    if isinstance(filter, Leaf | Done):
        return isinstance(filter, Done)
    return any(_has_done(part) for part in ((filter.filter,) if isinstance(filter, filters.Not) else filter.filters))


def _joined(question: Question, counters: list[str], *, by_first: bool, only: Iterable[Expression] = ()) -> FromClause:
    """Rows for each visit and each value of the event's own dimensions, with the visit's facts joined to its events;
    `only` some visits.
    """
    facts = _facts(question, counters)
    inside = and_(*question.inside())
    first = [func.min(E.occurred_at).filter(inside).label("first_inside")] if by_first else []
    visit = (
        select(E.visit_id, *(FACTS[name].of_events().label(name) for name in facts), *first)
        .where(question.within("reach"))
        .group_by(E.visit_id)
        .subquery("whole")
    )

    def text(dimension: Dimension) -> Expression:
        return visit.c[dimension.column] if dimension.level is Level.FACT else _text(dimension)

    keys = []
    for i, dimension in enumerate(question.dimensions):
        if dimension.level is Level.FACT:
            continue
        if dimension.level is not Level.TIME:
            key = _key_of(question, dimension)
        else:
            key = _bucket(question, dimension, visit.c.first_inside if by_first else E.occurred_at)
        keys.append(key.label(f"d{i}"))
    columns: list[Expression] = [AnyOf(E.visitor_id).label("visitor_id")]
    counted = [(name, COUNTED[name]) for name in counters if name in COUNTED and COUNTED[name].part]
    columns += [counter.of_visit(*counter.part).label(name) for name, counter in counted]
    columns += [AnyOf(visit.c[name]).label(name) for name in facts]
    # Nothing of the whole visit may be asked for: then there is nothing to join.
    source = EVENT.join(visit, visit.c.visit_id == E.visit_id) if facts or first else EVENT
    statement = _with_goals(question, select(*keys, *columns), source).where(
        question.within(),
        *(_condition(question, filter, text) for filter, _ in question.conjuncts),
    )
    return statement.where(*only).group_by(E.visit_id, *_named(keys)).subquery("visit")


def _named(keys: list[Any]) -> list[Expression]:
    """Keys to group by, by name: the expression written twice would have its parameters twice and be another one."""
    return [literal_column(key.name) for key in keys]


def _count(*conditions: Expression) -> Expression:
    return func.count().filter(and_(*conditions)) if conditions else func.count()


def _within(site_id: int, period: Period) -> Expression:
    start, end = periods.moment(period.start_ms), periods.moment(period.end_ms)
    return and_(E.site_id == site_id, E.occurred_at >= start, E.occurred_at < end)


def _text(dimension: Dimension) -> Expression:
    """The value of an event or its visit, "" when it is not known."""
    if dimension.key:
        return Property(E.props, dimension.key)
    column = E[dimension.column]
    if dimension.column == "city":
        return case((column == 0, ""), else_=cast(column, String))
    return column


def _key_text(dimension: Dimension, text: Expression) -> Expression:
    """The text to group by: what is called as the unknown is counted with it: nobody can tell them apart."""
    if dimension.key:
        return func.coalesce(func.nullif(text, dimension.empty), "")  # looks for the property once
    return case((text == dimension.empty, ""), else_=text)


def _of_event(question: Question, dimension: Dimension) -> Expression:
    if dimension.level is Level.TIME:
        return _bucket(question, dimension, E.occurred_at)
    return _key_of(question, dimension)


def _key_of(question: Question, dimension: Dimension) -> Expression:
    """The text of an event to group by."""
    if dimension.name == GOAL:
        assert question.reached is not None
        return question.reached.c.goal
    return _key_text(dimension, _text(dimension))


def _bucket(question: Question, dimension: Dimension, at: Expression) -> Expression:
    """The bucket of a moment: its wall-clock time by the zone's offset just then, cut to the unit."""
    *earlier, last = (timedelta(milliseconds=stretch.offset_ms) for stretch in question.stretches)
    offsets = [(question.at(f"shift{place}"), offset) for place, offset in enumerate(earlier)]
    return Bucket(dimension.column or question.unit, Local(at, offsets, last))


def _condition(
    question: Question,
    filter: Filter,
    column: Callable[[Dimension], Expression],
    visit_id: Expression = E.visit_id,
) -> Expression:
    """The filter on rows that have these columns."""

    def decided(part: Leaf | Done) -> Expression:
        if isinstance(part, Done):
            inner = question.within(), _condition(question, part.filter, _text)
            # Its events are others than those of the rows, whatever these come from.
            doing = visit_id.in_(select(E.visit_id).where(*inner).correlate(None))
            return not_(doing) if part.negated else doing
        if part.dimension == GOAL:
            accepted = filters.holding(part)
            return or_(false(), *(reaches(goal, question.paths) for goal in question.goals if accepted(goal.name)))
        return filters.compared(part, column(of(part.dimension)), question.values)

    return filters.condition(filter, decided)
