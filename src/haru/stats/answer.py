"""An answer: its rows, in what order they stand, and beside each the same of another period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from haru.stats import shares
from haru.stats.query import Query
from haru.stats.question import order
from haru.stats.shares import WHOLES
from haru.stats.vocabulary import dimensions, filters, metrics
from haru.stats.vocabulary.dimensions import GOAL, Level, of
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS, Payments

Value = str | int  # of a dimension
Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer."""

    dimensions: Values  # in the order of the query's
    metrics: tuple[metrics.Value, ...]  # in the order of the query's
    key: Values  # its values as they are stored: two cities may have one name
    comparison: Row | None = None  # its counterpart in the period compared with, which may be one of nothing


@dataclass(frozen=True, slots=True)
class Beside:
    """What other statements tell of the rows, by their keys."""

    wholes: dict[str, dict[Values, int]] = field(default_factory=dict)
    revenue: dict[Values, list[Payments]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query."""

    rows: list[Row]
    period: tuple[int, int]  # ms, the end not included
    interval: str  # what `time` stands for: minute, hour, day, week or month
    computed_at_ms: int
    cost_ms: float
    labels: list[str] | None = None  # of every bucket in order, when asked for or compared
    total_rows: int | None = None  # before pagination, when it was asked for
    comparison: Answer | None = None  # over the period compared with, every row of it; its labels pair up by position
    beside: Beside = Beside()

    @property
    def cells(self) -> int:
        """How many values it holds, near enough to tell what it takes of memory; those of its comparison apart."""
        rows = sum(len(row.key) + len(row.dimensions) + len(row.metrics) for row in self.rows)
        beside = [*self.beside.wholes.values(), *self.beside.revenue.values()]
        return 1 + rows + len(self.labels or ()) + sum(map(len, beside))


def make_row(query: Query, key: Values, counts: Mapping[str, Any], beside: Beside) -> Row:
    """The row of this key with what was counted for it; what is not among the counts is 0."""
    known: dict[str, Any] = defaultdict(int, counts)
    for name, found in beside.wholes.items():
        known[name] = found.get(shares.key(WHOLES[name], query, key), 0)
    known["revenue"] = beside.revenue.get(key, [])
    shown = tuple(_shown(name, value) for name, value in zip(query.dimensions, key, strict=True))
    return Row(shown, tuple(METRICS[name].value(known) for name in query.metrics), key)


def _shown(name: str, value: Value) -> Value:
    dimension = of(name)
    return value if dimension.level is Level.TIME else dimensions.shown(dimension, str(value))


def ordered(query: Query, rows: list[Row]) -> list[Row]:
    """By the values as they are shown; text by code point, a city as text as the store has it. Ties go by the key."""
    rows = sorted(rows, key=lambda row: row.key)
    for name, direction in reversed(order(query)):
        if name in METRICS:
            index = query.metrics.index(name)
            rows = sorted(rows, key=lambda row: metrics.rank(name, row.metrics[index]), reverse=direction == "desc")
        else:
            index = query.dimensions.index(name)
            rows = sorted(rows, key=lambda row: str(row.dimensions[index]), reverse=direction == "desc")
    return rows


def compared(query: Query, answer: Answer, other: Answer) -> Answer:
    """The query's page of the answer, each row with its counterpart: that of the same values; time goes by its place.

    Both answers have every row. A series has all its buckets, anything else the rows that either period has.
    """
    own, theirs = ({row.key: row for row in found.rows} for found in (answer, other))
    there = dict(zip(answer.labels or [], other.labels or [], strict=False))
    back = {label: own_label for own_label, label in there.items()}
    times = [of(name).level is Level.TIME for name in query.dimensions]
    if times == [True]:
        keys: list[Values] = [(label,) for label in answer.labels or []]
    else:
        moved = (_moved(key, times, back) for key in theirs)
        keys = list(dict.fromkeys([*own, *(key for key in moved if key is not None)]))
    rows = []
    for key in keys:
        row = own.get(key) or make_row(query, key, {}, answer.beside)
        # A longer period has buckets that the other has not.
        if (pair := _moved(key, times, there)) is not None:
            row = replace(row, comparison=theirs.get(pair) or make_row(query, pair, {}, other.beside))
        rows.append(row)
    total = len(rows) if query.include.total_rows else None
    page = ordered(query, rows)[query.offset : query.offset + query.limit]
    return replace(answer, rows=page, total_rows=total, comparison=other)


def _moved(key: Values, times: list[bool], places: Mapping[str, str]) -> Values | None:
    """A row's key with its label of time as the other period has it; None where it has none."""
    moved = tuple(places.get(str(value)) if is_time else value for value, is_time in zip(key, times, strict=True))
    return None if None in moved else tuple(value for value in moved if value is not None)


def without_events(query: Query, goals: Collection[Goal], answer: Answer) -> Answer:
    """The answer with null for the `events` of goals of scroll: visits reach these, and no event of its own does."""
    names = {goal.name for goal in goals}
    eventless = {goal.name for goal in goals if goal.eventless}
    if "events" not in query.metrics or not eventless:
        return answer
    leaves = [part for part in filters.conjuncts(query.filters) if isinstance(part, Leaf) and part.dimension == GOAL]
    asked = [{name for name in names if accepts(name)} for accepts in map(filters.holding, leaves)]

    def told(row: Row) -> Row:
        of_row = [{str(value)} for name, value in zip(query.dimensions, row.dimensions, strict=True) if name == GOAL]
        if not any(found and found <= eventless for found in [*asked, *of_row]):
            return row
        values = (None if n == "events" else v for n, v in zip(query.metrics, row.metrics, strict=True))
        return replace(row, metrics=tuple(values), comparison=row.comparison and told(row.comparison))

    rows = [told(row) for row in answer.rows]
    other = answer.comparison and without_events(query, goals, answer.comparison)
    return replace(answer, rows=rows, comparison=other)
