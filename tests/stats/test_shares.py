"""What each share divides by, as a query."""

from __future__ import annotations

import pytest

from haru.stats.plan import ALL_ROWS
from haru.stats.query import Query, parse
from haru.stats.shares import DIVISORS, divisor_query, key
from haru.stats.vocabulary import filters


def query(*dimensions: str) -> Query:
    return parse(
        {
            "metrics": ["visitors"],
            "date_range": "day",
            "dimensions": list(dimensions),
            "filters": [
                ["is", "visit:country", ["DE"]],
                ["is", "event:props:plan", ["pro"]],
                ["is", "visit:exit_page", ["/end"]],
            ],
            "pagination": {"limit": 3, "offset": 2},
        }
    )


@pytest.mark.parametrize(
    ("name", "metric", "dimensions", "filtered"),
    [
        ("all_visitors", "visitors", (), ["visit:country", "event:props:plan", "visit:exit_page"]),
        ("all_candidates", "visitors", (), ["visit:country", "visit:exit_page"]),
        ("candidates", "visitors", ("visit:exit_page", "visit:device"), ["visit:country", "visit:exit_page"]),
        (
            "page_views",
            "pageviews",
            ("event:page", "event:goal", "visit:device"),
            ["visit:country", "event:props:plan"],
        ),
    ],
)
def test_a_divisor_is_asked_for_every_row_without_what_it_leaves_out(
    name: str, metric: str, dimensions: tuple[str, ...], filtered: list[str]
) -> None:
    found = divisor_query(DIVISORS[name], query("visit:exit_page", "event:goal", "visit:device"))
    assert (found.metrics, found.dimensions) == ((metric,), dimensions)
    assert [leaf.dimension for leaf in filters.leaves(found.filters)] == filtered
    assert (found.limit, found.offset) == (ALL_ROWS, 0)


def test_a_row_finds_its_divisor_by_the_dimensions_that_both_have() -> None:
    of = query("event:goal", "visit:device")
    assert key(DIVISORS["candidates"], of, ("Sign up", "Mobile")) == ("Mobile",)
    assert key(DIVISORS["all_candidates"], of, ("Sign up", "Mobile")) == ()
    assert key(DIVISORS["page_views"], of, ("Sign up", "Mobile")) == ("Sign up", "Mobile")


def test_one_filter_beside_what_is_left_out_goes_with_it() -> None:
    either = parse(
        {
            "metrics": ["visitors"],
            "date_range": "day",
            "filters": [["or", [["is", "visit:country", ["DE"]], ["is", "event:props:plan", ["pro"]]]]],
        }
    )
    assert divisor_query(DIVISORS["all_candidates"], either).filters == ()
    assert divisor_query(DIVISORS["all_visitors"], either).filters == either.filters
