"""What numbers are broken down by; properties and places told as visits, as the second implementation has them too."""

from __future__ import annotations

import pytest

from haru.events.columns import COLUMNS
from haru.events.event import Origin
from haru.stats.sql.counters import FACTS
from haru.stats.vocabulary import dimensions
from haru.stats.vocabulary.dimensions import DIMENSIONS, Dimension, Level
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import DAY, ask, journey, ms, props, rows

NOON = ms("2026-05-20 12:00")
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


LONDON_GB = 2643743
LONDON_CA = 6058560


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


@pytest.mark.parametrize("dimension", DIMENSIONS.values(), ids=DIMENSIONS)
def test_a_dimension_is_found_by_its_name_and_its_column_is_there(dimension: Dimension) -> None:
    assert dimensions.known(dimension.name)
    assert dimensions.of(dimension.name) is dimension
    columns = {
        Level.EVENT: {name for name, _ in COLUMNS} | {""},
        Level.STAMP: set(Origin.__struct_fields__),  # what all events of a visit are given
        Level.FACT: set(FACTS),
        Level.TIME: {"", "minute", "hour", "day", "week", "month"},
    }
    assert dimension.column in columns[dimension.level]
    assert (dimension.column == "" and dimension.level is Level.EVENT) == (dimension.name == dimensions.GOAL)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("event:props:plan", True),
        ("event:props:a:b ü", True),
        ("event:props:" + "ü" * 150, True),
        ("event:props:" + "ü" * 150 + "x", False),  # 301 bytes
        ("event:props:", False),
        ("event:props", False),
        ("event:revenue_currency", False),  # for queries of our own
        ("visit:Source", False),
        ("", False),
    ],
)
def test_a_query_may_name_what_is_in_the_table_and_every_property(name: str, known: bool) -> None:
    assert dimensions.known(name) is known


def test_a_property_is_a_dimension_with_its_key() -> None:
    plan = dimensions.of("event:props:a:b")
    assert (plan.name, plan.key, plan.column, plan.optional) == ("event:props:a:b", "a:b", "props", True)
    assert plan.meaning == "value of the property a:b"
    assert dimensions.of(dimensions.CURRENCY.name) is dimensions.CURRENCY
    with pytest.raises(KeyError):
        dimensions.of("visit:nothing")


@pytest.mark.parametrize(
    ("name", "stored", "text"),
    [
        ("visit:source", "", "Direct / None"),
        ("visit:channel", "", "Direct"),
        ("visit:browser", "", "(not set)"),
        ("visit:browser", "Firefox", "Firefox"),
        ("event:props:plan", "", "(none)"),
        ("visit:country", "DE", "DE"),
        ("visit:country_name", "DE", "Germany"),
        ("visit:country_name", "", "(not set)"),
        ("visit:city", "2950159", 2950159),
        ("visit:city", "", "(not set)"),
        ("visit:city_name", "2950159", "Berlin"),
    ],
)
def test_a_stored_value_is_shown_as_it_is_called(name: str, stored: str, text: str | int) -> None:
    dimension = dimensions.of(name)
    assert dimensions.shown(dimension, stored) == text
    assert dimension.text(stored) == str(text)
