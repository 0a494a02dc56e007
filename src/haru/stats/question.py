"""A question: a query about a site in a period, with all that its statement must know."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, bindparam

from haru.clock import DAY_MS
from haru.stats.query import Query
from haru.stats.sql.counters import COUNTED, COUNTED_VISITS, E
from haru.stats.sql.folds import Folds
from haru.stats.sql.goals import Paths, reached
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import GOAL, Dimension, Level, of
from haru.stats.vocabulary.filters import Filter, Leaf, Values
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS
from haru.stats.vocabulary.periods import Period, Stretch

Expression = ColumnElement[Any]


@dataclass(frozen=True)
class Question:
    """A query about a site in a period, with what its statement needs to know."""

    site_id: int
    query: Query
    period: Period
    reach: Period  # from the first to the last event of the visits that cross the period's ends; holds the period
    unit: str = "day"  # what `time` stands for
    stretches: tuple[Stretch, ...] = ()  # of the period, for a dimension of time
    values: Values = field(default_factory=dict)  # for each leaf that is decided by value
    goals: tuple[Goal, ...] = ()  # of the site
    paths: Paths = field(default_factory=dict)  # for each goal that is decided by path
    folds: Folds | None = None  # when folded rows are asked
    counted: tuple[str, ...] = ()  # what is counted, when it is something else than the metrics ask for

    @cached_property
    def dimensions(self) -> list[Dimension]:
        """The dimensions of the rows."""
        return [of(name) for name in self.query.dimensions]

    @cached_property
    def counters(self) -> list[str]:
        """What is counted for each row, each once."""
        if self.counted:
            return list(self.counted)
        names = [counter for metric in self.query.metrics for counter in METRICS[metric].counters]
        counted = [name for name in dict.fromkeys(names) if name in COUNTED or name in COUNTED_VISITS]
        return [name for name in counted if name != "revenue"]  # by currency: a statement of its own

    @cached_property
    def conjuncts(self) -> list[tuple[Filter, set[Level]]]:
        """The filters that must all hold, with what each looks at."""
        return [(filter, filters.levels(filter)) for filter in filters.conjuncts(self.query.filters)]

    @property
    def by_time(self) -> bool:
        """Whether the rows are buckets of time."""
        return any(dimension.level is Level.TIME for dimension in self.dimensions)

    @property
    def sorted_by_store(self) -> bool:
        """Whether the order is one of counted numbers. Quotients are sorted after rounding, in Python."""
        names = [name for name, _ in order(self.query)]
        return all(name in COUNTED if name in METRICS else of(name).named is None for name in names)

    @cached_property
    def moments(self) -> dict[str, datetime]:
        """Those that its statement depends on, by the names of their parameters."""
        spans = {"period": self.period, "reach": self.reach}
        if self.folds is not None:
            spans |= {"edge0": self.folds.edges[0], "edge1": self.folds.edges[1]}
        found = {f"{name}_start": span.start_ms for name, span in spans.items()}
        found |= {f"{name}_end": span.end_ms for name, span in spans.items()}
        found |= {f"shift{place}": stretch.end_ms for place, stretch in enumerate(self.stretches[:-1])}
        if self.folds is not None and self.folds.low_ms is not None:
            found["low"] = self.folds.low_ms
        return {name: periods.moment(at_ms) for name, at_ms in found.items()}

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of its statement that have names."""
        return {"site": self.site_id, **self.moments}

    @property
    def shape(self) -> Hashable:
        """What questions have in common whose statements differ in these parameters only; None when others differ."""
        names = {*self.query.dimensions, *(leaf.dimension for leaf in filters.leaves(self.query.filters))}
        if self.values or GOAL in names:
            return None
        folds = self.folds
        if folds is not None:
            crossed = tuple(edge.start_ms < edge.end_ms for edge in folds.edges)
            kept = folds.settled, folds.long, folds.over, folds.low_ms is None, crossed
        offsets = tuple(stretch.offset_ms for stretch in self.stretches)
        query = replace(self.query, date_range="")
        reaches = self.reach == self.period
        return query, self.counted, self.unit, reaches, offsets, self.whole_days, None if folds is None else kept

    @property
    def whole_days(self) -> bool:
        """Whether the period begins and ends at midnight; known when its buckets are asked for."""
        if not self.stretches:
            return False
        first, last = self.stretches[0], self.stretches[-1]
        ends = self.period.start_ms + first.offset_ms, self.period.end_ms + last.offset_ms
        return all(end % DAY_MS == 0 for end in ends)

    @property
    def site(self) -> Expression:
        """The site's id as a parameter."""
        return bindparam("site", self.site_id, BigInteger())

    def at(self, name: str) -> Expression:
        """One of the moments as a parameter."""
        return bindparam(name, self.moments[name], E.occurred_at.type)

    def inside(self, span: str = "period") -> list[Expression]:
        """Whether an event happened in the period, or in another time of the question."""
        return [E.occurred_at >= self.at(f"{span}_start"), E.occurred_at < self.at(f"{span}_end")]

    def within(self, span: str = "period") -> Expression:
        """Whether an event is one of the site in this time."""
        return and_(E.site_id == self.site, *self.inside(span))

    @cached_property
    def reached(self) -> FromClause | None:
        """The goals that events are broken down by: those that every filter on goals accepts."""
        if GOAL not in self.query.dimensions:
            return None
        asked = [leaf for leaf, _ in self.conjuncts if isinstance(leaf, Leaf) and leaf.dimension == GOAL]
        accepted = [filters.holding(leaf) for leaf in asked]
        return reached([goal for goal in self.goals if all(accepts(goal.name) for accepts in accepted)])


def needs_facts(query: Query) -> bool:
    """Whether the query asks for facts of visits."""
    names = {*query.dimensions, *(leaf.dimension for leaf in filters.leaves(query.filters))}
    return any(METRICS[name].whole_visits for name in query.metrics) or any(
        of(name).level is Level.FACT for name in names
    )


def order(query: Query) -> list[tuple[str, str]]:
    """By what rows are sorted: as asked, else time, then the first metric; then every dimension, for ties."""
    keys = list(query.order_by)
    if not keys:
        keys = [(name, "asc") for name in query.dimensions if of(name).level is Level.TIME]
        keys.append((query.metrics[0], "desc"))
    return keys + [(name, "asc") for name in query.dimensions if name not in dict(keys)]
