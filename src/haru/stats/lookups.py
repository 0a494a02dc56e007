"""Lookups: what only the store can tell of a plan before its statement can be made, each kept and shared by plans."""

from __future__ import annotations

from haru.stats import bounds
from haru.stats.asking import Asking, while_wanted
from haru.stats.plan import Plan
from haru.stats.query import QueryError
from haru.stats.sql import folded, folds, statement
from haru.stats.sql.folds import Folds
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import of
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.periods import Period
from haru.store.protocol import Folding, Store

_TOO_MANY_VALUES = (
    f"#/filters: {{}} has more than {bounds.MAX_VALUES:,} values to look at one by one: ask for a shorter period, or "
    "filter with is or with contains, minding the case"
)


class Lookups:
    """Asks a store what plans lack. Every method may be called from any thread and blocks."""

    def __init__(self, store: Store, asking: Asking) -> None:
        """`asking` is how the store is asked."""
        self._folding = store if isinstance(store, Folding) else None
        self._asking = asking

    def first_event(self, site_id: int, now_ms: int) -> int | None:
        """The moment (ms) of the site's first event; None when it has none."""

        def compute() -> int | None:
            ((first,),) = self._asking.rows(statement.first_event(site_id))
            return None if first is None else periods.milliseconds(first)

        first: int | None = self._asking.cache.get(("first event", site_id), site_id, now_ms, compute, fresh=True).value
        return first

    def resolve(self, plan: Plan, now_ms: int) -> Plan:
        """The plan with what the store tells. Raises `QueryError` for more values than can be looked at."""
        reach = self._reach(plan, now_ms) if plan.needs_facts else plan.period
        by_value = dict.fromkeys(leaf for leaf in plan.leaves if leaf.by_value)
        values = {leaf: self._accepted(plan.site.id, leaf, reach) for leaf in by_value}
        return plan.resolve(reach, values, self._paths(plan, reach), self._suitable(plan, now_ms))

    def _suitable(self, plan: Plan, now_ms: int) -> Folds | None:
        """What is known of the folded rows, when the answer comes sooner from them."""
        if self._folding is None or not folded.holds(plan):
            return None
        if folded.few(self._folding.folded(), plan):
            return None
        known = self._folds(self._folding, plan, now_ms)
        return known if folded.suits(plan, known) else None

    def _reach(self, plan: Plan, now_ms: int) -> Period:
        """From the first to the last event of the visits that cross an end of the period, or just the period."""
        if self._folding is not None:
            return self._folds(self._folding, plan, now_ms).reach
        period = plan.period
        before = self._edge(plan.site.id, period.start_ms, now_ms).start_ms
        after = self._edge(plan.site.id, period.end_ms, now_ms).end_ms
        if period.start_ms <= before and after <= period.end_ms:
            return period
        return Period(min(before, period.start_ms), max(after, period.end_ms))

    def _edge(self, site_id: int, at_ms: int, now_ms: int) -> Period:
        """From the first to the last event of the visits that cross an instant; an empty time there when none does."""

        def compute() -> Period:
            ((first, last),) = self._asking.rows(statement.edge(site_id, at_ms))
            if first is None:
                return Period(at_ms, at_ms)
            return Period(periods.milliseconds(first), periods.milliseconds(last) + 1)

        edge: Period = self._asking.cache.get(("edge", site_id, at_ms), site_id, now_ms, compute, fresh=True).value
        return edge

    def _folds(self, folding: Folding, plan: Plan, now_ms: int) -> Folds:
        """What all plans for the period share. Events that come later are not in the answer."""
        site_id, period = plan.site.id, plan.period

        def compute() -> Folds:
            (found,) = self._asking.rows(folds.LOOK, folds.parameters(site_id, period))
            return folds.known(period, found)

        key = "folds", site_id, period, folding.folded()
        found: Folds = self._asking.cache.get(key, site_id, now_ms, compute, fresh=True).value
        return found

    def _accepted(self, site_id: int, leaf: Leaf, reach: Period) -> frozenset[str]:
        found = self._asking.rows(statement.values(site_id, of(leaf.dimension), reach))
        if len(found) > bounds.MAX_VALUES:
            raise QueryError([_TOO_MANY_VALUES.format(leaf.dimension)])
        # A visit without a pageview has no entry page, which no event shows.
        values = {"", *(text for (text,) in found)}
        return frozenset(filter(filters.accepting(leaf), while_wanted(values)))

    def _paths(self, plan: Plan, reach: Period) -> dict[Goal, frozenset[str]]:
        """The paths that reach each goal whose page is a pattern, where goals are asked for."""
        goals = [goal for goal in plan.site.goals if goal.by_path] if plan.by_goal else []
        paths = [path for (path,) in self._asking.rows(statement.paths(plan.site.id, reach))] if goals else []
        if len(paths) > bounds.MAX_VALUES:
            raise QueryError([_TOO_MANY_VALUES.format("event:page")])
        return {goal: frozenset(path for path in while_wanted(paths) if goal.is_on(path)) for goal in goals}
