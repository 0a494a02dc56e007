"""Answers: a plan is asked of the store, what comes back is made rows; these are compared, rounded and sorted."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy.sql import ClauseElement

from haru.stats import bounds, shares
from haru.stats.asking import Asking, while_wanted
from haru.stats.lookups import Lookups
from haru.stats.plan import Plan, StatsSite, make
from haru.stats.query import Query, QueryError
from haru.stats.shares import DIVISORS
from haru.stats.sql import folded, statement
from haru.stats.vocabulary import dimensions, filters, metrics, periods
from haru.stats.vocabulary.dimensions import GOAL, Dimension, Level
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS, Payments
from haru.store.protocol import FOLDED, Refolded, Store

MAX_STATEMENTS = 60  # kept, for questions of the same shape; each takes about 90 kB
_TOO_MANY_ROWS = (
    f"#/dimensions: There are more rows than can be sorted or compared ({bounds.MAX_CELLS:,} values): ask for fewer "
    "dimensions or a shorter period, or order by a number that is counted, such as visitors, and compare with nothing"
)

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

    divisors: dict[str, dict[Values, int]] = field(default_factory=dict)
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
        beside = [*self.beside.divisors.values(), *self.beside.revenue.values()]
        return 1 + rows + len(self.labels or ()) + sum(map(len, beside))


class Reports:
    """Answers queries from a store. Every method may be called from any thread and blocks."""

    def __init__(self, store: Store, seconds: float = 0) -> None:
        """`store` is asked; it is not closed. One question may take so many seconds; 0 is no limit."""
        self._store = store
        self.asking = Asking(store, seconds)
        self._lookups = Lookups(store, self.asking)
        self._statements: OrderedDict[Hashable, ClauseElement] = OrderedDict()
        self._statements_lock = threading.Lock()

    @property
    def engine(self) -> str:
        """Which engine the store is: duckdb, postgresql or clickhouse."""
        return self._store.engine

    def first_event(self, site_id: int, now_ms: int) -> int | None:
        """The moment (ms) of the site's first event; None when it has none."""
        return self._lookups.first_event(site_id, now_ms)

    def answer(self, site: StatsSite, query: Query, now_ms: int, *, fresh: bool = False) -> Answer:
        """The answer, at most a minute old; `fresh`: with every event that is in the store.

        Raises `QueryError` when a filter names a goal that the site does not have, or there is more to be answered than
        can be, `StoreUnavailable`, and `Stopped` when it takes longer than the limit or the one who waits
        for it has left.
        """

        def again(now_ms: int) -> None:
            with contextlib.suppress(QueryError):  # whoever asks is told
                self._answer(site, query, now_ms, fresh=True)

        with self.asking.question((site, query), site.id, now_ms, again):
            return without_events(query, site.goals, self._answer(site, query, now_ms, fresh))

    def sql(self, site: StatsSite, query: Query, now_ms: int) -> dict[str, str]:
        """The statements that answer a query, as the store's SQL for people: of "rows", and of what stands beside them.

        Where the rows come from folded visits, "unfolded" gives the same ones from events alone. A comparison asks the
        same of the other period. Raises `StoreUnavailable` and `Stopped`.
        """
        with self.asking.limited():
            plan = self._lookups.resolve(self._plan(site, query, now_ms), now_ms)
            plans = {"rows": plan}
            if plan.folds is not None:
                plans["unfolded"] = _unfolded(plan)
            divisors = dict(shares.plans(plan))
            for name in plan.others:
                divisor = divisors.get(name)
                plans[name] = _unfolded(self._lookups.resolve(divisor, now_ms)) if divisor else plan.paid()
            return {name: self._store.sql(_build(plan)) for name, plan in plans.items()}

    def _plan(self, site: StatsSite, query: Query, now_ms: int) -> Plan:
        return make(site, query, now_ms, lambda: self.first_event(site.id, now_ms))

    def _answer(self, site: StatsSite, query: Query, now_ms: int, fresh: bool) -> Answer:
        plan = self._plan(site, query, now_ms)
        if query.include.comparisons is None:
            return self._cached(plan, now_ms, fresh)
        answer, other = (self._cached(each, now_ms, fresh) for each in plan.pair(now_ms))
        return compared(plan, answer, other)

    def _cached(self, plan: Plan, now_ms: int, fresh: bool) -> Answer:
        compute = partial(self._compute, plan, now_ms)
        entry = self.asking.cache.get((plan.site, plan.undated, plan.name), plan.site.id, now_ms, compute, fresh=fresh)
        answer: Answer = entry.value
        return replace(answer, computed_at_ms=entry.computed_at_ms, cost_ms=entry.cost_ms)

    def _compute(self, plan: Plan, now_ms: int) -> Answer:
        labels = _labels(plan) if plan.query.include.time_labels else None
        plan = self._lookups.resolve(plan, now_ms)
        first = periods.wall(plan.zone, plan.period.start_ms)
        beside = Beside(self._divisors(plan, now_ms), self._revenue(plan, first))
        found = self._rows(plan)
        rows = [_row(plan, values, beside, first) for values in while_wanted(found)]
        total = None
        if plan.query.include.total_rows:
            total = int(found[0][-1]) if found else self._count(plan) if plan.query.offset else 0
        if plan.paged and not plan.sorted_by_store:
            rows = _page(plan, rows)
        period = plan.period.start_ms, plan.period.end_ms
        return Answer(rows, period, plan.unit, now_ms, 0.0, labels, total, beside=beside)

    def _rows(self, plan: Plan) -> list[Any]:
        """What the statement finds: in events alone when others were folded since the store told of them.

        Raises `QueryError` for more rows than can be answered.
        """
        found = None
        if plan.folds is not None:
            with contextlib.suppress(Refolded):
                given = {**plan.parameters, FOLDED: plan.folds.last_id}
                found = self.asking.rows(self._statement(plan), given)
        if found is None:
            plan = _unfolded(plan)
            found = self.asking.rows(self._statement(plan), plan.parameters)
        if len(found) > statement.most_rows(plan):
            raise QueryError([_TOO_MANY_ROWS])
        return found

    def _statement(self, plan: Plan) -> ClauseElement:
        """The statement of the plan's shape, which takes as long to make as a store of few events to answer."""
        shape = plan.shape
        if shape is None:
            return _build(plan)
        with self._statements_lock:
            known = self._statements.get(shape)
        if known is None:
            known = _build(plan)
            with self._statements_lock:
                self._statements[shape] = known
                while len(self._statements) > MAX_STATEMENTS:
                    self._statements.popitem(last=False)
        return known

    def _divisors(self, plan: Plan, now_ms: int) -> dict[str, dict[Values, int]]:
        """What shares divide by, by the values of its rows. Shared by every breakdown that asks."""
        found = {}
        for name, other in shares.plans(plan):
            rows = self._cached(other, now_ms, fresh=True).rows
            found[name] = {row.key: int(row.metrics[0]) for row in rows}
        return found

    def _revenue(self, plan: Plan, first: datetime) -> dict[Values, list[Payments]]:
        """The revenue of each row, ordered by currency."""
        found: dict[Values, list[Payments]] = {}
        if "revenue" not in plan.others:
            return found
        for *values, currency, amount, count in while_wanted(self._rows(plan.paid())):
            if count:
                row = found.setdefault(_key(plan, values, first), [])
                row.append(Payments(currency, Decimal(amount), int(count)))
        for payments in found.values():
            payments.sort(key=lambda paid: paid.currency)
        return found

    def _count(self, plan: Plan) -> int:
        """How many rows there are when the page lies behind the last."""
        first = plan.about(replace(plan.query, limit=1, offset=0))
        found = self._rows(first.resolve(plan.reach, plan.values, plan.paths, plan.folds))
        return int(found[0][-1]) if found else 0


def _build(plan: Plan) -> ClauseElement:
    return statement.build(plan, None if plan.folds is None else folded.groups(plan))


def _unfolded(plan: Plan) -> Plan:
    return plan.resolve(plan.reach, plan.values, plan.paths)


def _labels(plan: Plan) -> list[str]:
    unit = next(d.column for d in plan.dimensions if d.level is Level.TIME) or plan.unit
    try:
        return periods.labels(plan.zone, plan.period, unit)
    except ValueError as error:
        raise QueryError([f"#/dimensions: {error}: ask for a longer unit or a shorter period"]) from None


def _row(plan: Plan, values: tuple[Any, ...], beside: Beside, first: datetime) -> Row:
    size = len(plan.dimensions)
    counts = {n: int(v or 0) for n, v in zip(plan.counters, values[size:], strict=False)}
    return make_row(plan, _key(plan, values[:size], first), counts, beside)


def _key(plan: Plan, values: Iterable[Any], first: datetime) -> Values:
    """What tells a row from the others: what the store has, and of time the label."""
    return tuple(
        periods.label(value, dimension.column or plan.unit, first) if dimension.level is Level.TIME else value
        for dimension, value in zip(plan.dimensions, values, strict=True)
    )


def make_row(plan: Plan, key: Values, counts: Mapping[str, Any], beside: Beside) -> Row:
    """The row of this key with what was counted for it; what is not among the counts is 0."""
    known: dict[str, Any] = defaultdict(int, counts)
    for name, found in beside.divisors.items():
        known[name] = found.get(shares.key(DIVISORS[name], plan.query, key), 0)
    known["revenue"] = beside.revenue.get(key, [])
    shown = tuple(_shown(dimension, value) for dimension, value in zip(plan.dimensions, key, strict=True))
    return Row(shown, tuple(METRICS[name].value(known) for name in plan.query.metrics), key)


def _shown(dimension: Dimension, value: Value) -> Value:
    return value if dimension.level is Level.TIME else dimensions.shown(dimension, str(value))


def ordered(plan: Plan, rows: list[Row]) -> list[Row]:
    """By the values as they are shown; text by code point, a city as text as the store has it. Ties go by the key."""
    rows = sorted(rows, key=lambda row: row.key)
    for name, direction in reversed(plan.order):
        if name in METRICS:
            index = plan.query.metrics.index(name)
            rows = sorted(rows, key=lambda row: metrics.rank(name, row.metrics[index]), reverse=direction == "desc")
        else:
            index = plan.query.dimensions.index(name)
            rows = sorted(rows, key=lambda row: str(row.dimensions[index]), reverse=direction == "desc")
    return rows


def _page(plan: Plan, rows: list[Row]) -> list[Row]:
    return ordered(plan, rows)[plan.query.offset : plan.query.offset + plan.query.limit]


def compared(plan: Plan, answer: Answer, other: Answer) -> Answer:
    """The plan's page of the answer, each row with its counterpart: that of the same values; time goes by its place.

    Both answers have every row. A series has all its buckets, anything else the rows that either period has.
    """
    own, theirs = ({row.key: row for row in found.rows} for found in (answer, other))
    there = dict(zip(answer.labels or [], other.labels or [], strict=False))
    back = {label: own_label for own_label, label in there.items()}
    times = [dimension.level is Level.TIME for dimension in plan.dimensions]
    if times == [True]:
        keys: list[Values] = [(label,) for label in answer.labels or []]
    else:
        moved = (_moved(key, times, back) for key in theirs)
        keys = list(dict.fromkeys([*own, *(key for key in moved if key is not None)]))
    rows = []
    for key in keys:
        row = own.get(key) or make_row(plan, key, {}, answer.beside)
        # A longer period has buckets that the other has not.
        if (pair := _moved(key, times, there)) is not None:
            row = replace(row, comparison=theirs.get(pair) or make_row(plan, pair, {}, other.beside))
        rows.append(row)
    total = len(rows) if plan.query.include.total_rows else None
    page = _page(plan, rows)
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

    def blanked(row: Row) -> Row:
        of_row = [{str(value)} for name, value in zip(query.dimensions, row.dimensions, strict=True) if name == GOAL]
        if not any(found and found <= eventless for found in [*asked, *of_row]):
            return row
        values = (None if n == "events" else v for n, v in zip(query.metrics, row.metrics, strict=True))
        return replace(row, metrics=tuple(values), comparison=row.comparison and blanked(row.comparison))

    rows = [blanked(row) for row in answer.rows]
    other = answer.comparison and without_events(query, goals, answer.comparison)
    return replace(answer, rows=rows, comparison=other)
