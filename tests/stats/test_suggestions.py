"""Suggestions: the values that a typed text may mean, of every dimension and on every engine."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from haru.stats import bounds, suggestions
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError
from haru.stats.suggestions import MAX, parse_wanted, suggest
from haru.stats.vocabulary.dimensions import DIMENSIONS, Level
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import ENGINES, filled, journey, ms

NOW = ms("2026-03-02 12:00")
GOALS = (Goal("Signed up", "Signup"), Goal("Docs read", page="/docs/**"), Goal("Signed off", "Signoff"))
GERMAN: dict[str, Any] = {
    "source": "Google",
    "referrer": "google.com/search",
    "country": "DE",
    "region": "DE-BY",
    "city": 2950159,
    "props": '{"plan":"Pro","a.b \'\\"":"1"}',
}
SWISS: dict[str, Any] = {"country": "CH", "region": "CH-BE", "props": '{"plan":"free"}'}
EVENTS = [
    *journey(10, ms("2026-03-02 08:00"), (0, "/docs/a"), (1, "/Ärger"), (2, "/docs/a!Signup"), **GERMAN),
    *journey(20, ms("2026-03-02 09:00"), (0, "/docs/a"), **GERMAN),
    *journey(30, ms("2026-03-02 09:00"), (0, "/pricing"), **SWISS),
    *journey(40, ms("2026-02-02 09:00"), (0, "/long-ago"), **SWISS),
    *journey(50, ms("2026-03-02 09:00"), (0, "/elsewhere"), site_id=2),
]
SITE = StatsSite(1, "UTC", GOALS)


@pytest.fixture(scope="module", params=ENGINES)
def reports(request: pytest.FixtureRequest) -> Reports:
    return Reports(filled(EVENTS, request.param))


def asked(reports: Reports, dimension: str, text: str = "", filters: object = ()) -> list[tuple[Any, ...]]:
    wanted = parse_wanted(dimension, text, "day", list(filters))  # type: ignore[call-overload]
    return [astuple(one) for one in suggest(reports, SITE, wanted, NOW)]


def test_values_come_by_their_visitors_and_are_those_of_the_site_and_the_period(reports: Reports) -> None:
    assert asked(reports, "event:page") == [
        ("/docs/a", "/docs/a", 2),
        ("/pricing", "/pricing", 1),
        ("/Ärger", "/Ärger", 1),
    ]


def test_what_is_typed_may_stand_anywhere_and_in_upper_or_lower_case(reports: Reports) -> None:
    assert asked(reports, "event:page", "ÄR") == [("/Ärger", "/Ärger", 1)]
    assert asked(reports, "event:page", "oCs") == [("/docs/a", "/docs/a", 2)]
    assert asked(reports, "event:page", "/elsewhere") == []
    assert asked(reports, "event:page", "/long-ago") == []


def test_filters_narrow_what_is_suggested(reports: Reports) -> None:
    swiss = [["is", "visit:country", ["CH"]]]
    assert asked(reports, "event:page", filters=swiss) == [("/pricing", "/pricing", 1)]
    entered = [["is", "visit:entry_page", ["/docs/a"]], ["has_done", ["is", "event:goal", ["Signed up"]]]]
    assert asked(reports, "event:props:", filters=entered)[0] == ("event:props:a.b '\"", "a.b '\"", 1)


@pytest.mark.parametrize(
    ("dimension", "typed", "code", "name"),
    [
        ("visit:country", "germ", "DE", "Germany"),
        ("visit:country", "de", "DE", "Germany"),
        ("visit:country_name", "germ", "Germany", "Germany"),
        ("visit:region", "baye", "DE-BY", "Bayern"),
        ("visit:region_name", "baye", "Bayern", "Bayern"),
        ("visit:source", "direct", "Direct / None", "Direct / None"),
        ("visit:source", "goo", "Google", "Google"),
        ("visit:referrer", "search", "google.com/search", "google.com/search"),
    ],
)
def test_a_name_finds_the_code(reports: Reports, dimension: str, typed: str, code: str, name: str) -> None:
    assert [found[:2] for found in asked(reports, dimension, typed)] == [(code, name)]


def test_the_name_of_a_city_finds_its_number(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haru.stats.vocabulary.places.cities", lambda: {"2950159": "Berlin"})
    assert asked(reports, "visit:city", "BER") == [("2950159", "Berlin", 2)]
    assert asked(reports, "visit:city", "2950159") == [("2950159", "Berlin", 2)]


def test_every_goal_is_suggested_those_that_were_reached_first(reports: Reports) -> None:
    assert asked(reports, "event:goal") == [
        ("Docs read", "Docs read", 2),
        ("Signed up", "Signed up", 1),
        ("Signed off", "Signed off", 0),
    ]
    assert asked(reports, "event:goal", "signed o") == [("Signed off", "Signed off", 0)]


def test_properties_have_keys_and_values(reports: Reports) -> None:
    assert asked(reports, "event:props:") == [
        ("event:props:plan", "plan", 3),
        ("event:props:a.b '\"", "a.b '\"", 2),
    ]
    assert asked(reports, "event:props:", "PL") == [("event:props:plan", "plan", 3)]
    assert asked(reports, "event:props:plan") == [("Pro", "Pro", 2), ("free", "free", 1)]
    assert asked(reports, "event:props:a.b '\"") == [("1", "1", 2), ("(none)", "(none)", 1)]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE event; --", "%", "_", "\\", "\x00", "\ud800", "🙂", "\u202e", "(", "a" * 2000]
)
def test_a_hostile_text_finds_nothing_and_harms_nothing(reports: Reports, text: str) -> None:
    assert asked(reports, "event:page", text) == []


@pytest.mark.parametrize("name", [name for name, one in DIMENSIONS.items() if one.level is not Level.TIME])
def test_a_suggestion_of_every_dimension_can_be_filtered_by(reports: Reports, name: str) -> None:
    found = asked(reports, name)
    assert found
    for value, _, visitors in found:
        if visitors:
            assert value in [one[0] for one in asked(reports, name, filters=[["is", name, [value]]])]


@pytest.mark.parametrize("dimension", ["visit:country", "event:page", "event:props:plan", "visit:exit_page"])
def test_of_very_many_values_the_seldom_ones_are_found_too(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, dimension: str
) -> None:
    whole = asked(reports, dimension)
    monkeypatch.setattr(suggestions, "SEARCHED", 1)
    for value, label, visitors in whole:
        assert asked(reports, dimension, label) == [(value, label, visitors)]


def test_where_there_are_too_many_values_to_look_at_those_of_most_visitors_do(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggestions, "SEARCHED", 1)
    monkeypatch.setattr(bounds, "MAX_VALUES", 1)
    assert asked(reports, "event:page", "/") == [("/docs/a", "/docs/a", 2)]


def test_no_more_are_answered_than_a_menu_shows() -> None:
    events = [event for visit in range(40) for event in journey(100 + visit, NOW - 1000, (0, f"/{visit}"))]
    assert len(asked(Reports(filled(events)), "event:page", "/")) == MAX


def test_every_key_stroke_after_the_first_is_answered_from_memory() -> None:
    reports = Reports(filled(EVENTS))
    asked(reports, "event:page")
    before = reports.asking.cache.misses
    for text in ("d", "do", "doc", "docs", "docs!"):
        asked(reports, "event:page", text)
    assert reports.asking.cache.misses == before


@pytest.mark.parametrize(
    ("dimension", "text", "date_range", "filters", "fault"),
    [
        ("time:day", "", "day", [], '#/dimension: The dimension "time:day" cannot be filtered by'),
        ("visit:nothing", "", "day", [], '#/dimension: Invalid dimension "visit:nothing"'),
        ("event:props", "", "day", [], '#/dimension: Invalid dimension "event:props"'),
        ("event:page", "a" * 2001, "day", [], "#/prefix: The text has more than 2,000 characters"),
        ("event:page", "", "someday", [], "#/date_range: Invalid date range"),
        ("event:page", "", "day", {}, "#/filters: Give a list of filters"),
        ("event:page", "", "day", [["is", "x", ["a"]]], '#/filters/0/1: Invalid dimension "x"'),
    ],
)
def test_a_fault_has_its_path(dimension: str, text: str, date_range: object, filters: object, fault: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_wanted(dimension, text, date_range, filters)
    assert len(raised.value.faults) == 1
    assert raised.value.faults[0].startswith(fault)
