from __future__ import annotations

from pathlib import Path

import pytest

from haru.stats import explain
from haru.stats.shares import DIVISORS
from haru.stats.sql.counters import COUNTERS, VISIT_COUNTERS
from haru.stats.vocabulary import filters, metrics
from haru.stats.vocabulary.dimensions import DIMENSIONS, PROPERTIES
from haru.stats.vocabulary.metrics import METRICS, change, rounded

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("numerator", "denominator", "digits", "expected"),
    [
        (1, 2, 0, 0),
        (3, 2, 0, 2),
        (5, 2, 0, 2),
        (25, 1000, 2, 0.02),  # as a float 0.025 would lie above the middle
        (35, 1000, 2, 0.04),
        (10**30 + 1, 2 * 10**30, 0, 1),
        (0, 7, 2, 0),
        (0, 0, 2, None),
    ],
)
def test_quotients_are_exact_and_rounded_half_to_even(numerator, denominator, digits, expected) -> None:
    assert rounded(numerator, denominator, digits) == expected


def test_a_change_is_in_per_cent_and_of_a_rate_in_points() -> None:
    assert change("visitors", 150, 100) == 50
    assert change("visitors", 50, 100) == -50
    assert change("visitors", 0, 0) == 0
    assert change("visitors", 7, 0) == 100
    assert change("visitors", 0, 7) == -100
    assert change("percentage", 15.0, 10.0) == 50
    assert change("bounce_rate", 45, 40) == 5
    assert change("exit_rate", 12.3, 12.5) == -0.2
    assert change("scroll_depth", 40, 50) == -10
    assert change("conversion_rate", 1.26, 1.5) == -0.2
    assert change("group_conversion_rate", 100.0, 0.0) == 100


def test_every_counter_of_a_metric_is_counted() -> None:
    known = {*COUNTERS, *VISIT_COUNTERS, *DIVISORS}
    assert {counter for metric in METRICS.values() for counter in metric.counters} <= known


def test_what_has_no_data_has_no_change() -> None:
    assert change("time_on_page", None, 3) is None
    assert change("scroll_depth", 40, None) is None
    assert change("bounce_rate", None, 40) is None
    assert change("visit_duration", 40, None) is None


def test_amounts_change_when_both_have_one_in_the_same_currency() -> None:
    euros, more_euros = [{"currency": "EUR", "value": 10.0}], [{"currency": "EUR", "value": 15.0}]
    dollars = [{"currency": "USD", "value": 1.0}]
    assert change("total_revenue", more_euros, euros) == 50
    assert change("total_revenue", dollars, euros) is None
    assert change("total_revenue", [*euros, *dollars], euros) is None
    assert change("total_revenue", euros, None) is None


def test_no_data_sorts_as_it_is_written_and_amounts_by_the_first_currency() -> None:
    assert sorted([1, None, 0, -1], key=lambda value: metrics.rank("time_on_page", value)) == [None, -1, 0, 1]
    assert sorted([1, None, -1], key=lambda value: metrics.rank("bounce_rate", value)) == [-1, None, 1]
    euros, dollars = [{"currency": "EUR", "value": 2.0}], [{"currency": "USD", "value": 1.0}]
    amounts = sorted([dollars, euros, None], key=lambda value: metrics.rank("total_revenue", value))
    assert amounts == [None, euros, dollars]
    assert metrics.rank("total_revenue", [*euros, *dollars]) == metrics.rank("total_revenue", euros)


def test_where_nothing_was_counted_counts_are_0_and_there_is_no_data_for_the_rest() -> None:
    counts = {"visitors", "visits", "pageviews", "events"}
    assert {name: metrics.nothing(name) for name in METRICS} == {
        name: 0 if name in counts else None for name in METRICS
    }
    null = {"time_on_page", "scroll_depth", "exit_rate", "total_revenue", "average_revenue"}
    assert {name for name in METRICS if metrics.written(name, None) is None} == null
    assert {metrics.written(name, None) for name in METRICS if name not in null} == {0}


def test_every_metric_is_documented_with_its_rounding() -> None:
    page = (DOCS / "metrics.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    assert [name for name, metric in METRICS.items() if f"| {metric.rounding} |" not in rows.get(name, "")] == []
    queries = (DOCS / "query.md").read_text("utf-8")
    assert [name for name in METRICS if f"`{name}`" not in queries] == []


def test_every_dimension_is_documented() -> None:
    page = (DOCS / "query.md").read_text("utf-8")
    assert [name for name in [*DIMENSIONS, PROPERTIES.name] if f"`{name}`" not in page] == []


def test_every_operator_is_documented_and_has_words() -> None:
    page = (DOCS / "query.md").read_text("utf-8")
    assert [name for name in [*filters.OPERATORS, *filters.DONE] if f"`{name}`" not in page] == []
    assert [name for name in filters.JOINERS if f'["{name}", ' not in page] == []
    assert set(explain.WORDS) == set(filters.OPERATORS)
