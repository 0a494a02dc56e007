"""Questions over folded visits: the same rows as `statement` finds in the events, from one ready row for each visit.

A store that folds (`haru.events.store.Folding`) has a table `visit`. A visit in it is taken as it is when it lies
wholly inside the period and has no event that is not folded; the few others are made from their events, as ever.
Visitors who have one visit in all are counted without being told apart: that is what takes the time of a question.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    not_,
    select,
    table,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from haru.events.event import Origin
from haru.events.store import FOLDED
from haru.events.visits import VISIT_GAP_MS
from haru.stats import periods, statement
from haru.stats.dimensions import Level
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
_PAGES = ("entry_page", "exit_page", "entry_hostname", "exit_hostname")

VISIT = table(
    "visit",
    *(column(name, BigInteger()) for name in ("id", "pageviews", "events", "bounced", "lasted_ms")),
    *(column(name, E.occurred_at.type) for name in ("first_at", "last_at")),
    *(column(name, E.path.type) for name in _PAGES),
    *(column(name, E[name].type) for name in ("site_id", "visitor_id", *Origin.__struct_fields__)),
    column("alone", Boolean()),
)
V = VISIT.c


def suits(question: Question) -> bool:
    """Whether folded visits hold all that is asked, and the answer comes sooner from them: when facts are asked for.

    A breakdown of visitors by a stamp alone takes as long from a million visits, and longer from few.
    """
    if not statement.needs_facts(question.query):
        return False
    counters = set(question.counters)
    if not counters or not counters <= _COUNTERS or not set(statement._facts(question, counters)) <= _HELD.keys():
        return False
    if any(dimension.level not in {Level.STAMP, Level.FACT, Level.TIME} for dimension in question.dimensions):
        return False
    if not all(_simple(filter) and levels <= {Level.STAMP, Level.FACT} for filter, levels in question.conjuncts):
        return False
    # A visit counts in each bucket it has an event in, a fact in one only.
    return not (question.by_time and counters & COUNTED.keys())


def groups(question: Question) -> FromClause:
    """One row for each group, its dimensions and counters: see `statement.build`. The question must suit."""
    special = _special(question)
    made = statement._one_pass(question, question.counters, select(special.c.visit_id))
    ready = [*_whole(question), V.id.not_in(select(special.c.visit_id)), *_of_visits(_stamps(question))]
    folded = select(*(_held(question, name).label(name) for name in made.c.keys()))  # noqa: SIM118 -- no dict
    if "visitors" not in question.counters:
        return _grouped(question, union_all(folded.where(*ready), select(*made.c)), question.counters).subquery(
            "grouped"
        )
    alone = and_(V.alone, V.visitor_id.not_in(select(special.c.visitor_id)))
    others = union_all(folded.where(*ready, not_(alone)), select(*made.c))
    rest = [name for name in question.counters if name != "visitors"]
    parts = [
        _grouped(question, folded.where(*ready, alone), rest).add_columns(func.count().label("visitors")).subquery("a"),
        _grouped(question, others, question.counters).subquery("b"),
    ]
    names = [f"d{i}" for i in range(len(question.dimensions))]
    both = union_all(*(select(*(part.c[name] for name in [*names, *question.counters])) for part in parts))
    rows = both.subquery("united")
    keys = [rows.c[name] for name in names]
    return (
        select(*keys, *(func.sum(rows.c[name]).label(name) for name in question.counters))
        .group_by(*keys)
        .subquery("grouped")
    )


def _special(question: Question) -> CTE:
    """The visits, and their visitors, whose folded row may lack an event or reach over an end of the period.

    Between two events of a visit there is never more than the gap: one that crosses an instant has an event in the gap
    before it.
    """
    columns = select(E.visit_id, E.visitor_id)
    site, start, end = question.site_id, question.period.start_ms, question.period.end_ms
    later = columns.where(statement._within(site, question.reach), E.id > bindparam(FOLDED, 0, BigInteger()))
    crossing = [
        columns.where(statement._within(site, Period(at_ms - VISIT_GAP_MS, at_ms)))
        for at_ms in dict.fromkeys((start, end))
    ]
    return union_all(later, *crossing).cte("special")


def _whole(question: Question) -> list[Expression]:
    """Folded visits of the site that lie inside the period with all their events."""
    start, end = question.period.start_ms, question.period.end_ms
    return [V.site_id == question.site_id, V.first_at >= periods.moment(start), V.last_at < periods.moment(end)]


def _grouped(question: Question, rows: Any, counters: list[str]) -> Select[Any]:
    by_first = question.by_time
    return statement._by_visit(question, counters, by_first=by_first, rows=rows.subquery("visit"))


def _held(question: Question, name: str) -> Expression:
    """What a folded visit has in the place of a column of the visits made from events."""
    if name == "inside":
        return literal_column("1")
    if name in _HELD or name == "visitor_id":
        return V[_HELD.get(name, name)]
    for i, dimension in enumerate(question.dimensions):
        if name == f"d{i}":
            if dimension.level is Level.TIME:
                return statement._bucket(question, dimension, V.first_at)
            return _of_visit(statement._key_text(dimension, statement._text(dimension)))
    return _of_visit(statement._stamps_beside_facts(question)[name])


def _stamps(question: Question) -> list[Expression]:
    """The filters on stamps alone, over events."""
    found = [filter for filter, levels in question.conjuncts if levels <= {Level.STAMP}]
    return [statement._condition(question, filter, statement._text) for filter in found]


def _of_visits(conditions: list[Expression]) -> list[Expression]:
    return [_of_visit(condition) for condition in conditions]


def _of_visit(expression: Expression) -> Expression:
    """The same of a folded visit: stamps have the same names there."""

    def replaced(element: Any, **_: Any) -> Any:
        return V[element.name] if getattr(element, "table", None) is EVENT else None

    return replacement_traverse(expression, {}, replaced)


def _simple(filter: Filter) -> bool:
    """Whether the filter looks at the values of one row, and at nothing else."""
    if isinstance(filter, And | Or):
        return all(_simple(part) for part in filter.filters)
    return _simple(filter.filter) if isinstance(filter, Not) else isinstance(filter, Leaf)
