"""Explain a number: what each metric means, what was understood, and the statements that the store was asked."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite, order
from haru.stats.query import Query
from haru.stats.shares import DIVISORS
from haru.stats.sql.counters import COUNTERS, VISIT_COUNTERS
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import GOAL, of
from haru.stats.vocabulary.filters import And, Done, Filter, Leaf, Not
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS

WORDS = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "contains_not": "does not contain",
    "matches": "matches",
    "matches_not": "does not match",
}


def explain(reports: Reports, site: StatsSite, query: Query, now_ms: int) -> dict[str, Any]:
    """How the answer to a query comes about, as data for JSON.

    `metrics` have their meaning, how they are rounded and what is counted for them; `filters` stand as understood and
    in words; `period` has its first and last instant in the site's zone; `statements` are the SQL of the store, first
    that of the rows; `cost_ms` is what the answer took when it was computed. Raises as `Reports.answer` does.
    """
    answer = reports.answer(site, query, now_ms)
    zone = ZoneInfo(site.timezone)
    return {
        "metrics": [_metric(name) for name in query.metrics],
        "dimensions": [{"name": name, "meaning": of(name).meaning} for name in query.dimensions],
        "filters": [{"filter": filters.written(part), "words": words(part)} for part in query.filters],
        "goals": [{"name": goal.name, "reached_by": _reached_by(goal)} for goal in site.goals if _asks_goals(query)],
        "order_by": [list(key) for key in order(query)],
        "period": {**_ends(zone, answer.period), "timezone": site.timezone, "interval": answer.interval},
        "compared_with": _ends(zone, answer.comparison.period) if answer.comparison else None,
        "engine": reports.engine,
        "statements": [
            {"of": name, "meaning": _meaning(name), "sql": sql}
            for name, sql in reports.sql(site, query, now_ms).items()
        ],
        "computed_at": periods.iso(zone, answer.computed_at_ms),
        "cost_ms": answer.cost_ms,
    }


def words(filter: Filter) -> str:
    """A filter as a sentence has it."""
    if isinstance(filter, Leaf):
        clauses = " or ".join(f'"{clause}"' for clause in filter.clauses)
        case = "" if filter.case_sensitive else ", in upper or lower case"
        return f"{filter.dimension} {WORDS[filter.operator]} {clauses}{case}"
    if isinstance(filter, Done):
        having = "holds no event" if filter.negated else "holds an event"
        return f"the visit {having} for which ({words(filter.filter)})"
    if isinstance(filter, Not):
        return f"not ({words(filter.filter)})"
    joiner = " and " if isinstance(filter, And) else " or "
    return joiner.join(f"({words(part)})" for part in filter.filters)


def _ends(zone: ZoneInfo, period: tuple[int, int]) -> dict[str, str]:
    start, end = period
    return {"first": periods.iso(zone, start), "last": periods.iso(zone, end - 1)}


def _metric(name: str) -> dict[str, Any]:
    metric = METRICS[name]
    counted = [{"name": counter, "meaning": _meaning(counter)} for counter in metric.counters]
    return {"name": name, "meaning": metric.meaning, "rounding": f"{metric.rounding}, half to even", "counted": counted}


def _meaning(name: str) -> str:
    if name == "rows":
        return "the rows of the answer"
    if name == "unfolded":
        return "the same rows from events alone: the first statement reads visits that are folded already"
    if name in DIVISORS:
        return DIVISORS[name].meaning
    return COUNTERS[name].meaning if name in COUNTERS else VISIT_COUNTERS[name].meaning


def _asks_goals(query: Query) -> bool:
    return GOAL in query.dimensions or any(leaf.dimension == GOAL for leaf in filters.leaves(query.filters))


def _reached_by(goal: Goal) -> str:
    if goal.event:
        return f'an event named "{goal.event}"'
    if goal.scroll is not None:
        return f'a scroll of {goal.scroll} % or more on "{goal.page}"'
    return f'a pageview of "{goal.page}"'
