from __future__ import annotations

from pathlib import Path

import pytest

from haru.stats import metrics
from haru.stats.dimensions import DIMENSIONS
from haru.stats.facts import COUNTED, COUNTED_VISITS
from haru.stats.metrics import METRICS, change, rounded

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
        (0, 0, 2, 0),
    ],
)
def test_quotients_are_exact_and_rounded_half_to_even(numerator, denominator, digits, expected) -> None:
    assert rounded(numerator, denominator, digits) == expected


def test_a_change_is_in_per_cent_and_of_a_share_in_points() -> None:
    assert change("visitors", 150, 100) == 50
    assert change("visitors", 50, 100) == -50
    assert change("visitors", 0, 0) == 0
    assert change("visitors", 7, 0) is None
    assert change("bounce_rate", 45, 40) == 5
    assert change("percentage", 12.3, 12.5) == -0.2


def test_every_counter_of_a_metric_is_counted() -> None:
    known = {*COUNTED, *COUNTED_VISITS, "all_visitors"}
    assert {counter for metric in METRICS.values() for counter in metric.counters} <= known


def test_every_metric_is_documented() -> None:
    page = (DOCS / "metrics.md").read_text("utf-8")
    assert [name for name in METRICS if f"| `{name}` |" not in page] == []
    assert [name for name in metrics.UNBUILT if f"`{name}`" not in page] == []


def test_every_dimension_is_documented() -> None:
    page = (DOCS / "query.md").read_text("utf-8")
    assert [name for name in DIMENSIONS if f"`{name}`" not in page] == []
