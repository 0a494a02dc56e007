from __future__ import annotations

from typing import Any

from sqlalchemy import column, select, table

from haru.events.duckdb import DuckStore
from haru.events.store import Folding, Progress
from tests.stats.made import HOUR, MINUTE, filled, journey, ms, stored

NOON = ms("2026-05-20 12:00")
# Two visits of one visitor, and one that goes on after the other two began; ids in the order of arrival.
EVENTS = [
    *journey(100, NOON, (0, "/in"), (1, "/mid!signup"), (5, "/out"), (6, "/out~"), visitor_id=7),
    *journey(200, NOON + HOUR, (0, "/b"), visitor_id=7),
    *journey(300, NOON, (0, "/a~"), (1, "/a"), visitor_id=9, source="Google"),
    stored(400, NOON - MINUTE, 300, path="/early", visitor_id=9, source="Google"),
]


def visits(store: DuckStore) -> list[tuple[Any, ...]]:
    names = (
        "id",
        "visitor_id",
        "pageviews",
        "events",
        "bounced",
        "lasted_ms",
        "entry_page",
        "exit_page",
        "source",
        "alone",
    )
    return sorted(store.fetch(select(*(column(name) for name in names)).select_from(table("visit"))))


def pages(store: DuckStore) -> list[tuple[Any, ...]]:
    names = ("visit_id", "path", "visitor_id", "pageviews", "events", "alone")
    return sorted(store.fetch(select(*(column(name) for name in names)).select_from(table("page"))))


def folded(store: DuckStore) -> int:
    ((last,),) = store.fetch(select(column("last_id")).select_from(table("folded")))
    return int(last)


def test_a_folded_visit_holds_the_facts_of_all_its_events() -> None:
    store = filled(EVENTS)
    assert isinstance(store, Folding)
    assert store.unfolded() == 400
    assert store.fold() == 0
    assert visits(store) == [
        (100, 7, 2, 3, 0, 5 * MINUTE, "/in", "/out", "", False),
        (200, 7, 1, 1, 1, 0, "/b", "/b", "", False),
        (300, 9, 2, 2, 0, 2 * MINUTE, "/early", "/a", "Google", True),
    ]
    assert (folded(store), store.unfolded()) == (400, 0)


def test_each_page_of_a_folded_visit_has_its_own_counts_and_the_times_of_the_visit() -> None:
    store = filled(EVENTS)
    assert isinstance(store, Folding)
    store.fold()
    assert pages(store) == [
        (100, "/in", 7, 1, 1, True),
        (100, "/mid", 7, 0, 1, True),
        (100, "/out", 7, 1, 1, True),
        (200, "/b", 7, 1, 1, True),
        (300, "/a", 9, 1, 1, True),
        (300, "/early", 9, 1, 1, True),
    ]
    times = (column("first_at"), column("last_at"))
    of_pages = store.fetch(select(column("visit_id"), *times).select_from(table("page")).distinct())
    assert sorted(of_pages) == sorted(store.fetch(select(column("id"), *times).select_from(table("visit"))))


def test_a_visitor_who_comes_back_is_alone_on_the_pages_not_seen_before() -> None:
    again = [*EVENTS, *journey(500, NOON + 2 * HOUR, (0, "/out"), (1, "/new"), visitor_id=7)]
    store, at_once = filled(again), filled(again)
    store.fold(400)
    assert all(alone for *_, alone in pages(store))
    while store.fold(50):
        pass
    at_once.fold(1000)
    assert pages(store) == pages(at_once)
    assert {(visit, path): alone for visit, path, *_, alone in pages(store) if visit in {100, 500}} == {
        (100, "/in"): True,
        (100, "/mid"): True,
        (100, "/out"): False,
        (500, "/new"): True,
        (500, "/out"): False,
    }


def test_folding_a_few_events_at_a_time_comes_to_the_same() -> None:
    store, at_once = filled(EVENTS), filled(EVENTS)
    at_once.fold()
    steps = 1
    while store.fold(1):
        steps += 1
    assert steps == len(EVENTS)
    assert visits(store) == visits(at_once)
    assert pages(store) == pages(at_once)
    assert store.fold() == 0


def test_a_step_skips_ids_that_no_event_has_and_says_how_many_wait() -> None:
    store = filled(EVENTS)
    assert [store.fold(150) for _ in range(4)] == [4, 3, 1, 0]
    assert folded(store) == 400


def test_a_late_event_of_an_old_visit_reaches_far_back() -> None:
    late = stored(900, NOON + MINUTE, 100, path="/late", visitor_id=7)
    store, at_once = filled([*EVENTS, late]), filled([*EVENTS, late])
    while store.fold(100):
        pass
    at_once.fold(1000)
    assert visits(store) == visits(at_once)
    assert visits(store)[0][2] == 3  # pageviews


def test_a_visitor_who_comes_back_is_not_alone_any_more() -> None:
    store = filled(EVENTS[:4])
    store.fold()
    assert [row[-1] for row in visits(store)] == [True]
    more = filled(EVENTS)
    rows = next(more.scan(None, NOON + HOUR, NOON + HOUR + 1))
    store.load(rows, Progress(200))
    assert [row[-1] for row in visits(store)] == [True]  # nobody looked yet
    store.fold()
    assert [row[-1] for row in visits(store)] == [False, False]


def test_rows_that_do_not_follow_those_of_before_have_all_visits_folded_again() -> None:
    store, at_once = filled(EVENTS[4:]), filled(EVENTS)
    store.fold()
    store.load(next(filled(EVENTS[:4]).scan(None, 0, NOON * 2)), Progress(400))
    assert (folded(store), visits(store), pages(store)) == (0, [], [])
    store.fold()
    at_once.fold()
    assert visits(store) == visits(at_once)
    assert pages(store) == pages(at_once)


def test_a_site_is_deleted_with_its_folded_visits() -> None:
    store = filled([*EVENTS, *journey(500, NOON, (0, "/"), site_id=2)])
    store.fold()
    store.delete_site(1)
    assert [row[0] for row in visits(store)] == [500]
    assert [row[0] for row in pages(store)] == [500]
    assert store.fold() == 0
