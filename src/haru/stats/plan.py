"""A plan: a query about a site at a moment, with all that its statement and its rows need.

`make` works out what the query, the site and the moment tell: zone, period, unit, what is counted, what filters look
at. What only the store can tell, from `reach` on, is added by `haru.stats.lookups` before there is a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import FromClause

from haru.clock import DAY_MS
from haru.stats.query import Include, Query, QueryError
from haru.stats.sql.counters import COUNTERS, VISIT_COUNTERS
from haru.stats.sql.folds import Folds
from haru.stats.sql.goals import Paths, reached
from haru.stats.trees import unknown_goals
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import CURRENCY, GOAL, Dimension, Level, of
from haru.stats.vocabulary.filters import Filter, Leaf, Values
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS
from haru.stats.vocabulary.periods import Period, Stretch

ALL_ROWS = 2**53  # the limit of a query for every row, however many
# What a statement can count for its rows. Revenue is counted by currency: a statement of its own.
_OF_ROWS = {*COUNTERS, *VISIT_COUNTERS} - {"revenue"}


@dataclass(frozen=True, slots=True)
class StatsSite:
    """What answers must know of a site."""

    id: int
    timezone: str
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be found out, and all that is known of it before it is."""

    site: StatsSite
    query: Query
    zone: ZoneInfo
    period: Period
    name: Hashable  # what answers about the period are kept by: one that moves with every millisecond is as any other
    unit: str  # what `time` stands for: that of the query's own period, for the one compared with too
    undated: Query  # the same whatever its date range is
    dimensions: tuple[Dimension, ...]  # of the rows
    counters: tuple[str, ...]  # what the statement counts for each row, each once
    others: tuple[str, ...]  # what other statements count for it: revenue, and what shares divide by
    leaves: tuple[Leaf, ...]  # of all filters
    conjuncts: tuple[tuple[Filter, set[Level]], ...]  # the filters that must all hold, with what each looks at
    order: tuple[tuple[str, str], ...]  # by what rows are sorted, to the last tie
    paged: bool  # whether some of the rows are asked for
    sorted_by_store: bool  # whether the order is one of counted numbers: quotients are sorted after rounding, in Python
    needs_facts: bool  # whether facts of visits are asked for
    by_time: bool  # whether rows are buckets of time
    by_goal: bool  # whether goals are asked for, or filtered by
    reached: FromClause | None  # the goals that events are broken down by: those that every filter on goals accepts
    stretches: tuple[Stretch, ...]  # of the period, when rows are buckets of time
    whole_days: bool  # whether the period begins and ends at midnight; known when rows are buckets of time
    reach: Period  # from the first to the last event of the visits that cross the period's ends; holds the period
    values: Values  # for each leaf that is decided by value
    paths: Paths  # for each goal that is decided by path
    folds: Folds | None  # when folded rows are asked
    parameters: dict[str, Any]  # those of the statement that have names: the site and some moments
    shape: Hashable  # what plans have in common whose statements differ in these only; None when others differ too

    def about(self, query: Query) -> Plan:
        """The plan for another query about the same site and period."""
        return plan_for(self.site, query, self.zone, self.period, self.name, self.unit)

    def pair(self, now_ms: int) -> tuple[Plan, Plan]:
        """The plans for every row of the period and of the one that it is compared with."""
        range_, comparison = self.query.date_range, self.query.include.comparisons
        assert comparison is not None
        # Rows are paired before they are sorted, and buckets by their place: so all rows of both, and their labels.
        include = Include(time_labels=self.by_time)
        whole = self.about(replace(self.query, include=include, order_by=(), limit=ALL_ROWS, offset=0))
        other = periods.compared(range_, self.period, comparison, self.zone)
        running = comparison.to_now and now_ms in self.period
        name = self.name, None if periods.is_rolling(range_) else other, comparison, running
        period = periods.until(self.zone, self.period, other, now_ms) if running else other
        return whole, plan_for(self.site, whole.query, self.zone, period, name, self.unit)

    def paid(self) -> Plan:
        """The plan for the revenue of each row and currency: the sum of amounts, and how many."""
        dimensions = *self.query.dimensions, CURRENCY.name
        known = Leaf("is_not", CURRENCY.name, (CURRENCY.empty,))
        query = Query(("visitors",), self.query.date_range, dimensions, (*self.query.filters, known), limit=ALL_ROWS)
        paid = replace(self.about(query), counters=("revenue", "payments"))
        return paid.resolve(self.reach, self.values, self.paths)

    def resolve(self, reach: Period, values: Values, paths: Paths, folds: Folds | None = None) -> Plan:
        """The plan with what only the store can tell."""
        known = replace(self, reach=reach, values=values, paths=paths, folds=folds)
        moments = {name: periods.moment(at_ms) for name, at_ms in _moments(known).items()}
        return replace(known, parameters={"site": self.site.id, **moments}, shape=_shape(known))


def _moments(plan: Plan) -> dict[str, int]:
    """The moments, ms, that a statement depends on, by the names of their parameters."""
    spans = {"period": plan.period, "reach": plan.reach}
    if plan.folds is not None:
        spans |= {"edge0": plan.folds.edges[0], "edge1": plan.folds.edges[1]}
    found = {f"{name}_start": span.start_ms for name, span in spans.items()}
    found |= {f"{name}_end": span.end_ms for name, span in spans.items()}
    found |= {f"shift{place}": stretch.end_ms for place, stretch in enumerate(plan.stretches[:-1])}
    if plan.folds is not None and plan.folds.low_ms is not None:
        found["low"] = plan.folds.low_ms
    return found


def _shape(plan: Plan) -> Hashable:
    if plan.values or plan.by_goal:
        return None
    folds = plan.folds
    if folds is not None:
        crossed = tuple(edge.start_ms < edge.end_ms for edge in folds.edges)
        kept = folds.settled, folds.long, folds.over, folds.low_ms is None, crossed
    offsets = tuple(stretch.offset_ms for stretch in plan.stretches)
    reaches = plan.reach == plan.period
    return plan.undated, plan.counters, plan.unit, reaches, offsets, plan.whole_days, None if folds is None else kept


def make(site: StatsSite, query: Query, now_ms: int, first_event: Callable[[], int | None]) -> Plan:
    """The plan for a query now. `first_event` is asked for the period `all` only; None when the site has no event.

    Raises `QueryError` when a filter names a goal that the site does not have.
    """
    check_goals(query, site.goals)
    zone = ZoneInfo(site.timezone)
    period = periods.resolve(query.date_range, zone, now_ms, first_event)
    name = query.date_range if periods.is_rolling(query.date_range) else period
    return plan_for(site, query, zone, period, name, periods.interval(query.date_range, period, zone))


def check_goals(query: Query, goals: Sequence[Goal]) -> None:
    """Raises `QueryError` when a filter names a goal that is not among these."""
    faults = [fault for path, leaf in filters.placed(query.filters) for fault in unknown_goals(leaf, path, goals)]
    if faults:
        raise QueryError(faults)


def plan_for(site: StatsSite, query: Query, zone: ZoneInfo, period: Period, name: Hashable, unit: str) -> Plan:
    """The plan for a query about a site in a period; its date range is not looked at."""
    terms = _terms(query)
    stretches = periods.stretches(zone, period) if terms["by_time"] else ()
    return Plan(
        site=site,
        query=query,
        zone=zone,
        period=period,
        name=name,
        unit=unit,
        reached=_reached(site, terms["conjuncts"]) if GOAL in query.dimensions else None,
        stretches=stretches,
        whole_days=_whole_days(period, stretches),
        reach=period,
        values={},
        paths={},
        folds=None,
        parameters={},
        shape=None,
        **terms,
    )


@lru_cache(maxsize=200)
def _terms(query: Query) -> dict[str, Any]:
    """What a query asks for: the same in every plan for it. A page asks for the same again and again."""
    dimensions = tuple(of(name) for name in query.dimensions)
    leaves = tuple(filters.leaves(query.filters))
    looked_at = [*dimensions, *(of(leaf.dimension) for leaf in leaves)]
    counted = dict.fromkeys(counter for metric in query.metrics for counter in METRICS[metric].counters)
    keys = order(query)
    return {
        "undated": replace(query, date_range=""),
        "dimensions": dimensions,
        "counters": tuple(name for name in counted if name in _OF_ROWS),
        "others": tuple(name for name in counted if name not in _OF_ROWS),
        "leaves": leaves,
        "conjuncts": tuple((filter, filters.levels(filter)) for filter in filters.conjuncts(query.filters)),
        "order": keys,
        "paged": query.limit < ALL_ROWS,
        "sorted_by_store": all(name in COUNTERS if name in METRICS else of(name).named is None for name, _ in keys),
        "needs_facts": any(METRICS[name].whole_visits for name in query.metrics)
        or any(dimension.level is Level.FACT for dimension in looked_at),
        "by_time": any(dimension.level is Level.TIME for dimension in dimensions),
        "by_goal": any(dimension.name == GOAL for dimension in looked_at),
    }


def _reached(site: StatsSite, conjuncts: Iterable[tuple[Filter, set[Level]]]) -> FromClause:
    leaves = [leaf for leaf, _ in conjuncts if isinstance(leaf, Leaf) and leaf.dimension == GOAL]
    accepted = [filters.holding(leaf) for leaf in leaves]
    return reached([goal for goal in site.goals if all(accepts(goal.name) for accepts in accepted)])


def _whole_days(period: Period, stretches: Sequence[Stretch]) -> bool:
    if not stretches:
        return False
    ends = period.start_ms + stretches[0].offset_ms, period.end_ms + stretches[-1].offset_ms
    return all(end % DAY_MS == 0 for end in ends)


def order(query: Query) -> tuple[tuple[str, str], ...]:
    """By what rows are sorted: as asked, else time, then the first metric; then every dimension, for ties."""
    keys = list(query.order_by)
    if not keys:
        keys = [(name, "asc") for name in query.dimensions if of(name).level is Level.TIME]
        keys.append((query.metrics[0], "desc"))
    return *keys, *((name, "asc") for name in query.dimensions if name not in dict(keys))
