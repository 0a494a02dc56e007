"""The metrics: how each is counted by the store, and how it is worked out and rounded, once, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

Number = int | float
Counts = Mapping[str, int]  # counter → what the store counted for a row


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    meaning: str
    counters: tuple[str, ...]  # of statement.COUNTERS
    value: Callable[[Counts], Number]
    whole_visits: bool = False  # it speaks of facts of whole visits
    points: bool = False  # it is a share: two of them differ by points, not by per cent
    unsplit: tuple[str, ...] = ()  # dimensions it cannot be broken down by
    reason: str = ""  # why not


def rounded(numerator: int, denominator: int, digits: int) -> Number:
    """The quotient, exact until it is rounded half to even; 0 when there is nothing to divide by."""
    if denominator == 0:
        return 0 if digits == 0 else 0.0
    value = round(Fraction(numerator, denominator), digits)
    return int(value) if digits == 0 else float(value)


def _count(name: str, meaning: str) -> Metric:
    return Metric(name, meaning, (name,), lambda counts: counts[name])


_TABLE = (
    _count("visitors", "distinct visitors"),
    _count("visits", "distinct visits"),
    _count("pageviews", "events named `pageview`"),
    _count("events", "events other than `engagement`"),
    Metric(
        "views_per_visit",
        "mean, over the visits, of the pageviews of the whole visit",
        ("viewed", "whole_visits"),
        lambda counts: rounded(counts["viewed"], counts["whole_visits"], 2),
        whole_visits=True,
        unsplit=("event:page",),
        reason="it counts pages of whole visits, and a page is part of one: ask for pageviews, or by visit:entry_page",
    ),
    Metric(
        "bounce_rate",
        "visits with at most one pageview and no interactive custom event / visits × 100",
        ("bounced", "judged"),
        lambda counts: rounded(counts["bounced"] * 100, counts["judged"], 0),
        whole_visits=True,
        points=True,
    ),
    Metric(
        "visit_duration",
        "mean seconds from the first event of a visit to its last, engagement events aside",
        ("lasted_ms", "whole_visits"),
        lambda counts: rounded(counts["lasted_ms"], counts["whole_visits"] * 1000, 0),
        whole_visits=True,
    ),
    Metric(
        "percentage",
        "visitors of the row / visitors of the whole × 100",
        ("visitors", "all_visitors"),
        lambda counts: rounded(counts["visitors"] * 100, counts["all_visitors"], 1),
        points=True,
    ),
)
METRICS = {metric.name: metric for metric in _TABLE}

# Names that belong to the query's vocabulary and that no answer can be given for: refused by name.
UNBUILT = {
    "time_on_page",
    "scroll_depth",
    "exit_rate",
    "conversion_rate",
    "group_conversion_rate",
    "total_revenue",
    "average_revenue",
}


def change(metric: str, value: Number, before: Number) -> Number | None:
    """How much a metric changed: in per cent, or in points for a share; None when it was 0 and is not any more."""
    if METRICS[metric].points:
        return float(round(Fraction(str(value)) - Fraction(str(before)), 1))
    if before == 0:
        return 0 if value == 0 else None
    return round((Fraction(str(value)) - Fraction(str(before))) * 100 / Fraction(str(before)))
