"""What the visits that are folded, in part folded or cut by the period come to: the same as from the events."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.sql import folded
from haru.store.duckdb.store import DuckStore
from tests import reference
from tests.rounds import examples
from tests.stats.drawn import FILTERED, leaves, ranges, sites
from tests.stats.made import DAY, HOUR, MINUTE, assert_same, filled, journey, ms, rows, stored

NOON = ms("2026-05-20 12:00")
MIDNIGHT = ms("2026-05-20 00:00")
FACTS = ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration", "views_per_visit"]

# A visit with all of its events folded, one that goes on, a visitor who comes again, two visits over midnights.
FOLDED = [
    *journey(100, NOON, (0, "/"), (2, "/a"), visitor_id=1),
    *journey(200, NOON, (0, "/"), visitor_id=2),
    *journey(300, NOON, (0, "/a"), visitor_id=3),
    *journey(400, MIDNIGHT - 5 * MINUTE, (0, "/in"), (10, "/a"), visitor_id=4),
    *journey(500, MIDNIGHT + DAY - 5 * MINUTE, (0, "/b"), (10, "/out"), visitor_id=5),
]
LATER = [
    *journey(200, NOON, (0, "/"), (20, "/c"), visitor_id=2)[1:],
    *journey(700, NOON + HOUR, (0, "/c"), visitor_id=3),
]
LATER = [event | {"id": 600 + place} for place, event in enumerate(LATER)]


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded rows are asked however few events there are."""
    monkeypatch.setattr(folded, "MANY", 0)


class Watched(DuckStore):
    """A store that keeps what it is asked."""

    asked: list[str]

    def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
        self.asked.append(str(statement))
        return super().fetch(statement, parameters, stop)


def watched(events: list[dict[str, Any]]) -> Watched:
    """A store with these events, none of them folded."""
    store = filled(events)
    assert isinstance(store, DuckStore)
    store.__class__ = Watched
    assert isinstance(store, Watched)
    store.asked = []
    return store


def half_folded() -> Watched:
    """The first events folded, the later ones not."""
    store = watched(FOLDED + LATER)
    assert store.fold(599) == len(LATER)
    return store


@pytest.mark.parametrize("dimensions", [[], ["visit:entry_page"], ["visit:exit_page", "visit:source"]])
def test_answers_are_those_of_the_events(dimensions: list[str]) -> None:
    store = half_folded()
    query = {"metrics": FACTS, "date_range": ["2026-05-20", "2026-05-20"], "dimensions": dimensions}
    answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY)
    assert_same(answer, reference.answer(FOLDED + LATER, query, "UTC", NOON + 3 * DAY), query)
    assert any("FROM visit" in asked for asked in store.asked)


def test_a_visitor_who_was_alone_and_came_again_is_one() -> None:
    query = {"metrics": ["visitors", "bounce_rate"], "date_range": ["2026-05-20", "2026-05-20"]}
    (row,) = Reports(half_folded()).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY).rows
    assert row.metrics[0] == 5  # with six visits


# Over these days: a visitor with two visits on one day and a page that both saw, one who was there for two days without a
# longer pause than 25 minutes, visits that go over a midnight inside the period and over its ends, one with no pageview.
WEEK = [
    *journey(100, NOON, (0, "/"), (2, "/a"), visitor_id=1, source="Google"),
    *journey(200, NOON + HOUR, (0, "/a"), visitor_id=1),
    *journey(300, NOON, (0, "/"), visitor_id=2, source="Google"),
    *journey(400, MIDNIGHT - 5 * MINUTE, (0, "/in"), (10, "/a"), visitor_id=4),
    *journey(500, MIDNIGHT + DAY - 5 * MINUTE, (0, "/b"), (10, "/out"), visitor_id=5),
    *journey(600, MIDNIGHT + 7 * DAY - 5 * MINUTE, (0, "/b"), (10, "/a"), visitor_id=6),
    *journey(700, NOON + 2 * DAY, (0, "/a!signup"), visitor_id=7),
    *journey(800, NOON + DAY, *((25 * n, "/long") for n in range(120)), visitor_id=8),
    *journey(1000, NOON + 3 * DAY, (0, "/"), visitor_id=8),
]
NEWER = [
    stored(1100, NOON + 5 * MINUTE, 300, visitor_id=2, source="Google", path="/late"),
    *journey(1101, NOON + 4 * DAY, (0, "/a"), visitor_id=9),
    *journey(1102, NOON + 5 * HOUR, (0, "/a"), visitor_id=2),
]
OF_EVENTS: list[dict[str, Any]] = [
    {"metrics": ["visitors"], "dimensions": ["visit:source"]},
    {
        "metrics": ["visitors", "pageviews"],
        "dimensions": ["visit:source"],
        "filters": [["is", "visit:device", ["(not set)"]]],
    },
    {"metrics": ["visitors"], "dimensions": ["time:day"]},
    {"metrics": ["visits", "visitors"], "dimensions": ["time:day", "visit:source"]},
    {"metrics": ["visits"], "dimensions": ["time:week"], "filters": [["is", "visit:source", ["Google"]]]},
    {"metrics": ["visitors"], "dimensions": ["event:page"]},
    {"metrics": ["visitors", "visits", "pageviews", "events"], "dimensions": ["event:page"]},
    {"metrics": ["pageviews"], "dimensions": ["event:page"], "filters": [["contains", "event:page", ["a"]]]},
]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("query", OF_EVENTS)
@pytest.mark.parametrize("later", [[], NEWER])
def test_what_events_tell_is_the_same_from_folded_rows(
    query: dict[str, Any], zone: str, later: list[dict[str, Any]]
) -> None:
    store = watched(WEEK + later)
    store.fold(1099)
    query = {"date_range": ["2026-05-20", "2026-05-26"], **query}
    answer = Reports(store).answer(StatsSite(1, zone), parse(query), NOON + 9 * DAY)
    assert_same(answer, reference.answer(WEEK + later, query, zone, NOON + 9 * DAY), query)
    assert any("FROM visit" in asked or "FROM page" in asked for asked in store.asked)


def test_a_day_that_is_shorter_or_longer_than_others_holds_its_visits() -> None:
    midnight = ms("2026-10-25 23:00")  # in Berlin, where this day has 25 hours; that of spring has 23
    events = [
        *journey(100, midnight - 2 * HOUR, (0, "/"), (25, "/a"), (50, "/b"), (70, "/c"), visitor_id=1),
        *journey(200, midnight - 10 * MINUTE, (0, "/"), (20, "/a"), visitor_id=2),
        *journey(300, ms("2026-03-29 21:50"), (0, "/"), (20, "/a"), visitor_id=3),
    ]
    query = {
        "metrics": ["visitors", "visits"],
        "date_range": ["2026-03-01", "2026-10-31"],
        "dimensions": ["time:day"],
    }
    store = watched(events)
    store.fold()
    answer = Reports(store).answer(StatsSite(1, "Europe/Berlin"), parse(query), midnight + 30 * DAY)
    assert_same(answer, reference.answer(events, query, "Europe/Berlin", midnight + 30 * DAY), query)
    assert rows(answer) == [
        ("2026-03-29", 1, 1),
        ("2026-03-30", 1, 1),
        ("2026-10-25", 2, 2),
        ("2026-10-26", 1, 1),
    ]
    assert any("FROM visit" in asked for asked in store.asked)


def test_a_visit_that_went_on_over_the_end_of_the_period_after_it_was_folded_has_all_its_facts() -> None:
    events = [
        *journey(100, MIDNIGHT + DAY - 20 * MINUTE, (0, "/"), visitor_id=1),
        stored(101, MIDNIGHT + DAY + 5 * MINUTE, 100, path="/a", visitor_id=1),
        stored(102, MIDNIGHT + DAY + 25 * MINUTE, 100, path="/b", visitor_id=1),
    ]
    store = watched(events)
    store.fold(100)
    for days in (["2026-05-20", "2026-05-20"], ["2026-05-21", "2026-05-21"]):
        query = {"metrics": FACTS, "dimensions": ["visit:exit_page"], "date_range": days}
        answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY)
        assert_same(answer, reference.answer(events, query, "UTC", NOON + 3 * DAY), query)
        assert rows(answer)[0][0] == "/b"


def test_while_much_is_not_folded_a_short_period_is_asked_of_the_events() -> None:
    store = watched(WEEK + NEWER)
    store.fold(1099)
    query = {"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": ["2026-05-20", "2026-05-20"]}
    Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 9 * DAY)
    assert not any("FROM page" in asked for asked in store.asked)
    while store.fold():
        pass
    Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 9 * DAY)
    assert any("FROM page" in asked for asked in store.asked)


@pytest.mark.parametrize("query", OF_EVENTS)
def test_the_statements_that_are_shown_run_in_the_store(query: dict[str, Any]) -> None:
    store = watched(WEEK)
    store.fold()
    asked = parse({"date_range": ["2026-05-20", "2026-05-26"], **query})
    shown = Reports(store).sql(StatsSite(1, "Europe/Berlin"), asked, NOON + 9 * DAY)
    with store._cursor() as cursor:
        found = {name: cursor.execute(text).fetchall() for name, text in shown.items()}
    assert found["rows"] == found["unfolded"] != []


def test_in_a_small_store_what_events_tell_is_asked_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    store = watched(WEEK)
    store.fold()
    monkeypatch.setattr(folded, "MANY", 1001)
    query = {"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": ["2026-05-20", "2026-05-26"]}
    Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 9 * DAY)
    assert not any("FROM page" in asked for asked in store.asked)
    monkeypatch.setattr(folded, "MANY", 1000)
    Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 9 * DAY)
    assert any("FROM page" in asked for asked in store.asked)


def test_in_a_small_store_a_long_period_is_asked_of_folded_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    store = watched(WEEK)
    store.fold()
    monkeypatch.setattr(folded, "MANY", 2000)  # there are half as many
    query = {"metrics": ["visitors"], "dimensions": ["event:page"]}
    for first, is_folded in (("2026-03-29", False), ("2026-03-28", True)):
        ends = {"date_range": [first, "2026-05-26"]}
        Reports(store).answer(StatsSite(1, "UTC"), parse({**query, **ends}), NOON + 9 * DAY)
        assert any("FROM page" in asked for asked in store.asked) is is_folded


@pytest.mark.parametrize(
    "query",
    [
        {"metrics": ["visitors"], "dimensions": ["time:hour"]},
        {"metrics": ["pageviews"], "dimensions": ["time:day"]},
        {"metrics": ["visitors"], "dimensions": ["event:page"], "filters": [["is", "visit:source", ["Google"]]]},
        {"metrics": ["time_on_page"], "dimensions": ["event:page"]},
        {"metrics": ["bounce_rate"], "dimensions": ["event:page"]},
        {"metrics": ["bounce_rate"], "filters": [["is", "event:page", ["/a"]]]},
        {"metrics": ["bounce_rate"], "filters": [["has_done", ["is", "event:page", ["/a"]]]]},
        {"metrics": ["visitors", "bounce_rate"], "dimensions": ["time:day"]},
    ],
)
def test_what_folded_visits_do_not_hold_is_asked_of_the_events(query: dict[str, Any]) -> None:
    store = half_folded()
    query = {"date_range": ["2026-05-20", "2026-05-20"], **query}
    answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY)
    assert_same(answer, reference.answer(FOLDED + LATER, query, "UTC", NOON + 3 * DAY), query)
    assert not any("alone" in asked for asked in store.asked)


# One visitor each: what a rule about the ends of a period, or about what a filter leaves of a visitor, is there for.
DAY_BY_DAY = ["2026-05-20", "2026-05-20"]
AGAIN = [
    *journey(100, NOON, (0, "/"), visitor_id=1),
    *journey(200, MIDNIGHT + DAY - 5 * MINUTE, (0, "/"), (10, "/b"), visitor_id=1),
]
ENDS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "inside, and again over the end": (
        AGAIN,
        {"metrics": ["visitors", "pageviews"], "date_range": DAY_BY_DAY},
    ),
    "the same by source": (
        AGAIN,
        {"metrics": ["visitors", "pageviews"], "dimensions": ["visit:source"], "date_range": DAY_BY_DAY},
    ),
    "the same by page": (
        AGAIN,
        {"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": DAY_BY_DAY},
    ),
    "a period that begins before midnight": (
        journey(100, MIDNIGHT - 40 * MINUTE, (0, "/"), (20, "/"), (45, "/b")),
        {
            "metrics": ["visitors", "visits"],
            "dimensions": ["time:day"],
            "date_range": ["2026-05-19T23:30:00+00:00", "2026-05-20T23:59:59+00:00"],
        },
    ),
    "a period that ends after midnight": (
        journey(100, MIDNIGHT - 10 * MINUTE, (0, "/"), (20, "/"), (45, "/b")),
        {
            "metrics": ["visitors", "visits"],
            "dimensions": ["time:day"],
            "date_range": ["2026-05-19T00:00:00+00:00", "2026-05-20T00:19:59+00:00"],
        },
    ),
    "a long visit over the end": (
        journey(100, MIDNIGHT - 2 * DAY, *((25 * n, "/") for n in range(200))),
        {
            "metrics": ["visitors", "visits"],
            "dimensions": ["time:day"],
            "date_range": ["2026-05-17", "2026-05-19"],
        },
    ),
    "over the start, in one month": (
        journey(100, MIDNIGHT - 5 * MINUTE, (0, "/"), (10, "/b")),
        {
            "metrics": ["visitors", "visits"],
            "dimensions": ["time:month"],
            "date_range": ["2026-05-20", "2026-05-21"],
        },
    ),
    "first from elsewhere": (
        [
            *journey(100, NOON, (0, "/"), country="DE", visitor_id=1),
            *journey(200, NOON + HOUR, (0, "/"), source="X", country="DE", visitor_id=1),
        ],
        {
            "metrics": ["visitors"],
            "dimensions": ["visit:country"],
            "filters": [["is", "visit:source", ["X"]]],
            "date_range": DAY_BY_DAY,
        },
    ),
    "first from elsewhere, by day": (
        [*journey(100, NOON, (0, "/"), visitor_id=1), *journey(200, NOON + HOUR, (0, "/"), source="X", visitor_id=1)],
        {
            "metrics": ["visitors"],
            "dimensions": ["time:day"],
            "filters": [["is", "visit:source", ["X"]]],
            "date_range": DAY_BY_DAY,
        },
    ),
    "over both ends": (
        journey(100, MIDNIGHT - 20 * MINUTE, (0, "/"), (25, "/b")),
        {
            "metrics": ["visitors", "visits"],
            "dimensions": ["visit:source"],
            "date_range": ["2026-05-19T23:50:00+00:00", "2026-05-20T00:00:00+00:00"],
        },
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_one_visitor_at_the_ends_of_a_period(name: str) -> None:
    events, query = ENDS[name]
    store = watched(events)
    assert store.fold() == 0
    answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 9 * DAY)
    assert_same(answer, reference.answer(events, query, "UTC", NOON + 9 * DAY), query)
    assert any("FROM visit" in asked or "FROM page" in asked for asked in store.asked)


STAMPS = ["visit:source", "visit:channel", "visit:country", "visit:country_name", "visit:city"]
PAGES = ["visit:entry_page", "visit:exit_page", "visit:exit_page_hostname"]
TIMES = ["time:day", "time:week", "time:month"]


@st.composite
def held(draw: st.DrawFn, now: int) -> dict[str, Any]:
    """A query that folded rows hold the answer to."""

    def some(choices: list[str], least: int = 1, most: int = 2) -> list[str]:
        return draw(st.lists(st.sampled_from(choices), min_size=least, max_size=most, unique=True))

    kind, filtered = draw(st.sampled_from(["visits", "visits", "buckets", "pages", "facts by time"])), STAMPS[:3]
    if kind == "visits":
        query = {"metrics": some([*FACTS, "visitors", "events"], most=4), "dimensions": some([*STAMPS, *PAGES], 0)}
        filtered = [name for name in query["dimensions"] if name in FILTERED] or STAMPS[:3]
    elif kind == "buckets":
        query = {"metrics": some(["visitors", "visits"]), "dimensions": [*some(TIMES, most=1), *some(STAMPS[:2], 0, 1)]}
    elif kind == "pages":
        query = {"metrics": some(["visitors", "visits", "pageviews", "events"], most=3), "dimensions": ["event:page"]}
        filtered = ["event:page"]
    else:
        query = {"metrics": some(FACTS[3:]), "dimensions": some(TIMES, most=1)}
    if draw(st.integers(0, 2)) == 0:
        query["filters"] = [draw(leaves(filtered))]
    return {**query, "date_range": draw(ranges(now)), "include": {"total_rows": draw(st.booleans())}}


@examples(8, 80, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_questions_of_folded_rows_have_the_answers_of_the_second_implementation(data: st.DataObject) -> None:
    timezone, now, events, _ = data.draw(sites())
    if data.draw(st.integers(0, 3)) == 0:  # a visit of more than a day
        begun = now + data.draw(st.integers(-3 * DAY, 0))
        steps = ((29 * n, "/long") for n in range(data.draw(st.integers(20, 90))))
        events += journey(9000, begun, *steps, visitor_id=1, source="Google")
    store = watched(events)
    for most in data.draw(st.sampled_from([[99_999], [99_999], [103, 99, 99_999], [202], [301, 150], [9010]])):
        store.fold(most)
    reports, query = Reports(store), {}
    for place in range(6):
        # Each over two periods, of which the second is asked with the statement of the first where that is the same.
        query = {**query, "date_range": data.draw(ranges(now))} if place % 2 else data.draw(held(now))
        store.asked.clear()
        with mock.patch.object(folded, "_FEW_MS", 0):
            answer = reports.answer(StatsSite(1, timezone), parse(query), now)
        assert_same(answer, reference.answer(events, query, timezone, now), query)
        # The answer may be known, of a question that was asked before: then at most the first event is asked for.
        rows_asked = [asked for asked in store.asked if not asked.startswith("SELECT min(event.occurred_at)")]
        assert not rows_asked or any("FROM visit" in asked or "FROM page" in asked for asked in rows_asked)
