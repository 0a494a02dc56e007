"""Comparisons with another period, told as visits. Every answer is also compared with the second implementation."""

from __future__ import annotations

from typing import Any

from tests.stats.made import DAY, HOUR, ask, journey, ms, rows

NOON = ms("2026-05-20 12:00")


def test_a_comparison_pairs_rows_by_value_and_buckets_by_place() -> None:
    events = [
        *journey(100, NOON, (0, "/"), source="a"),
        *journey(200, NOON, (0, "/"), source="b"),
        *journey(300, NOON - DAY, (0, "/"), source="b"),
        *journey(400, NOON - DAY, (0, "/"), source="c"),
    ]
    compare = {"comparisons": {"mode": "previous_period"}}
    by_source = ask(events, NOON, dimensions=["visit:source"], include=compare)
    assert [(*row.dimensions, row.comparison.metrics) for row in by_source.rows] == [
        ("a", (0,)),
        ("b", (1,)),
        ("c", (1,)),
    ]
    assert [row.metrics for row in by_source.rows] == [(1,), (1,), (0,)]
    assert rows(by_source.comparison) == [("b", 1), ("c", 1)] or rows(by_source.comparison) == [("c", 1), ("b", 1)]
    hours = ask(events, NOON, dimensions=["time"], include=compare).rows
    assert [row.metrics for row in hours] == [(2 if hour == 12 else 0,) for hour in range(24)]
    hour = hours[12]
    assert hour.dimensions == ("2026-05-20 12:00:00",)
    assert hour.comparison.dimensions == ("2026-05-19 12:00:00",)
    assert hour.comparison.metrics == (2,)


def test_rows_of_either_period_are_sorted_counted_and_paged_together() -> None:
    events = [
        *[event for n in range(3) for event in journey(100 + n, NOON, (0, "/a"))],
        *journey(200, NOON, (0, "/b")),
        *[event for n in range(9) for event in journey(300 + n, NOON - DAY, (0, "/c"))],
        *journey(400, NOON - DAY, (0, "/a")),
    ]
    include = {"comparisons": {"mode": "previous_period"}, "total_rows": True}

    def paths(**asked: Any) -> list[Any]:
        answer = ask(events, NOON, dimensions=["event:page"], include=include, **asked)
        assert answer.total_rows == 3
        return [(row.dimensions[0], row.metrics[0], row.comparison.metrics[0]) for row in answer.rows if row.comparison]

    assert paths() == [("/a", 3, 1), ("/b", 1, 0), ("/c", 0, 9)]
    assert paths(pagination={"limit": 2}) == [("/a", 3, 1), ("/b", 1, 0)]
    assert paths(pagination={"limit": 2, "offset": 2}) == [("/c", 0, 9)]
    assert paths(pagination={"offset": 3}) == []
    assert paths(order_by=[["visitors", "asc"]], pagination={"limit": 1}) == [("/c", 0, 9)]


def test_a_row_that_only_the_other_period_has_knows_what_its_shares_divide_by() -> None:
    events = [
        *journey(100, NOON, (0, "/in"), (1, "/out")),
        *journey(200, NOON - DAY, (0, "/in")),
        *journey(300, NOON - DAY, (0, "/gone")),
    ]
    include = {"comparisons": {"mode": "previous_period"}}
    answer = ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page"], include=include)
    found = {row.dimensions[0]: (row.metrics[0], row.comparison.metrics[0]) for row in answer.rows if row.comparison}
    assert found == {"/out": (100.0, None), "/in": (0.0, 100.0), "/gone": (None, 100.0)}


def test_a_series_by_another_value_has_the_rows_of_either_period_and_no_empty_ones() -> None:
    events = [
        *journey(100, NOON, (0, "/"), source="a"),
        *journey(200, NOON - DAY - HOUR, (0, "/"), source="b"),
    ]
    include = {"comparisons": {"mode": "previous_period"}}
    answer = ask(events, NOON, dimensions=["time:hour", "visit:source"], include=include)
    assert [(*row.dimensions, *row.metrics, *row.comparison.metrics) for row in answer.rows if row.comparison] == [
        ("2026-05-20 11:00:00", "b", 0, 1),
        ("2026-05-20 12:00:00", "a", 1, 0),
    ]


def test_a_bucket_that_the_other_period_lacks_has_no_counterpart() -> None:
    events = journey(100, ms("2026-05-31 12:00"), (0, "/"))
    answer = ask(
        events,
        NOON,
        date_range="month",
        dimensions=["time:day"],
        include={"comparisons": {"mode": "previous_period"}},
    )
    assert [row.comparison is None for row in answer.rows] == [False] * 30 + [True]
    assert answer.rows[-1].metrics == (1,)


def test_both_sides_of_a_comparison_have_the_same_unit() -> None:
    answer = ask(
        journey(100, NOON - 50 * DAY, (0, "/")),
        NOON,
        date_range="30d",
        dimensions=["time"],
        include={"comparisons": {"mode": "custom", "date_range": ["2026-01-01", "2026-05-01"]}},
    )
    assert answer.interval == answer.comparison.interval == "day"
    assert rows(answer.comparison) == [("2026-03-31", 1)]


def test_a_period_that_runs_is_compared_to_the_same_moment_when_asked_to() -> None:
    events = [
        *journey(100, NOON, (0, "/")),
        *journey(200, NOON - DAY, (0, "/")),
        *journey(300, NOON - DAY + 1, (0, "/")),
        *journey(400, NOON - DAY + HOUR, (0, "/")),
    ]

    def before(date_range: Any, to_now: bool) -> Any:
        include = {"comparisons": {"mode": "previous_period", "to_now": to_now}}
        (row,) = ask(events, NOON, date_range=date_range, include=include).rows
        return row.comparison.metrics[0] if row.comparison else None

    assert (before("day", True), before("day", False)) == (1, 3)
    assert (before("24h", True), before("24h", False)) == (1, 2)
    assert (before("yesterday", True), before(["2026-05-20", "2026-05-20"], True)) == (0, 1)
