"""Goals, properties, revenue and reading, told as visits. Every answer is also compared with the second implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import DAY, HOUR, MINUTE, ask, filled, journey, ms, rows, stored

NOON = ms("2026-05-20 12:00")
SIGN_UP = Goal("Sign up", event="signup")
BUY = Goal("Buy", event="buy", currency="EUR")
DOCS = Goal("Docs", page="/docs/**")
PRICING = Goal("Pricing", page="/pricing")
GOALS = (SIGN_UP, BUY, DOCS, PRICING)


def reading(visit: int, *parts: tuple[str, int, int]) -> list[dict[str, Any]]:
    """A visit that reads pages: each part is a path, engaged milliseconds and per cent scrolled (-1: not known)."""
    events = journey(visit, NOON, (0, parts[0][0]))
    for number, (path, engaged, scrolled) in enumerate(parts, 1):
        columns = {"path": path, "name": "engagement", "engaged_ms": engaged, "scroll_depth": scrolled}
        events.append(stored(visit + number, NOON + number * MINUTE, visit, **columns))
    return events


def paid(visit: int, *amounts: tuple[str, str], **columns: Any) -> list[dict[str, Any]]:
    """A visit with an event `buy` for each currency and amount."""
    events = journey(visit, NOON, (0, "/"), **columns)
    for number, (currency, amount) in enumerate(amounts, 1):
        revenue = {"name": "buy", "revenue_currency": currency, "revenue_amount": amount}
        events.append(stored(visit + number, NOON + number * MINUTE, visit, **{**columns, **revenue}))
    return events


def props(**values: str) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


def euros(value: float) -> list[dict[str, Any]]:
    return [{"currency": "EUR", "value": value}]


# Reading


def test_time_on_page_is_the_mean_of_the_visits_that_read_there() -> None:
    events = [
        *reading(100, ("/a", 10_000, -1), ("/a", 5_000, -1), ("/b", 1_000, -1)),
        *reading(200, ("/a", 6_000, -1)),
        *journey(300, NOON, (0, "/a"), (1, "/c")),  # says nothing of how long it read
    ]
    answer = ask(events, NOON, metrics=["time_on_page", "visits"], dimensions=["event:page"])
    assert rows(answer) == [("/a", 10, 3), ("/b", 1, 1), ("/c", None, 1)]  # (15 + 6) / 2 = 10.5 → 10


def test_scroll_depth_is_the_deepest_of_each_visit_and_then_the_mean() -> None:
    events = [
        *reading(100, ("/a", 1, 80), ("/a", 1, 20), ("/b", 1, 100)),
        *reading(200, ("/a", 1, 25)),
        *reading(300, ("/a", 1, -1)),
        *reading(400, ("/c", 1, 0)),
    ]
    answer = ask(events, NOON, metrics=["scroll_depth"], dimensions=["event:page"])
    assert rows(answer) == [("/b", 100), ("/a", 52), ("/c", 0)]  # (80 + 25) / 2 = 52.5 → 52
    assert rows(ask(events, NOON, metrics=["scroll_depth"], filters=[["is", "event:page", ["/b", "/c"]]])) == [(50,)]


def test_without_data_reading_is_null_and_sorts_last() -> None:
    assert rows(ask([], NOON, metrics=["time_on_page", "scroll_depth"], filters=[["is", "event:page", ["/"]]])) == [
        (None, None)
    ]
    events = [*reading(100, ("/read", 0, 0)), *journey(200, NOON, (0, "/unread"))]
    metrics = ["scroll_depth", "time_on_page"]
    assert rows(ask(events, NOON, metrics=metrics, dimensions=["event:page"])) == [
        ("/read", 0, 0),
        ("/unread", None, None),
    ]
    upwards = ask(events, NOON, metrics=metrics, dimensions=["event:page"], order_by=[["time_on_page", "asc"]])
    assert rows(upwards) == [("/unread", None, None), ("/read", 0, 0)]


def test_what_was_not_there_to_compare_with_is_no_data() -> None:
    compare = {"comparisons": {"mode": "previous_period"}}
    (row,) = ask(
        reading(100, ("/a", 4_000, 40)),
        NOON,
        metrics=["time_on_page", "total_revenue", "visitors"],
        dimensions=["event:page"],
        include=compare,
    ).rows
    assert (row.metrics, row.comparison.metrics) == ((4, None, 1), (None, None, 0))


# Exits


def test_exit_rate_is_visits_that_ended_on_a_page_by_pageviews_of_it() -> None:
    events = [
        *journey(100, NOON, (0, "/a"), (1, "/b"), (2, "/a")),
        *journey(200, NOON, (0, "/a"), (1, "/b"), (2, "/b!signup")),
        *journey(300, NOON, (0, "/b")),
    ]
    by_exit = [("/b", 66.7), ("/a", 33.3)]
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page"])) == by_exit
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["event:page"])) == by_exit
    only = [["is", "visit:exit_page", ["/b"]]]
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page"], filters=only)) == [
        ("/b", 66.7)
    ]


def test_exit_rate_goes_with_other_dimensions_of_visits() -> None:
    events = [
        *journey(100, NOON, (0, "/a"), (1, "/b"), source="x"),
        *journey(200, NOON, (0, "/b"), (1, "/a"), source="y"),
        *journey(300, NOON, (0, "/b"), source="y"),
    ]
    answer = ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page", "visit:source"])
    assert rows(answer) == [("/a", "y", 100.0), ("/b", "x", 100.0), ("/b", "y", 50.0)]


# Goals


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


# What visits have done


def test_has_done_chooses_visits_by_any_of_their_events_in_the_period() -> None:
    events = [
        *journey(100, NOON, (0, "/"), (1, "/!signup")),
        *journey(200, NOON, (0, "/"), (1, "/b")),
        *journey(300, NOON - 12 * HOUR - 5 * MINUTE, (0, "/!signup"), (10, "/late")),  # before midnight, then after
    ]
    done = ["has_done", ["is", "event:name", ["signup"]]]
    assert rows(ask(events, NOON, metrics=["visits", "pageviews"], filters=[done])) == [(1, 1)]
    assert rows(ask(events, NOON, dimensions=["event:page"], filters=[["has_not_done", done[1]]])) == [
        ("/", 1),
        ("/b", 1),
        ("/late", 1),
    ]
    by_goal = ["has_done", ["is", "event:goal", ["Sign up"]]]
    assert rows(ask(events, NOON, goals=GOALS, metrics=["visits", "bounce_rate"], filters=[by_goal])) == [(1, 0)]


def test_what_was_done_is_one_event_and_goes_into_any_tree() -> None:
    events = [
        *journey(100, NOON, (0, "/a"), (1, "/b!signup"), source="x"),
        *journey(200, NOON, (0, "/a!signup"), source="x"),
        *journey(300, NOON, (0, "/c"), source="y"),
    ]
    both = ["has_done", ["and", [["is", "event:page", ["/a"]], ["is", "event:name", ["signup"]]]]]
    assert rows(ask(events, NOON, metrics=["visits"], filters=[both])) == [(1,)]
    either = ["or", [both, ["is", "visit:entry_page", ["/c"]]]]
    assert rows(ask(events, NOON, metrics=["visits", "visit_duration"], filters=[either])) == [(2, 0)]
    assert rows(ask(events, NOON, metrics=["visits"], filters=[["not", either]])) == [(1,)]


# Properties


PLANS = [
    *journey(100, NOON, (0, "/"), props=props(plan="pro")),
    *journey(200, NOON, (0, "/"), props=props(plan="Free", other="pro")),
    *journey(300, NOON, (0, "/")),
    *journey(400, NOON, (0, "/"), props=props(plan="")),
    *journey(500, NOON, (0, "/"), props=props(plan="(none)")),
]


def test_a_property_that_is_missing_is_none() -> None:
    answer = ask(PLANS, NOON, dimensions=["event:props:plan"])
    assert rows(answer) == [("(none)", 3), ("Free", 1), ("pro", 1)]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (["is", "event:props:plan", ["pro"]], {"pro"}),
        (["is", "event:props:plan", ["(none)", "pro"]], {"(none)", "pro"}),
        (["is", "event:props:plan", ["FREE"], {"case_sensitive": False}], {"Free"}),
        (["is", "event:props:plan", ["(NONE)"], {"case_sensitive": False}], {"(none)"}),
        (["is_not", "event:props:plan", ["pro"]], {"(none)", "Free"}),
        (["is_not", "event:props:plan", ["(none)"]], {"Free", "pro"}),
        (["contains", "event:props:plan", ["r"]], {"Free", "pro"}),
        (["contains", "event:props:plan", ["none", "("]], set()),
        (["contains", "event:props:plan", [""]], {"Free", "pro"}),
        (["contains_not", "event:props:plan", ["o"]], {"Free"}),
        (["contains_not", "event:props:plan", ["O"], {"case_sensitive": False}], {"Free"}),
        (["matches", "event:props:plan", ["."]], {"Free", "pro"}),
        (["matches_not", "event:props:plan", ["^p"]], {"Free"}),
        (["not", ["contains", "event:props:plan", ["o"]]], {"(none)", "Free"}),
        (["not", ["contains_not", "event:props:plan", ["o"]]], {"(none)", "pro"}),
        (["is", "event:props:absent", ["(none)"]], {"(none)", "Free", "pro"}),
    ],
)
def test_a_missing_property_is_neither_contained_nor_not(filter, expected) -> None:
    answer = ask(PLANS, NOON, dimensions=["event:props:plan"], filters=[filter])
    assert {row[0] for row in rows(answer)} == expected


def test_a_property_and_another_filter_look_at_the_same_event() -> None:
    visit = journey(100, NOON, (0, "/a"), (1, "/b"))
    visit[0]["props"] = props(plan="pro")
    pro = ["is", "event:props:plan", ["pro"]]
    assert rows(ask(visit, NOON, metrics=["visits", "views_per_visit"], filters=[pro])) == [(1, 2.0)]
    assert rows(ask(visit, NOON, metrics=["visits"], filters=[pro, ["is", "event:page", ["/b"]]])) == [(0,)]


# Revenue


def test_revenue_is_a_list_ordered_by_currency_and_rounded_once() -> None:
    events = [
        *paid(100, ("USD", "0.005"), ("EUR", "10"), ("EUR", "-2.50")),
        *paid(200, ("USD", "0.01"), ("EUR", "0.000000001")),
        *paid(300),
    ]
    (row,) = ask(events, NOON, metrics=["total_revenue", "average_revenue"]).rows
    assert row.metrics == (
        [{"currency": "EUR", "value": 7.5}, {"currency": "USD", "value": 0.02}],  # 0.015 → 0.02
        [{"currency": "EUR", "value": 2.5}, {"currency": "USD", "value": 0.01}],
    )
    assert rows(ask([], NOON, metrics=["total_revenue", "average_revenue"])) == [(None, None)]


def test_amounts_are_exact_where_floats_are_not() -> None:
    amounts = [("EUR", "999999999999999.99"), *[("EUR", "0.1")] * 3, ("EUR", "-999999999999999.99"), ("EUR", "-0.295")]
    assert rows(ask(paid(100, *amounts), NOON, metrics=["total_revenue"])) == [(euros(0.0),)]  # 0.005 → 0.00


def test_rows_sort_by_revenue_and_those_without_come_first_upwards() -> None:
    events = [
        *paid(100, ("EUR", "5"), source="a"),
        *paid(200, ("EUR", "7"), source="b"),
        *paid(300, source="c"),
    ]
    metrics = ["total_revenue", "visitors"]
    answer = ask(events, NOON, metrics=metrics, dimensions=["visit:source"], pagination={"limit": 2})
    assert rows(answer) == [("b", euros(7.0), 1), ("a", euros(5.0), 1)]
    upwards = ask(events, NOON, metrics=metrics, dimensions=["visit:source"], order_by=[["total_revenue", "asc"]])
    assert [row[0] for row in rows(upwards)] == ["c", "a", "b"]


def test_the_revenue_of_a_goal_is_that_of_the_events_that_reach_it() -> None:
    events = [
        *paid(100, ("EUR", "5")),
        *journey(200, NOON, (0, "/!signup"), revenue_currency="EUR", revenue_amount="1"),
    ]
    answer = ask(events, NOON, goals=GOALS, metrics=["total_revenue", "visitors"], dimensions=["event:goal"])
    assert rows(answer) == [("Buy", euros(5.0), 1), ("Sign up", euros(1.0), 1)]


def test_revenue_counts_in_the_bucket_in_which_it_came() -> None:
    events = paid(100, ("EUR", "1"))
    events.append(stored(109, NOON - DAY, 100, name="buy", revenue_currency="EUR", revenue_amount="2"))
    answer = ask(
        events, NOON, metrics=["total_revenue"], dimensions=["time:day"], date_range=["2026-05-19", "2026-05-20"]
    )
    assert rows(answer) == [("2026-05-19", euros(2.0)), ("2026-05-20", euros(1.0))]


# Names of places


def test_countries_are_shown_sorted_and_filtered_by_their_names() -> None:
    events = [
        *journey(100, NOON, (0, "/"), country="DE"),
        *journey(200, NOON, (0, "/"), country="US"),
        *journey(300, NOON, (0, "/"), country="AX"),
        *journey(400, NOON, (0, "/"), country=""),
        *journey(500, NOON, (0, "/"), country="XX"),
    ]
    names = [name for name, _ in rows(ask(events, NOON, dimensions=["visit:country_name"]))]
    assert names == ["(not set)", "Germany", "United States", "XX", "Åland Islands"]
    paged = ask(events, NOON, dimensions=["visit:country_name"], pagination={"limit": 2, "offset": 1})
    assert [name for name, _ in rows(paged)] == ["Germany", "United States"]
    for filter, expected in [
        (["is", "visit:country_name", ["Germany"]], {"Germany"}),
        (["contains_not", "visit:country_name", ["an"]], {"(not set)", "United States", "XX"}),
        (["is", "visit:country_name", ["(not set)"]], {"(not set)"}),
        (["matches", "visit:country_name", ["^[GX]"]], {"Germany", "XX"}),
    ]:
        found = ask(events, NOON, dimensions=["visit:country_name"], filters=[filter])
        assert {name for name, _ in rows(found)} == expected


def test_regions_and_cities_have_names_and_those_without_one_their_codes() -> None:
    events = [
        *journey(100, NOON, (0, "/"), region="DE-BE", city=2950159),
        *journey(200, NOON, (0, "/")),
        *journey(300, NOON, (0, "/"), region="XX-1", city=5),
    ]
    answer = ask(events[:-1], NOON, dimensions=["visit:region_name", "visit:city_name", "visit:city"])
    assert rows(answer) == [("(not set)", "(not set)", "(not set)", 1), ("Berlin", "Berlin", 2950159, 1)]
    answer = ask(
        events,
        NOON,
        dimensions=["visit:region_name", "visit:city_name"],
        filters=[["is", "visit:city_name", ["5", "Berlin"]]],
    )
    assert rows(answer) == [("Berlin", "Berlin", 1), ("XX-1", "5", 1)]


LONDON_GB, LONDON_CA = 2643743, 6058560


def test_cities_of_one_name_are_found_by_it_and_have_a_row_each() -> None:
    goals = [Goal("Home", page="/")]
    events = [
        *journey(100, NOON, (0, "/"), city=LONDON_GB, country="GB", revenue_currency="EUR", revenue_amount="5"),
        *journey(200, NOON, (0, "/"), city=LONDON_GB, country="GB"),
        *journey(300, NOON, (0, "/"), city=LONDON_CA, country="CA"),
        *journey(400, NOON, (0, "/"), city=2950159, country="DE"),
        *journey(500, NOON - DAY, (0, "/"), city=LONDON_CA, country="CA"),
    ]
    found = ask(events, NOON, filters=[["is", "visit:city_name", ["London"]]])
    assert rows(found) == [(3,)]
    both = ask(events, NOON, dimensions=["visit:city_name"], include={"total_rows": True})
    assert rows(both) == [("London", 2), ("Berlin", 1), ("London", 1)]
    assert both.total_rows == 3
    told_apart = ask(events, NOON, dimensions=["visit:city_name", "visit:country"])
    assert rows(told_apart)[0] == ("London", "GB", 2)
    asked = {"metrics": ["group_conversion_rate", "total_revenue"], "dimensions": ["visit:city_name"]}
    shares = ask(events, NOON, goals=goals, filters=[["is", "event:goal", ["Home"]]], **asked)
    euros = [{"currency": "EUR", "value": 5.0}]
    assert rows(shares) == [("Berlin", 100.0, None), ("London", 100.0, euros), ("London", 100.0, None)]
    compared = ask(events, NOON, dimensions=["visit:city_name"], include={"comparisons": {"mode": "previous_period"}})
    before = [(row.dimensions[0], row.metrics[0], row.comparison.metrics[0]) for row in compared.rows if row.comparison]
    assert before == [("London", 2, 0), ("Berlin", 1, 0), ("London", 1, 1)]


def test_regions_of_one_name_are_found_by_it_and_have_a_row_each() -> None:
    events = [
        *journey(100, NOON, (0, "/"), region="AG-03"),
        *journey(200, NOON, (0, "/"), region="VC-04"),
        *journey(300, NOON, (0, "/"), region="VC-04"),
    ]
    assert rows(ask(events, NOON, filters=[["is", "visit:region_name", ["Saint George"]]])) == [(3,)]
    by_name = ask(events, NOON, dimensions=["visit:region_name"])
    assert rows(by_name) == [("Saint George", 2), ("Saint George", 1)]
    last = ask(events, NOON, dimensions=["visit:region_name"], pagination={"limit": 1, "offset": 1})
    assert rows(last) == [("Saint George", 1)]


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


# Rolling periods


def test_the_last_24_hours_and_the_last_30_minutes_have_so_many_buckets() -> None:
    now = NOON + 31 * MINUTE + 4_005
    events = [
        *journey(100, now - DAY, (0, "/")),  # in the hour before the first
        *journey(200, NOON - 23 * HOUR, (0, "/"), (2, "/a")),
        *journey(300, now - 30 * MINUTE, (0, "/")),  # in the minute before the first
        *journey(400, NOON + 2 * MINUTE, (0, "/")),
        *journey(500, now, (0, "/")),
        *journey(600, now + 1, (0, "/")),
    ]
    for name, buckets, last in (("24h", 24, (3, 100)), ("realtime", 30, (1, 100))):
        asked: dict[str, Any] = {"metrics": ["visitors", "bounce_rate"], "dimensions": ["time"]}
        answer = ask(events, now, date_range=name, include={"time_labels": True}, **asked)
        assert answer.labels is not None
        assert len(answer.labels) == buckets
        assert [row.dimensions[0] for row in answer.rows] == [answer.labels[0], answer.labels[-1]]
        assert [row.metrics for row in answer.rows] == [(1, 0 if name == "24h" else 100), last]
        compared = ask(events, now, date_range=name, include={"comparisons": {"mode": "previous_period"}}, **asked)
        assert [row.metrics for row in compared.rows[1:-1]] == [(0, None)] * (buckets - 2)
