"""Answers: run a question, compare, round, sort; each computed once however many ask."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.sql import ClauseElement

from haru.stats import bounds, shares
from haru.stats.answer import Answer, Beside, Row, Values, compared, make_row, ordered, without_events
from haru.stats.asking import Asking, while_wanted
from haru.stats.query import Include, Query, QueryError, check_goals
from haru.stats.question import Question, needs_facts
from haru.stats.shares import ALL_ROWS, WHOLES
from haru.stats.sql import folded, folds, statement
from haru.stats.sql.folds import Folds
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import GOAL, Level, of
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS, Payments
from haru.stats.vocabulary.periods import Period
from haru.store.protocol import FOLDED, Folding, Refolded, Store

MAX_STATEMENTS = 60  # kept, for questions of the same shape; each takes about 90 kB


@dataclass(frozen=True, slots=True)
class StatsSite:
    """What answers must know of a site."""

    id: int
    timezone: str
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """The period of one answer, and how it came about."""

    period: Period
    key: Hashable  # what the cache knows it by: one that moves with every millisecond is kept as any other
    unit: str  # what `time` stands for: that of the query's own period, for the one compared with too


class Reports:
    """Answers queries from a store. Every method may be called from any thread and blocks."""

    def __init__(self, store: Store, seconds: float = 0) -> None:
        """`store` is asked; it is not closed. One question may take so many seconds; 0 is no limit."""
        self._store = store
        self._folding = store if isinstance(store, Folding) else None
        self.asking = Asking(store, seconds)
        self._statements: OrderedDict[Hashable, ClauseElement] = OrderedDict()
        self._statements_lock = threading.Lock()

    def answer(self, site: StatsSite, query: Query, now_ms: int, *, fresh: bool = False) -> Answer:
        """The answer, at most a minute old; `fresh`: with every event that is in the store.

        Raises `QueryError` when a filter names a goal that the site does not have, or there is more to be answered than
        can be, `StoreUnavailable`, and `Stopped` when it takes longer than the limit or the one who waits
        for it has left.
        """
        check_goals(query, site.goals)

        def again(now_ms: int) -> None:
            with contextlib.suppress(QueryError):  # whoever asks is told
                self._answer(site, query, now_ms, fresh=True)

        self.asking.note((site, query), site.id, now_ms, again)
        with self.asking.limited():
            return without_events(query, site.goals, self._answer(site, query, now_ms, fresh))

    def first_event(self, site_id: int, now_ms: int) -> int | None:
        """The moment (ms) of the site's first event; None when it has none."""

        def compute() -> int | None:
            ((first,),) = self.asking.rows(statement.first_event(site_id))
            return None if first is None else periods.milliseconds(first)

        first: int | None = self.asking.cache.get(("first event", site_id), site_id, now_ms, compute, fresh=True).value
        return first

    @property
    def engine(self) -> str:
        """Which engine the store is: duckdb, postgresql or clickhouse."""
        return self._store.engine

    def sql(self, site: StatsSite, query: Query, now_ms: int) -> dict[str, str]:
        """The statements that answer a query, as the store's SQL for people: of "rows", and of what stands beside them.

        Where the rows come from folded visits, "unfolded" gives the same ones from events alone. A comparison asks the
        same of the other period. Raises `StoreUnavailable` and `Stopped`.
        """
        with self.asking.limited():
            return {name: self._store.sql(asked) for name, asked in self._asked(site, query, now_ms).items()}

    def _asked(self, site: StatsSite, query: Query, now_ms: int) -> dict[str, ClauseElement]:
        zone = ZoneInfo(site.timezone)
        period = periods.resolve(query.date_range, zone, now_ms, lambda: self.first_event(site.id, now_ms))
        unit = periods.interval(query.date_range, period, zone)
        question = self._question(site, query, period, unit, now_ms)
        found: dict[str, ClauseElement] = {"rows": self._statement(question)}
        if question.folds is not None:
            found["unfolded"] = statement.build(question)
        for name in _counters(query):
            if name in WHOLES:
                found[name] = statement.build(
                    self._question(site, shares.asked(WHOLES[name], query), period, unit, now_ms), paged=False
                )
            elif name == "revenue":
                found[name] = statement.build(statement.paid(question), paged=False)
        return found

    def _answer(self, site: StatsSite, query: Query, now_ms: int, fresh: bool) -> Answer:
        zone = ZoneInfo(site.timezone)
        period = periods.resolve(query.date_range, zone, now_ms, lambda: self.first_event(site.id, now_ms))
        comparison = query.include.comparisons
        name = query.date_range if periods.is_rolling(query.date_range) else period
        span = _Span(period, name, periods.interval(query.date_range, period, zone))
        if comparison is None:
            return self._cached(site, query, span, now_ms, fresh)
        # Rows are paired before they are sorted, and buckets by their place: so all rows of both, and their labels.
        whole = replace(query, include=Include(time_labels=_by_time(query)), order_by=(), limit=ALL_ROWS, offset=0)
        answer = self._cached(site, whole, span, now_ms, fresh)
        other = periods.compared(query.date_range, period, comparison, zone)
        running = comparison.to_now and now_ms in period
        other_span = replace(
            span,
            period=periods.until(zone, period, other, now_ms) if running else other,
            key=(name, None if periods.is_rolling(query.date_range) else other, comparison, running),
        )
        return compared(query, answer, self._cached(site, whole, other_span, now_ms, fresh))

    def _cached(self, site: StatsSite, query: Query, span: _Span, now_ms: int, fresh: bool) -> Answer:
        key = (site, replace(query, date_range=""), span.key)
        entry = self.asking.cache.get(
            key, site.id, now_ms, lambda: self._compute(site, query, span, now_ms), fresh=fresh
        )
        answer: Answer = entry.value
        return replace(answer, computed_at_ms=entry.computed_at_ms, cost_ms=entry.cost_ms)

    def _compute(self, site: StatsSite, query: Query, span: _Span, now_ms: int) -> Answer:
        zone = ZoneInfo(site.timezone)
        period, paged = span.period, query.limit < ALL_ROWS
        question = self._question(site, query, period, span.unit, now_ms)
        labels = _labels(zone, question) if query.include.time_labels else None
        first = periods.wall(zone, period.start_ms)
        beside = Beside(self._wholes(site, query, span, now_ms), self._revenue(question, first))
        found = self._rows(question, paged=paged)
        rows = [_row(question, values, beside, first) for values in while_wanted(found)]
        total = None
        if query.include.total_rows:
            total = int(found[0][-1]) if found else self._count(question) if query.offset else 0
        if paged and not question.sorted_by_store:
            rows = ordered(query, rows)[query.offset : query.offset + query.limit]
        return Answer(rows, (period.start_ms, period.end_ms), span.unit, now_ms, 0.0, labels, total, beside=beside)

    def _rows(self, question: Question, *, paged: bool = True) -> list[Any]:
        """What the statement finds: in events alone when others were folded since the question was made."""
        if question.folds is not None:
            given = {**question.parameters, FOLDED: question.folds.last_id}
            with contextlib.suppress(Refolded):
                return _all(question, self.asking.rows(self._known_statement(question, paged), given))
            question = replace(question, folds=None)
        return _all(question, self.asking.rows(self._known_statement(question, paged), question.parameters))

    def _known_statement(self, question: Question, paged: bool) -> ClauseElement:
        """The statement of the question's shape, which takes as long to make as a store of few events to answer."""
        shape = question.shape
        if shape is None:
            return self._statement(question, paged=paged)
        with self._statements_lock:
            known = self._statements.get((shape, paged))
        if known is None:
            known = self._statement(question, paged=paged)
            with self._statements_lock:
                self._statements[shape, paged] = known
                while len(self._statements) > MAX_STATEMENTS:
                    self._statements.popitem(last=False)
        return known

    def _statement(self, question: Question, *, paged: bool = True) -> ClauseElement:
        groups = None if question.folds is None else folded.groups
        return statement.build(question, paged=paged, groups=groups)

    def _question(self, site: StatsSite, query: Query, period: Period, unit: str, now_ms: int) -> Question:
        reach = self._reach(site, period, now_ms) if needs_facts(query) else period
        stretches = periods.stretches(ZoneInfo(site.timezone), period) if _by_time(query) else ()
        values: dict[Leaf, frozenset[str]] = {}
        for leaf in filters.leaves(query.filters):
            if leaf.by_value and leaf not in values:
                values[leaf] = self._accepted(site, leaf, reach)
        paths = self._paths(site, query, reach)
        question = Question(site.id, query, period, reach, unit, stretches, values, site.goals, paths)
        if self._folding is None or not folded.holds(question):
            return question
        if not needs_facts(query) and self._folding.folded() < folded.MANY:
            return question
        known = self._folds(self._folding, site, period, now_ms)
        return replace(question, folds=known) if folded.suits(question, known) else question

    def _folds(self, folding: Folding, site: StatsSite, period: Period, now_ms: int) -> Folds:
        """What all questions about the period share. Events that come later are not in the answer."""

        def compute() -> Folds:
            (found,) = self.asking.rows(folds.LOOK, folds.parameters(site.id, period))
            return folds.known(period, found)

        key = "folds", site.id, period, folding.folded()
        found: Folds = self.asking.cache.get(key, site.id, now_ms, compute, fresh=True).value
        return found

    def _paths(self, site: StatsSite, query: Query, reach: Period) -> dict[Goal, frozenset[str]]:
        """The paths that reach each goal whose page is a pattern, where goals are asked for."""
        names = {*query.dimensions, *(leaf.dimension for leaf in filters.leaves(query.filters))}
        goals = [goal for goal in site.goals if goal.by_path] if GOAL in names else []
        paths = [path for (path,) in self.asking.rows(statement.paths(site.id, reach))] if goals else []
        if len(paths) > bounds.MAX_VALUES:
            raise QueryError([_TOO_MANY_VALUES.format("event:page")])
        return {goal: frozenset(path for path in while_wanted(paths) if goal.is_on(path)) for goal in goals}

    def _accepted(self, site: StatsSite, leaf: Leaf, reach: Period) -> frozenset[str]:
        found = self.asking.rows(statement.values(site.id, of(leaf.dimension), reach))
        if len(found) > bounds.MAX_VALUES:
            raise QueryError([_TOO_MANY_VALUES.format(leaf.dimension)])
        # A visit without a pageview has no entry page, which no event shows.
        values = {"", *(text for (text,) in found)}
        return frozenset(filter(filters.accepting(leaf), while_wanted(values)))

    def _reach(self, site: StatsSite, period: Period, now_ms: int) -> Period:
        """From the first to the last event of the visits that cross an end of the period, or just the period."""
        if self._folding is not None:
            return self._folds(self._folding, site, period, now_ms).reach
        before = self._edge(site, period.start_ms, now_ms).start_ms
        after = self._edge(site, period.end_ms, now_ms).end_ms
        if period.start_ms <= before and after <= period.end_ms:
            return period
        return Period(min(before, period.start_ms), max(after, period.end_ms))

    def _edge(self, site: StatsSite, at_ms: int, now_ms: int) -> Period:
        """From the first to the last event of the visits that cross an instant; an empty time there when none does."""

        def compute() -> Period:
            ((first, last),) = self.asking.rows(statement.edge(site.id, at_ms))
            if first is None:
                return Period(at_ms, at_ms)
            return Period(periods.milliseconds(first), periods.milliseconds(last) + 1)

        edge: Period = self.asking.cache.get(("edge", site.id, at_ms), site.id, now_ms, compute, fresh=True).value
        return edge

    def _wholes(self, site: StatsSite, query: Query, span: _Span, now_ms: int) -> dict[str, dict[Values, int]]:
        """What shares divide by, by the values of its rows. Shared by every breakdown that asks."""
        found = {}
        for name in _counters(query):
            if name in WHOLES:
                asked = shares.asked(WHOLES[name], query)
                rows = self._cached(site, asked, span, now_ms, fresh=True).rows
                found[name] = {row.key: int(row.metrics[0]) for row in rows}
        return found

    def _revenue(self, question: Question, first: datetime) -> dict[Values, list[Payments]]:
        """The revenue of each row, ordered by currency."""
        found: dict[Values, list[Payments]] = {}
        if "revenue" not in _counters(question.query):
            return found
        paid = statement.paid(question)
        payments_found = _all(paid, self.asking.rows(statement.build(paid, paged=False)))
        for *values, currency, amount, count in while_wanted(payments_found):
            if count:
                row = found.setdefault(_key(question, values, first), [])
                row.append(Payments(currency, Decimal(amount), int(count)))
        for payments in found.values():
            payments.sort(key=lambda paid: paid.currency)
        return found

    def _count(self, question: Question) -> int:
        """How many rows there are when the page lies behind the last."""
        first = replace(question, query=replace(question.query, limit=1, offset=0))
        found = self._rows(first)
        return int(found[0][-1]) if found else 0


_TOO_MANY_ROWS = (
    f"#/dimensions: There are more rows than can be sorted or compared ({bounds.MAX_CELLS:,} values): ask for fewer "
    "dimensions or a shorter period, or order by a number that is counted, such as visitors, and compare with nothing"
)
_TOO_MANY_VALUES = (
    f"#/filters: {{}} has more than {bounds.MAX_VALUES:,} values to look at one by one: ask for a shorter period, or "
    "filter with is or with contains, minding the case"
)


def _all(question: Question, found: list[Any]) -> list[Any]:
    """The rows, when they are no more than can be answered. Raises `QueryError`."""
    if len(found) > statement.most_rows(question):
        raise QueryError([_TOO_MANY_ROWS])
    return found


def _labels(zone: ZoneInfo, question: Question) -> list[str]:
    unit = next(d.column for d in question.dimensions if d.level is Level.TIME) or question.unit
    try:
        return periods.labels(zone, question.period, unit)
    except ValueError as error:
        raise QueryError([f"#/dimensions: {error}: ask for a longer unit or a shorter period"]) from None


def _row(question: Question, values: tuple[Any, ...], beside: Beside, first: datetime) -> Row:
    size = len(question.dimensions)
    counts = {n: int(v or 0) for n, v in zip(question.counters, values[size:], strict=False)}
    return make_row(question.query, _key(question, values[:size], first), counts, beside)


def _key(question: Question, values: Iterable[Any], first: datetime) -> Values:
    """What tells a row from the others: what the store has, and of time the label."""
    return tuple(
        periods.label(value, dimension.column or question.unit, first) if dimension.level is Level.TIME else value
        for dimension, value in zip(question.dimensions, values, strict=True)
    )


def _counters(query: Query) -> list[str]:
    """What is counted for the metrics of a query, here or elsewhere, each once."""
    return list(dict.fromkeys(counter for name in query.metrics for counter in METRICS[name].counters))


def _by_time(query: Query) -> bool:
    return any(of(name).level is Level.TIME for name in query.dimensions)
