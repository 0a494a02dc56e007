from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, column, select, table

from haru.events.event import UNKNOWN, Origin
from haru.stats.sql.counters import FACTS
from haru.stats.vocabulary.dimensions import DIMENSIONS
from haru.stats.vocabulary.periods import milliseconds
from haru.store.duckdb.folding import MAX_VISITS, SEEN, VISIT_MARKS
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import FOLDED, Folding, Progress, Refolded
from tests.rounds import examples
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
    names = ("visit_id", "path", "visitor_id", "pageviews", "events", "again")
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
        (100, "/in", 7, 1, 1, False),
        (100, "/mid", 7, 0, 1, False),
        (100, "/out", 7, 1, 1, False),
        (200, "/b", 7, 1, 1, False),
        (300, "/a", 9, 1, 1, False),
        (300, "/early", 9, 1, 1, False),
    ]
    times = (column("first_at"), column("last_at"))
    of_pages = store.fetch(select(column("visit_id"), *times).select_from(table("page")).distinct())
    assert sorted(of_pages) == sorted(store.fetch(select(column("id"), *times).select_from(table("visit"))))


def test_a_page_that_the_visitor_saw_in_an_earlier_visit_is_seen_again() -> None:
    again = [*EVENTS, *journey(500, NOON + 2 * HOUR, (0, "/out"), (1, "/new"), visitor_id=7)]
    store, at_once = filled(again), filled(again)
    store.fold(400)
    assert not any(again for *_, again in pages(store))
    while store.fold(50):
        pass
    at_once.fold(1000)
    assert pages(store) == pages(at_once)
    assert {(visit, path): again for visit, path, *_, again in pages(store) if visit in {100, 500}} == {
        (100, "/in"): False,
        (100, "/mid"): False,
        (100, "/out"): False,
        (500, "/new"): False,
        (500, "/out"): True,
    }


def marks(store: DuckStore) -> dict[int, tuple[Any, ...]]:
    """since, before, what was seen, alone: by visit."""
    names = ("id", *VISIT_MARKS)
    found = store.fetch(select(*(column(name) for name in names)).select_from(table("visit")))
    return {
        id: (_ms(since), _ms(before), {name for name, bit in SEEN.items() if seen & bit}, alone)
        for id, since, before, seen, alone in found
    }


def _ms(at: datetime | None) -> int | None:
    return None if at is None else milliseconds(at)


def marked(events: list[dict[str, Any]]) -> dict[int, tuple[Any, ...]]:
    """The same in plain Python."""
    by_visit: dict[int, list[dict[str, Any]]] = {}
    for event in sorted(events, key=lambda event: (event["occurred_at"], event["id"])):
        by_visit.setdefault(event["visit_id"], []).append(event)

    def value(visit: list[dict[str, Any]], name: str) -> Any:
        views = [event for event in visit if event["name"] == "pageview"]
        column = "hostname" if name.endswith("hostname") else "path"
        if name.startswith("entry"):
            return views[0][column] if views else ""
        return (views[-1][column] if views else "") if name.startswith("exit") else visit[0][name]

    found: dict[int, tuple[Any, ...]] = {}
    for visitor in {(event["site_id"], event["visitor_id"]) for event in events}:
        own = [visit for visit in by_visit.values() if (visit[0]["site_id"], visit[0]["visitor_id"]) == visitor]
        own.sort(key=lambda visit: (visit[0]["occurred_at"], visit[0]["visit_id"]))
        odd = len(own) > MAX_VISITS or any(
            visit[-1]["occurred_at"] - visit[0]["occurred_at"] >= 12 * HOUR
            or UNKNOWN.intersection(value(visit, name) for name in SEEN)
            for visit in own
        )
        for place, visit in enumerate(own):
            earlier = [] if odd else own[:place]
            seen = {name for name in SEEN if any(value(other, name) == value(visit, name) for other in earlier)}
            before = max((other[-1]["occurred_at"] for other in earlier), default=None)
            since = None if odd else own[0][0]["occurred_at"]
            found[visit[0]["visit_id"]] = since, before, seen, len(own) == 1
    return found


def seen_again(events: list[dict[str, Any]]) -> set[tuple[int, str]]:
    """The visits and pages, in plain Python, which their visitors had seen in a visit that began earlier."""
    begun: dict[int, tuple[int, int]] = {}
    for event in events:
        visit, at = event["visit_id"], event["occurred_at"]
        begun[visit] = min(begun.get(visit, (at, visit)), (at, visit))
    return {
        (event["visit_id"], event["path"])
        for event in events
        for other in events
        if all(event[name] == other[name] for name in ("site_id", "visitor_id", "path"))
        and begun[other["visit_id"]] < begun[event["visit_id"]]
    }


@st.composite
def arriving(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of few visitors of two sites, who share their ids, with visits that overlap, go on late, are long, are many
    or have odd values.
    """
    visits = draw(st.integers(1, 8))
    sources = draw(st.lists(st.sampled_from(["", "Google", "X"]), min_size=visits, max_size=visits))
    if draw(st.integers(0, 5)) == 0:
        sources[0] = "Direct / None"
    whose = draw(st.lists(st.integers(1, 2), min_size=visits, max_size=visits))
    sites = draw(st.lists(st.integers(1, 2), min_size=visits, max_size=visits))
    opened: list[int] = []
    events = []
    for id in range(1, draw(st.integers(visits, 24)) + 1):
        opens = len(opened) < visits and (not opened or draw(st.booleans()))
        if opens:
            opened.append(id)
        place = len(opened) - 1 if opens else draw(st.integers(0, len(opened) - 1))
        at = NOON + draw(st.sampled_from([0, 1, 2, 5, 30, 60, 300, 11 * 60])) * MINUTE
        far = 2 * HOUR if draw(st.integers(0, 20)) == 0 else 0
        events.append(
            stored(
                id,
                at + far,
                opened[place],
                site_id=sites[place],
                visitor_id=whose[place],
                source=sources[place],
                path=draw(st.sampled_from(["/", "/a", "/b"])),
                name=draw(st.sampled_from(["pageview", "pageview", "signup", "engagement"])),
            )
        )
    return events


@examples(8, 150)
@given(arriving(), st.integers(1, 24), st.integers(1, 24))
def test_marks_are_those_of_a_slow_count_however_visits_are_folded(
    events: list[dict[str, Any]], first: int, step: int
) -> None:
    store = filled(events)
    store.fold(first)
    while store.fold(step):
        pass
    assert marks(store) == marked(events)
    assert {(visit, path) for visit, path, *_, again in pages(store) if again} == seen_again(events)
    since = store.fetch(select(column("visit_id"), column("since")).select_from(table("page")).distinct())
    assert {visit: _ms(at) for visit, at in since} == {visit: since for visit, (since, *_) in marks(store).items()}


def test_of_a_visitor_with_very_many_visits_marks_say_nothing() -> None:
    most = [
        event for n in range(MAX_VISITS) for event in journey(100 + n, NOON + n * HOUR // 2, (0, "/"), visitor_id=7)
    ]
    store = filled([*most, *journey(300, NOON + 9 * HOUR, (0, "/"), visitor_id=7)])
    store.fold(299)
    assert marks(store) == marked(most)
    assert marks(store)[101][0] == NOON
    store.fold()
    assert {since for since, *_ in marks(store).values()} == {None}


def test_every_name_of_what_is_not_known_makes_a_visitor_odd() -> None:
    """Else two values of one name would be two groups for marks, and one for a question."""
    assert {dimension.empty for dimension in DIMENSIONS.values() if dimension.column in SEEN} <= UNKNOWN


def test_what_visits_have_in_common_keeps_its_bit() -> None:
    """Stored marks hold them: where one moved, visitors would be told apart by something else."""
    assert SEEN == {
        "source": 1,
        "channel": 2,
        "referrer": 4,
        "utm_source": 8,
        "utm_medium": 16,
        "utm_campaign": 32,
        "utm_content": 64,
        "utm_term": 128,
        "click_id": 256,
        "country": 512,
        "region": 1_024,
        "city": 2_048,
        "device": 4_096,
        "browser": 8_192,
        "browser_version": 16_384,
        "os": 32_768,
        "os_version": 65_536,
        "screen": 131_072,
        "language": 262_144,
        "entry_page": 524_288,
        "exit_page": 1_048_576,
        "entry_hostname": 2_097_152,
        "exit_hostname": 4_194_304,
    }


def test_all_that_visits_may_have_in_common_has_a_bit_of_its_own() -> None:
    pages = {name for name, fact in FACTS.items() if fact.text is not None}
    assert SEEN.keys() == {*Origin.__struct_fields__, *pages}
    assert len({*SEEN.values()}) == len(SEEN)
    assert max(SEEN.values()) < 1 << 31  # the column is a signed INTEGER


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


def test_a_statement_is_asked_only_while_no_more_is_folded_than_was_said() -> None:
    store = filled(EVENTS)
    store.fold(250)
    asked = select(column("last_id"), bindparam(FOLDED, 0)).select_from(table("folded"))
    with pytest.raises(Refolded):
        store.fetch(asked, {FOLDED: 249})
    last = store.folded()
    assert store.fetch(asked, {FOLDED: last}) == [(last, last)]
    assert store.fetch(asked, {FOLDED: last}) == [(last, last)]  # from what it remembers
    store.fold()
    with pytest.raises(Refolded):
        store.fetch(asked, {FOLDED: last})
    assert store.fetch(asked) == [(400, 400)]
