"""Each bound of a query: what is just inside is answered, what is beyond is refused with the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from haru.stats import bounds
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS

DOCS = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
LEAF: list[Any] = ["is", "event:page", ["/"]]


def asked(**keys: Any) -> dict[str, Any]:
    return {"metrics": ["visitors"], "date_range": "day", **keys}


def nested(depth: int) -> list[Any]:
    tree = LEAF
    for _ in range(depth - 1):
        tree = ["not", tree]
    return tree


def properties(count: int) -> list[str]:
    return [f"event:props:{number}" for number in range(count)]


def compared(operator: str, *counts: int, text: str = "x") -> list[Any]:
    return [[operator, "event:page", [text] * count] for count in counts]


# What is just inside, what is just beyond, and the sentence.
CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"dimensions": properties(10)}, {"dimensions": properties(11)}, "#/dimensions: Give at most 10 dimensions"),
    ({"filters": [LEAF] * 200}, {"filters": [LEAF] * 201}, "#/filters: Give at most 200 comparisons"),
    (
        {"filters": [["or", [LEAF] * 100], ["has_done", ["and", [LEAF] * 100]]]},
        {"filters": [["or", [LEAF] * 100], ["has_done", ["and", [LEAF] * 101]]]},
        "#/filters: Give at most 200 comparisons",
    ),
    (
        {"filters": [["has_done", LEAF], ["has_not_done", LEAF]] * 10},
        {"filters": [["has_done", LEAF], ["has_not_done", LEAF]] * 10 + [["has_done", LEAF]]},
        "#/filters: Give at most 20 of has_done and has_not_done",
    ),
    (
        {"filters": [nested(16)]},
        {"filters": [nested(17)]},
        "#/filters/0" + "/1" * 16 + ": Filters are nested more than 16 levels deep",
    ),
    (
        {"filters": compared("is", 500, 500)},
        {"filters": compared("is", 500, 501)},
        "#/filters: Give at most 1,000 clauses in all",
    ),
    (
        {"filters": compared("contains", 1, text="ä" * 2000)},
        {"filters": compared("contains", 1, text="ä" * 2001)},
        "#/filters/0/2/0: The clause has more than 2,000 characters",
    ),
    (
        {"filters": compared("matches", 25, 25)},
        {"filters": compared("matches_not", 25, 26)},
        "#/filters: Give at most 50 regular expressions in all",
    ),
    (
        {"filters": compared("matches", 1, text="x" * 500)},
        {"filters": compared("matches", 1, text="x" * 501)},
        f'#/filters/0/2/0: The regular expression "{"x" * 99}…" has more than 500 bytes',
    ),
    (
        {"order_by": [["visitors", "desc"]] * 30},
        {"order_by": [["visitors", "desc"]] * 31},
        "#/order_by: Give at most 30 metrics and dimensions to sort by",
    ),
]


def faults(data: object, goals: list[Goal] | None = None) -> list[str]:
    with pytest.raises(QueryError) as raised:
        parse(data, goals)
    return raised.value.faults


@pytest.mark.parametrize(("inside", "beyond", "sentence"), CASES)
def test_a_query_at_a_bound_is_read_and_one_beyond_is_refused(inside, beyond, sentence) -> None:
    parse(asked(**inside))
    assert faults(asked(**beyond)) == [sentence]


def test_every_metric_may_be_asked_at_once_and_no_list_is_longer() -> None:
    assert len(METRICS) <= bounds.MAX_METRICS
    assert faults(asked(metrics=["x"] * 21)) == ["#/metrics: Give at most 20 metrics"]


def test_bounds_that_are_broken_are_named_with_all_other_faults() -> None:
    found = faults(
        asked(
            metrics=["visitors", "x"],
            dimensions=["visit:source"] * 500,
            filters=[["like"], *compared("matches", 51), *compared("is", 1000)],
            order_by=[["visitors", "desc"]] * 100,
        )
    )
    assert found == [
        '#/metrics/1: Invalid metric "x"',
        "#/dimensions: Give at most 10 dimensions",
        '#/filters/0/0: Invalid operator "like"',
        "#/filters: Give at most 1,000 clauses in all",
        "#/filters: Give at most 50 regular expressions in all",
        "#/order_by: Give at most 30 metrics and dimensions to sort by",
    ]


def test_a_pattern_that_would_take_much_memory_is_refused() -> None:
    (fault,) = faults(asked(filters=compared("matches", 1, text=r"(\pL{30}){30}")))
    assert fault.startswith('#/filters/0/2/0: Invalid regular expression "(\\pL{30}){30}": pattern too large')


def test_an_error_names_no_more_than_fifty_faults() -> None:
    found = faults({"metrics": ["visitors"], "date_range": "day", **{f"key{number}": 1 for number in range(5000)}})
    assert len(found) == bounds.MAX_FAULTS
    assert found[-1] == "#: There are 4,951 more faults; mend these first"
    assert bounds.shortened(found) == found


@pytest.mark.parametrize(
    "data",
    [
        asked(**{"k" * 100_000: 1}),
        asked(filters=compared("is", 1000, text="y" * 100)) | {"metrics": ["z" * 100_000]},
        asked(filters=[["is", "event:goal", ["g" * 1500 + str(number) for number in range(60)]]]),
        asked(filters=[[["is"] * 10_000] for _ in range(300)]),
        asked(order_by=[["o" * 4000, "p" * 4000]] * 30),
    ],
)
def test_no_error_is_longer_than_its_bounds(data) -> None:
    goals = [Goal("long name " * 12 + str(number), event="x") for number in range(500)]
    assert sum(map(len, faults(data, goals))) <= bounds.MAX_FAULTS * bounds.MAX_FAULT


def test_every_bound_is_documented() -> None:
    table = DOCS.partition("## Bounds")[2].partition("\n## ")[0]
    of_bytes = {"MAX_BYTES", "MAX_ANSWER"}
    figures = [value for name, value in vars(bounds).items() if name.startswith("MAX_") and name not in of_bytes]
    assert [f"{figure:,}" for figure in figures if f" {figure:,}" not in table] == []
    assert f"{bounds.MAX_BYTES // 1024} KiB" in table
    assert f"{bounds.MAX_ANSWER >> 20} MiB" in table
