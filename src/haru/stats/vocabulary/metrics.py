"""The metrics: how each is counted by the store, and how it is worked out and rounded, once, in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

Number = int | float
# Of a row: a number; None where there is no data; a list of an amount for each currency.
Value = Any
Counts = Mapping[str, Any]  # counter → what the store counted for a row


@dataclass(frozen=True, slots=True)
class Payments:
    """The revenue of a row in one currency."""

    currency: str  # ISO 4217
    amount: Decimal  # all of it, exact
    count: int


@dataclass(frozen=True, slots=True)
class MetricUse:
    """Where a query uses a metric: by which dimensions, among which events."""

    dimensions: tuple[str, ...]
    filtered: frozenset[str]  # dimensions of filters, but for those of what a visit has done

    @property
    def names(self) -> frozenset[str]:
        """Every dimension of the query."""
        return self.filtered.union(self.dimensions)


@dataclass(frozen=True, slots=True)
class Rule:
    """A question that a metric has no answer to."""

    broken: Callable[[MetricUse], bool]
    sentence: str  # what comes after the metric's name
    lacking: bool = False  # something is missing from the question, rather than wrong in it


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    meaning: str
    rounding: str  # how it is shown
    counters: tuple[str, ...]  # of counters.COUNTERS, counters.VISIT_COUNTERS and shares.DIVISORS
    value: Callable[[Counts], Value]
    whole_visits: bool = False  # it speaks of facts of whole visits
    points: bool = False  # two of them differ by points, not by per cent
    blank: Number | None = 0  # what the API answers where there is no data
    rules: tuple[Rule, ...] = ()


def rounded(numerator: int, denominator: int, digits: int) -> Number | None:
    """The quotient, exact until it is rounded half to even; None, no data, when there is nothing to divide by."""
    if denominator == 0:
        return None
    value = round(Fraction(numerator, denominator), digits)
    return int(value) if digits == 0 else float(value)


def _count(name: str, meaning: str) -> Metric:
    return Metric(name, meaning, "whole number", (name,), lambda counts: counts[name])


def _money(amounts: Iterable[tuple[str, Fraction]]) -> list[dict[str, Value]] | None:
    return [{"currency": currency, "value": float(round(amount, 2))} for currency, amount in amounts] or None


_NO_PAGE = Rule(
    lambda use: "event:page" not in use.names,
    "needs the dimension event:page or a filter on it, because it speaks of a page",
    lacking=True,
)
_ENGAGING = Rule(
    lambda use: "event:goal" in use.names,
    "cannot be asked of a goal, because it speaks of all reading of a page, not of what reaches a goal",
)
_NO_GOAL = Rule(
    lambda use: "event:goal" not in use.names,
    "needs the dimension event:goal or a filter on it, because only a goal says who has converted",
    lacking=True,
)
_EXITS = {"event:page", "visit:exit_page"}
_TABLE = (
    _count("visitors", "distinct visitors"),
    _count("visits", "distinct visits"),
    _count("pageviews", "events named `pageview`"),
    _count("events", "events other than `engagement`"),
    Metric(
        "views_per_visit",
        "mean, over the visits, of the pageviews of the whole visit",
        "2 decimals",
        ("viewed", "whole_visits"),
        lambda counts: rounded(counts["viewed"], counts["whole_visits"], 2),
        whole_visits=True,
        rules=(
            Rule(
                lambda use: "event:page" in use.dimensions,
                "cannot be broken down by event:page, because it counts pages of whole visits, and a page is part of "
                "one: ask for pageviews, or by visit:entry_page",
            ),
        ),
    ),
    Metric(
        "bounce_rate",
        "visits with at most one pageview and no interactive custom event / visits × 100",
        "whole per cent",
        ("bounced", "judged"),
        lambda counts: rounded(counts["bounced"] * 100, counts["judged"], 0),
        whole_visits=True,
        points=True,
    ),
    Metric(
        "visit_duration",
        "mean seconds from the first event of a visit to its last, engagement events aside",
        "whole seconds",
        ("lasted_ms", "whole_visits"),
        lambda counts: rounded(counts["lasted_ms"], counts["whole_visits"] * 1000, 0),
        whole_visits=True,
    ),
    Metric(
        "time_on_page",
        "seconds that the page was engaged with / visits with an engagement event there",
        "whole seconds, null without any",
        ("engaged_ms", "engaged_visits"),
        lambda counts: rounded(counts["engaged_ms"], counts["engaged_visits"] * 1000, 0),
        blank=None,
        rules=(_NO_PAGE, _ENGAGING),
    ),
    Metric(
        "scroll_depth",
        "mean, over the visits, of the deepest scroll on the page",
        "whole per cent, null without any",
        ("deepest", "scrolled_visits"),
        lambda counts: rounded(counts["deepest"], counts["scrolled_visits"], 0),
        points=True,
        blank=None,
        rules=(_NO_PAGE, _ENGAGING),
    ),
    Metric(
        "exit_rate",
        "visits that ended on the page / pageviews of it, filters on the exit page left out × 100",
        "1 decimal, null without any",
        ("exited", "page_views"),
        lambda counts: rounded(counts["exited"] * 100, counts["page_views"], 1),
        whole_visits=True,
        points=True,
        blank=None,
        rules=(
            Rule(
                lambda use: len(_EXITS.intersection(use.dimensions)) != 1,
                "needs one of the dimensions visit:exit_page and event:page, because it speaks of a page",
                lacking=True,
            ),
            Rule(
                lambda use: (
                    any(name.startswith("event:") for name in {*use.names} - {"event:page"})
                    or "event:page" in use.filtered
                ),
                "cannot be asked of some events only, because it compares the ends of visits with all pageviews: "
                "take away what begins with event:, but for the dimension event:page",
            ),
        ),
    ),
    Metric(
        "percentage",
        "visitors of the row / visitors of the whole × 100",
        "1 decimal",
        ("visitors", "all_visitors"),
        lambda counts: rounded(counts["visitors"] * 100, counts["all_visitors"], 1),
    ),
    Metric(
        "conversion_rate",
        "visitors who converted / all visitors, filters on goals and properties left out × 100",
        "2 decimals",
        ("visitors", "all_candidates"),
        lambda counts: rounded(counts["visitors"] * 100, counts["all_candidates"], 2),
        points=True,
        rules=(_NO_GOAL,),
    ),
    Metric(
        "group_conversion_rate",
        "visitors who converted / visitors of the same row, filters on goals and properties left out × 100",
        "2 decimals",
        ("visitors", "candidates"),
        lambda counts: rounded(counts["visitors"] * 100, counts["candidates"], 2),
        points=True,
        rules=(_NO_GOAL,),
    ),
    Metric(
        "total_revenue",
        "sum of the revenue of the events, for each currency",
        "2 decimals",
        ("events", "revenue"),
        lambda counts: _money((paid.currency, Fraction(paid.amount)) for paid in counts["revenue"]),
        blank=None,
    ),
    Metric(
        "average_revenue",
        "mean revenue of the events that have one, for each currency",
        "2 decimals",
        ("events", "revenue"),
        lambda counts: _money((paid.currency, Fraction(paid.amount) / paid.count) for paid in counts["revenue"]),
        blank=None,
    ),
)
METRICS = {metric.name: metric for metric in _TABLE}


def nothing(metric: str) -> Value:
    """The value where nothing was counted: 0 of what is counted, else no data."""
    return METRICS[metric].value(defaultdict(int, revenue=[]))


def written(metric: str, value: Value) -> Value:
    """A value as the API answers it: where there is no data null or 0, as Plausible's clients expect it."""
    return METRICS[metric].blank if value is None else value


def rank(metric: str, value: Value) -> tuple[bool, Value]:
    """What values are sorted by, as they are written: null before all others; amounts by the first of them."""
    value = written(metric, value)
    if isinstance(value, list):
        return True, (value[0]["currency"], value[0]["value"])
    return value is not None, 0 if value is None else value


def change(metric: str, value: Value, before: Value) -> Number | None:
    """How much a metric changed: in whole per cent, or in points with one decimal; from nothing to something by 100.

    None where one of both has no data, and of amounts unless both have one in the same currency.
    """
    if isinstance(value, list) and isinstance(before, list):
        value, before = _amounts(value, before)
    if value is None or before is None:
        return None
    now, then = Fraction(str(value)), Fraction(str(before))
    if METRICS[metric].points:
        return float(round(now - then, 1))
    if then == 0:
        return (now > 0) * 100 - (now < 0) * 100
    return round((now - then) * 100 / then)


def _amounts(value: list[dict[str, Value]], before: list[dict[str, Value]]) -> tuple[Value, Value]:
    if len(value) == len(before) == 1 and value[0]["currency"] == before[0]["currency"]:
        return value[0]["value"], before[0]["value"]
    return None, None
