from __future__ import annotations

from datetime import date

import pytest

from haru.stats.plan import check_goals
from haru.stats.query import KEYS, Include, Query, QueryError, parse
from haru.stats.vocabulary.filters import And, Leaf, Not, Or
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.periods import Comparison, Dates, Instants
from tests.stats.made import ms


def query(**keys):
    return {"metrics": ["visitors"], "date_range": "day", **keys}


def faults(data) -> list[str]:
    with pytest.raises(QueryError) as raised:
        parse(data)
    return raised.value.faults


def test_the_shortest_query_has_every_default() -> None:
    assert parse({"metrics": ["visitors"], "date_range": "7d"}) == Query(("visitors",), "7d")


def test_a_whole_query_is_read() -> None:
    asked = parse(
        {
            "site_id": "example.com",
            "metrics": ["visitors", "bounce_rate"],
            "date_range": ["2026-01-01", "2026-01-31"],
            "dimensions": ["visit:source", "time:day"],
            "filters": [
                ["is", "visit:city", [2950159], {"case_sensitive": False}],
                ["or", [["not", ["contains", "event:page", ["/a"]]], ["and", [["matches", "event:name", ["^a"]]]]]],
            ],
            "order_by": [["bounce_rate", "asc"]],
            "include": {
                "time_labels": True,
                "total_rows": True,
                "comparisons": {"mode": "year_over_year", "match_day_of_week": True, "to_now": True},
            },
            "pagination": {"limit": 3, "offset": 6},
        }
    )
    assert asked == Query(
        ("visitors", "bounce_rate"),
        Dates(date(2026, 1, 1), date(2026, 1, 31)),
        ("visit:source", "time:day"),
        (
            Leaf("is", "visit:city", ("2950159",), case_sensitive=False),
            Or(
                (
                    Not(Leaf("contains", "event:page", ("/a",))),
                    And((Leaf("matches", "event:name", ("^a",)),)),
                )
            ),
        ),
        (("bounce_rate", "asc"),),
        Include(time_labels=True, total_rows=True, comparisons=Comparison("year_over_year", None, True, True)),
        3,
        6,
    )


def test_equal_queries_are_one_key_of_the_cache() -> None:
    assert hash(parse(query(filters=[["is", "event:page", ["/"]]]))) == hash(
        parse(query(filters=[["is", "event:page", ["/"]]]))
    )


def test_the_end_in_whole_seconds_means_all_of_that_second() -> None:
    first, last = "2026-01-01T00:00:00+01:00", "2026-01-01T10:00:00Z"
    assert parse(query(date_range=[first, last])).date_range == Instants(
        ms("2025-12-31 23:00"), ms("2026-01-01 10:00") + 999
    )
    precise = parse(query(date_range=[first, "2026-01-01T10:00:00.005Z"])).date_range
    assert precise == Instants(ms("2025-12-31 23:00"), ms("2026-01-01 10:00") + 5)


def test_every_fault_is_named_at_once() -> None:
    found = faults(
        {
            "metrics": ["visitors", "x", "visitors", "exit_rate"],
            "date_range": "fortnight",
            "dimensions": ["visit:nothing", "event:props:", "event:props:plan"],
            "filters": [
                ["is", "visit:source", []],
                ["like", "event:page", ["/"]],
                ["has_done", ["is"]],
                ["is_not", "event:goal", ["a"]],
            ],
            "order_by": [["pageviews", "desc"], ["visitors", "down"]],
            "pagination": {"limit": 0, "offset": -1},
            "include": {"imports": 1},
            "surprise": 1,
        }
    )
    assert {fault.partition(": ")[0] for fault in found} == {
        "#/surprise",
        "#/metrics/1",
        "#/metrics/2",
        "#/metrics/3",
        "#/date_range",
        "#/dimensions/0",
        "#/dimensions/1",
        "#/filters/0/2",
        "#/filters/1/0",
        "#/filters/2/1",
        "#/filters/3/0",
        "#/order_by/0/0",
        "#/order_by/1/1",
        "#/pagination/limit",
        "#/pagination/offset",
        "#/include/imports",
    }
    assert '#/metrics/1: Invalid metric "x"' in found
    assert '#/filters/3/0: The dimension "event:goal" takes the operators is and contains' in found
    # What is lacking is not said before the rest was understood; what is wrong is.
    assert "#/metrics/3" in {fault.partition(": ")[0] for fault in found}


def test_what_is_required_is_named() -> None:
    assert faults({}) == ["#/metrics: This key is required", "#/date_range: This key is required"]


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"metrics": []}, "#/metrics"),
        ({"metrics": "visitors"}, "#/metrics"),
        ({"metrics": [["visitors"]]}, "#/metrics/0"),
        ({"metrics": [None]}, "#/metrics/0"),
        ({"date_range": "0d"}, "#/date_range"),
        ({"date_range": "1.5d"}, "#/date_range"),
        ({"date_range": ["2026-01-01"]}, "#/date_range"),
        ({"date_range": ["2026-02-30", "2026-03-01"]}, "#/date_range"),
        ({"date_range": ["2026-03-02", "2026-03-01"]}, "#/date_range"),
        ({"date_range": ["2026-03-01", "2026-03-01T00:00:00Z"]}, "#/date_range"),
        ({"date_range": ["2026-03-01T00:00:00", "2026-03-02T00:00:00Z"]}, "#/date_range"),
        ({"date_range": ["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"]}, "#/date_range"),
        ({"date_range": ["0001-01-01", "9999-12-31"]}, "#/date_range"),
        ({"date_range": 7}, "#/date_range"),
        ({"dimensions": "time"}, "#/dimensions"),
        ({"dimensions": ["time", "time:day"]}, "#/dimensions"),
        ({"dimensions": ["event:page", "event:page"]}, "#/dimensions/1"),
        ({"filters": {}}, "#/filters"),
        ({"filters": [[]]}, "#/filters/0"),
        ({"filters": ["is"]}, "#/filters/0"),
        ({"filters": [[["is"]]]}, "#/filters/0/0"),
        ({"filters": [["is", "visit:source"]]}, "#/filters/0"),
        ({"filters": [["is", "time:day", ["2026-01-01"]]]}, "#/filters/0/1"),
        ({"filters": [["is", ["a"], ["b"]]]}, "#/filters/0/1"),
        ({"filters": [["is", "visit:source", [None]]]}, "#/filters/0/2/0"),
        ({"filters": [["matches", "visit:source", ["("]]]}, "#/filters/0/2/0"),
        ({"filters": [["is", "visit:source", ["a"], {"case_sensitive": 1}]]}, "#/filters/0/3"),
        ({"filters": [["is", "visit:source", ["a"], {"sensitive": True}]]}, "#/filters/0/3/sensitive"),
        ({"filters": [["not", ["is", "visit:source", ["a"]], 1]]}, "#/filters/0"),
        ({"filters": [["and", []]]}, "#/filters/0"),
        ({"filters": [["or", [["is", "x", ["a"]]]]]}, "#/filters/0/1/0/1"),
        ({"filters": [["is", "visit:source", ["a"]]] * 201}, "#/filters"),
        ({"dimensions": ["event:props:" + "ü" * 151]}, "#/dimensions/0"),
        ({"filters": [["is", "event:props:", ["a"]]]}, "#/filters/0/1"),
        ({"filters": [["or", [["is", "event:goal", ["a"]]]]]}, "#/filters/0/1/0/1"),
        ({"filters": [["not", ["contains", "event:goal", ["a"]]]]}, "#/filters/0/1/1"),
        ({"filters": [["matches", "event:goal", ["a"]]]}, "#/filters/0/0"),
        ({"filters": [["has_done"]]}, "#/filters/0"),
        ({"filters": [["has_done", ["is", "event:page", ["/"]], 1]]}, "#/filters/0"),
        ({"filters": [["has_done", ["is", "visit:source", ["a"]]]]}, "#/filters/0/1/1"),
        ({"filters": [["has_done", ["not", ["has_not_done", ["is", "event:page", ["/"]]]]]]}, "#/filters/0/1/1/0"),
        ({"metrics": ["visitors", "time_on_page"]}, "#/metrics/1"),
        ({"metrics": ["scroll_depth"], "dimensions": ["visit:entry_page"]}, "#/metrics/0"),
        ({"metrics": ["scroll_depth"], "dimensions": ["event:page", "event:goal"]}, "#/metrics/0"),
        ({"metrics": ["exit_rate"]}, "#/metrics/0"),
        ({"metrics": ["exit_rate"], "dimensions": ["event:page", "visit:exit_page"]}, "#/metrics/0"),
        ({"metrics": ["exit_rate"], "dimensions": ["visit:exit_page", "event:name"]}, "#/metrics/0"),
        (
            {
                "metrics": ["exit_rate"],
                "dimensions": ["visit:exit_page"],
                "filters": [["not", ["is", "event:page", ["/"]]]],
            },
            "#/metrics/0",
        ),
        ({"metrics": ["conversion_rate"], "filters": [["has_done", ["is", "event:goal", ["a"]]]]}, "#/metrics/0"),
        ({"metrics": ["group_conversion_rate"], "dimensions": ["event:page"]}, "#/metrics/0"),
        ({"order_by": [["visitors"]]}, "#/order_by/0"),
        ({"order_by": "visitors"}, "#/order_by"),
        ({"include": []}, "#/include"),
        ({"include": {"time_labels": True}}, "#/include/time_labels"),
        ({"include": {"comparisons": {"mode": "last"}}}, "#/include/comparisons"),
        ({"include": {"comparisons": {"mode": "previous_period", "to_now": 1}}}, "#/include/comparisons/to_now"),
        ({"include": {"comparisons": {"mode": "custom"}}}, "#/include/comparisons/date_range"),
        (
            {"include": {"comparisons": {"mode": "previous_period", "date_range": []}}},
            "#/include/comparisons/date_range",
        ),
        ({"include": {"comparisons": {"mode": "custom", "date_range": "7d"}}}, "#/include/comparisons/date_range"),
        ({"pagination": {"limit": 10_001}}, "#/pagination/limit"),
        ({"pagination": {"limit": True}}, "#/pagination/limit"),
        ({"pagination": {"offset": 2**64}}, "#/pagination/offset"),
        ({"pagination": {"page": 2}}, "#/pagination/page"),
    ],
)
def test_a_fault_has_its_path(keys, path) -> None:
    assert [fault.partition(": ")[0] for fault in faults(query(**keys))] == [path]


@pytest.mark.parametrize(
    "keys",
    [
        {"metrics": ["time_on_page", "scroll_depth"], "filters": [["or", [["is", "event:page", ["/"]]]]]},
        {"metrics": ["exit_rate"], "dimensions": ["event:page", "visit:source"]},
        {"metrics": ["exit_rate"], "dimensions": ["visit:exit_page"], "filters": [["is", "visit:exit_page", ["/"]]]},
        {"metrics": ["conversion_rate"], "dimensions": ["event:goal", "time:day"]},
        {"metrics": ["group_conversion_rate"], "filters": [["contains", "event:goal", ["a"]]]},
        {"dimensions": ["event:props:" + "ü" * 150]},
        {"filters": [["not", ["has_done", ["and", [["is", "event:goal", ["a"]], ["is", "event:props:b", ["c"]]]]]]]},
    ],
)
def test_what_makes_sense_is_read(keys) -> None:
    assert isinstance(parse(query(**keys)), Query)


def test_a_goal_that_the_site_does_not_have_is_named_with_its_path() -> None:
    goals = [Goal("Sign up", event="signup"), Goal("Buy", event="buy")]
    named = ["is", "event:goal", ["Sign up", "sign up"]]
    done = ["not", ["has_done", ["and", [["is", "event:page", ["/"]], named]]]]
    data = query(filters=[named, done, [*named, {"case_sensitive": False}], ["contains", "event:goal", ["x"]]])
    sentence = 'This site has no goal "sign up"; it has "Sign up", "Buy"'
    expected = [f"#/filters/0/2/1: {sentence}", f"#/filters/1/1/1/1/1/2/1: {sentence}"]
    for asked in (lambda: parse(data, goals), lambda: check_goals(parse(data), goals)):
        with pytest.raises(QueryError) as raised:
            asked()
        assert raised.value.faults == expected


def test_what_no_store_holds_is_read_as_its_replacement() -> None:
    asked = parse(query(dimensions=["event:props:a\0"], filters=[["is", "event:page", ["/\ud800"]]]))
    assert asked.dimensions == ("event:props:a\ufffd",)
    assert asked.filters == (Leaf("is", "event:page", ("/\ufffd",)),)


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_a_query_is_an_object(data) -> None:
    assert faults(data) == ["#: The query must be a JSON object"]


def test_filters_nested_too_deep_are_refused() -> None:
    tree = ["is", "visit:source", ["a"]]
    for _ in range(500):
        tree = ["not", tree]
    (fault,) = faults(query(filters=[tree]))
    assert "nested more than 16 levels" in fault


def test_a_metric_that_makes_no_sense_says_why() -> None:
    (fault,) = faults(query(metrics=["visitors", "views_per_visit"], dimensions=["event:page"]))
    assert fault.startswith("#/metrics/1: views_per_visit cannot be broken down by event:page, because ")


def test_every_key_is_documented() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
    assert [key for key in KEYS if f"| `{key}` |" not in page] == []
