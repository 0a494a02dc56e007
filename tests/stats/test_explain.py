from __future__ import annotations

import json

import pytest

from haru.stats.answers import Reports
from haru.stats.explain import explain, words
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from haru.store.duckdb.store import DuckStore
from tests.stats.made import filled, journey, ms

NOON = ms("2026-05-20 12:00")
GOALS = (
    Goal("Sign up", event="signup"),
    Goal("Docs", page="/docs/**"),
    Goal("Reads the docs", page="/docs/**", scroll=75),
)
SITE = StatsSite(1, "Europe/Berlin", GOALS)


def explained(**keys):
    reports = Reports(filled(journey(100, NOON, (0, "/docs/a"), (1, "/b!signup"))))
    return explain(reports, SITE, parse({"metrics": ["visitors"], "date_range": "day", **keys}), NOON)


def test_an_explanation_has_what_a_number_means_and_when_and_where_it_comes_from() -> None:
    data = explained(dimensions=["event:props:plan"])
    assert json.loads(json.dumps(data)) == data
    (metric,) = data["metrics"]
    assert metric["meaning"] == "distinct visitors"
    assert metric["rounding"] == "whole number, half to even"
    assert data["dimensions"] == [{"name": "event:props:plan", "meaning": "value of the property plan"}]
    assert data["period"] == {
        "first": "2026-05-20T00:00:00+02:00",
        "last": "2026-05-20T23:59:59.999+02:00",
        "timezone": "Europe/Berlin",
        "interval": "hour",
    }
    assert data["order_by"] == [["visitors", "desc"], ["event:props:plan", "asc"]]
    assert data["engine"] == "duckdb"
    assert data["cost_ms"] > 0
    assert data["goals"] == []
    assert data["compared_with"] is None
    compared = explained(include={"comparisons": {"mode": "previous_period"}})
    assert compared["compared_with"] == {
        "first": "2026-05-19T00:00:00+02:00",
        "last": "2026-05-19T23:59:59.999+02:00",
    }


def test_every_statement_behind_a_number_is_shown_and_can_be_run() -> None:
    data = explained(
        metrics=["conversion_rate", "total_revenue", "percentage"],
        filters=[["contains", "event:goal", ["o"]]],
    )
    assert [part["of"] for part in data["statements"]] == ["rows", "all_candidates", "revenue", "all_visitors"]
    assert [goal["reached_by"] for goal in data["goals"]] == [
        'an event named "signup"',
        'a pageview of "/docs/**"',
        'a scroll of 75 % or more on "/docs/**"',
    ]
    store = DuckStore(None)
    store.open()
    for part in data["statements"]:
        with store._cursor() as cursor:
            assert cursor.execute(part["sql"]).fetchall() is not None


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (["is_not", "visit:source", ["a", "b"]], 'visit:source is not "a" or "b"'),
        (
            ["contains", "event:page", ["/A"], {"case_sensitive": False}],
            'event:page contains "/A", in upper or lower case',
        ),
        (
            ["not", ["or", [["is", "visit:os", ["x"]], ["has_not_done", ["matches", "event:page", ["^/"]]]]]],
            'not ((visit:os is "x") or (the visit holds no event for which (event:page matches "^/")))',
        ),
    ],
)
def test_a_filter_can_be_read_as_a_sentence(tree, expected) -> None:
    (filter,) = parse({"metrics": ["visitors"], "date_range": "day", "filters": [tree]}).filters
    assert words(filter) == expected


def test_what_cannot_be_answered_is_not_explained() -> None:
    with pytest.raises(QueryError, match="no goal"):
        explained(filters=[["is", "event:goal", ["Nothing"]]])


def test_a_statement_over_folded_visits_stands_beside_the_one_over_events_and_both_say_the_same() -> None:
    store = filled(journey(100, NOON, (0, "/"), (3, "/b")) + journey(200, NOON, (0, "/")))
    assert isinstance(store, DuckStore)
    store.fold()
    query = parse({"metrics": ["bounce_rate"], "date_range": "day"})
    found = explain(Reports(store), StatsSite(1, "UTC"), query, NOON)["statements"]
    assert [each["of"] for each in found] == ["rows", "unfolded"]
    assert "FROM visit" in found[0]["sql"]
    with store._cursor() as cursor:
        answers = [cursor.execute(each["sql"]).fetchall() for each in found]
    assert answers == [[(1, 2)], [(1, 2)]]
