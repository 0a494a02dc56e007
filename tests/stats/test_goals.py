from __future__ import annotations

from typing import Any

import pytest

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import ask, euros, filled, journey, ms, paid, props, rows


@pytest.mark.parametrize(
    ("page", "path", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a*", "/a", True),
        ("/a*", "/abc", True),
        ("/a*", "/a/b", False),
        ("/*/b", "/a/b", True),
        ("/*/b", "/a/c/b", False),
        ("/**/b", "/a/c/b", True),
        ("/a/**", "/a/", True),
        ("/a/**", "/a", False),
        ("**", "", True),
        ("**", "/line\nbreak", True),
        ("/***", "/a/b", True),
        ("/.+", "/xx", False),
        ("/(a|b)*", "/a", False),
        ("/größe*", "/größer", True),
        ("/*.html", "/\U0001f600.html", True),
    ],
)
def test_a_star_is_text_without_a_slash_and_two_are_any_text(page, path, expected) -> None:
    goal = Goal("goal", page=page)
    assert goal.is_on(path) is expected
    assert goal.by_path == ("*" in page)


def test_a_goal_of_an_event_is_reached_on_no_page() -> None:
    assert not Goal("goal", event="/a").is_on("/a")


def test_a_pattern_with_many_stars_is_tried_in_no_time() -> None:
    assert not Goal("goal", page="/" + "**a" * 50).is_on("/" + "a" * 2_000 + "b" * 40)


NOON = ms("2026-05-20 12:00")
SIGN_UP = Goal("Sign up", event="signup")
BUY = Goal("Buy", event="buy", currency="EUR")
DOCS = Goal("Docs", page="/docs/**")
PRICING = Goal("Pricing", page="/pricing")
GOALS = (SIGN_UP, BUY, DOCS, PRICING)


def visitors_with_goals() -> list[dict[str, Any]]:
    return [
        *journey(100, NOON, (0, "/"), (1, "/docs/a"), (2, "/!signup"), source="x"),
        *journey(200, NOON, (0, "/docs/b/c"), (1, "/docs"), source="x"),
        *journey(300, NOON, (0, "/pricing"), (1, "/pricing"), (2, "/pricing!signup"), (3, "/!signup"), source="y"),
        *journey(400, NOON, (0, "/docs/!docs"), source="y"),
    ]


def test_the_row_of_a_goal_counts_the_events_that_reach_it() -> None:
    metrics = ["visitors", "events", "pageviews", "conversion_rate", "bounce_rate"]
    answer = ask(visitors_with_goals(), NOON, goals=GOALS, metrics=metrics, dimensions=["event:goal"])
    assert rows(answer) == [
        ("Docs", 2, 2, 2, 50.0, 0),
        ("Sign up", 2, 3, 0, 50.0, 0),
        ("Pricing", 1, 2, 2, 25.0, 0),
    ]


def test_an_event_counts_for_every_goal_it_reaches() -> None:
    goals = (PRICING, Goal("All", page="**"), Goal("Top", page="/*"))
    answer = ask(
        journey(100, NOON, (0, "/pricing"), (1, "/docs/a")),
        NOON,
        goals=goals,
        metrics=["events"],
        dimensions=["event:goal"],
    )
    assert rows(answer) == [("All", 2), ("Pricing", 1), ("Top", 1)]
    whole = ask(
        journey(100, NOON, (0, "/pricing")), NOON, goals=goals, filters=[["contains", "event:goal", ["l", "T"]]]
    )
    assert rows(whole) == [(1,)]


def test_conversion_divides_by_all_and_in_groups_by_the_same_row() -> None:
    signed_up = [["is", "event:goal", ["Sign up"]]]
    metrics = ["visitors", "conversion_rate", "group_conversion_rate"]
    answer = ask(
        visitors_with_goals(), NOON, goals=GOALS, metrics=metrics, dimensions=["visit:source"], filters=signed_up
    )
    assert rows(answer) == [("x", 1, 25.0, 50.0), ("y", 1, 25.0, 50.0)]
    only_x = [*signed_up, ["is", "visit:source", ["x"]]]
    answer = ask(visitors_with_goals(), NOON, goals=GOALS, metrics=metrics, filters=only_x)
    assert rows(answer) == [(1, 50.0, 50.0)]


def test_filters_on_properties_do_not_narrow_who_might_have_converted() -> None:
    events = [
        *journey(100, NOON, (0, "/"), (1, "/!signup"), props=props(plan="pro")),
        *journey(200, NOON, (0, "/"), (1, "/!signup")),
        *journey(300, NOON, (0, "/")),
    ]
    filters = [["is", "event:goal", ["Sign up"]], ["is", "event:props:plan", ["pro"]]]
    assert rows(ask(events, NOON, goals=GOALS, metrics=["conversion_rate"], filters=filters)) == [(33.33,)]
    by_plan = ask(
        events,
        NOON,
        goals=GOALS,
        metrics=["conversion_rate", "group_conversion_rate"],
        dimensions=["event:props:plan"],
        filters=filters[:1],
    )
    assert rows(by_plan) == [("(none)", 33.33, 50.0), ("pro", 33.33, 100.0)]


def test_a_site_without_goals_has_no_rows_of_them() -> None:
    assert rows(ask(journey(100, NOON, (0, "/")), NOON, dimensions=["event:goal"])) == []
    none = ask(journey(100, NOON, (0, "/")), NOON, filters=[["contains", "event:goal", ["a"]]])
    assert rows(none) == [(0,)]


def test_rows_of_goals_are_those_that_the_filters_accept() -> None:
    answer = ask(
        visitors_with_goals(),
        NOON,
        goals=GOALS,
        dimensions=["event:goal"],
        filters=[["contains", "event:goal", ["i"]], ["is", "event:goal", ["PRICING"], {"case_sensitive": False}]],
    )
    assert rows(answer) == [("Pricing", 1)]


def test_a_goal_that_is_not_the_sites_is_a_fault_even_when_the_query_was_read_without_goals() -> None:
    query = parse({"metrics": ["visitors"], "date_range": "day", "filters": [["is", "event:goal", ["Nothing"]]]})
    with pytest.raises(QueryError, match=r'^#/filters/0/2/0: This site has no goal "Nothing"; it has "Sign up"$'):
        Reports(filled([])).answer(StatsSite(1, "UTC", (SIGN_UP,)), query, NOON)


def test_the_revenue_of_a_goal_is_that_of_the_events_that_reach_it() -> None:
    events = [
        *paid(100, NOON, ("EUR", "5")),
        *journey(200, NOON, (0, "/!signup"), revenue_currency="EUR", revenue_amount="1"),
    ]
    answer = ask(events, NOON, goals=GOALS, metrics=["total_revenue", "visitors"], dimensions=["event:goal"])
    assert rows(answer) == [("Buy", euros(5.0), 1), ("Sign up", euros(1.0), 1)]


def test_a_conversion_rate_by_property_divides_by_the_visitors_who_have_the_value() -> None:
    plan_a, plan_b = props(plan="a"), props(plan="b")
    events = [
        *journey(100, NOON, (0, "/"), (1, "/!signup"), props=plan_a),
        *journey(200, NOON, (0, "/"), props=plan_a),
        *journey(300, NOON, (0, "/"), (1, "/!signup"), props=plan_b),
        *journey(400, NOON, (0, "/")),
    ]
    asked: dict[str, Any] = {"metrics": ["visitors", "group_conversion_rate"], "goals": GOALS}
    by_plan, signed_up = ["event:props:plan"], ["is", "event:goal", ["Sign up"]]
    found = ask(events, NOON, dimensions=by_plan, filters=[signed_up], **asked)
    assert rows(found) == [("a", 1, 50.0), ("b", 1, 100.0)]
    # A filter on a property chooses rows, and not what they are divided by.
    chosen = ask(events, NOON, dimensions=by_plan, filters=[signed_up, ["is", "event:props:plan", ["a"]]], **asked)
    assert rows(chosen) == [("a", 1, 50.0)]
    by_goal = ask(events, NOON, dimensions=["event:goal", *by_plan], filters=[signed_up], **asked)
    assert rows(by_goal) == [("Sign up", "a", 1, 50.0), ("Sign up", "b", 1, 100.0)]
