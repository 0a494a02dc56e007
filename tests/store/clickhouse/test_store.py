from __future__ import annotations

import threading

import pytest
from sqlalchemy import bindparam, column, func, literal_column, select, text

from haru.events.event import Origin
from haru.events.ledger import RefusalCount
from haru.events.visits import Visit
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.protocol import Progress, StoreTooNew
from haru.store.stop import Stop, Stopped
from tests.events.made import MINUTE, NOON, event, rows
from tests.store.clickhouse.made import EVENT, ids


def test_rows_and_position_survive_closing(store: ClickHouseStore) -> None:
    odd = "a'b\"c\\ü😀\n%s{x:String}"
    store.load(
        rows(event(path=odd, props={odd: odd}, origin=Origin(city=-1)), event(interactive=False)),
        Progress(2, {"a'": 7}),
    )
    store.close()
    assert store.progress() == Progress(2, {"a'": 7})
    found = store.fetch(select(column("path"), column("interactive"), column("occurred_at")).select_from(EVENT))
    assert sorted((path, interactive) for path, interactive, _ in found) == [("/", False), (odd, True)]
    assert {at.isoformat() for *_, at in found} == {"2026-01-01T12:00:00"}


def test_the_largest_numbers_and_the_oldest_moments_are_kept(store: ClickHouseStore) -> None:
    old = event(at=-86_400_000, visitor=-(2**63), revenue_amount="0.10", engaged_ms=2**63 - 1)
    loaded = rows(old, event(at=4_102_444_800_001, visitor=2**63 - 1))
    store.load(loaded, Progress(2))
    assert [r for part in store.scan(None, -(10**9), 5 * 10**12) for r in part] == loaded


def test_a_batch_may_span_years(store: ClickHouseStore) -> None:
    month = 31 * 24 * 60 * MINUTE
    store.load(rows(*(event(at=NOON - number * month) for number in range(150))), Progress(150))
    assert len(ids(store)) == 150


def test_values_are_bound_and_never_become_sql(store: ClickHouseStore) -> None:
    for hostile in ("'; DROP TABLE event; --", "\\'; DROP TABLE event; --", "%(path)s %s", "{path:String}", "x\\"):
        store.load(rows(event(path=hostile)), Progress(1, {hostile: 1}))
        wanted = select(func.count()).select_from(EVENT).where(column("path") == bindparam("path"))
        assert store.fetch(wanted, {"path": hostile}) == [(1,)]
        many = select(func.count()).select_from(EVENT).where(column("path").in_(["x", hostile]))
        assert store.fetch(many) == [(1,)]
        assert store.fetch(select(func.count()).select_from(EVENT).where(func.strpos(column("path"), hostile) > 0)) == [
            (1,)
        ]
        assert store.fetch(text(store.sql(many))) == [(1,)]


def test_the_visits_of_some_visitors_come_whole(store: ClickHouseStore) -> None:
    origin = Origin(source="Google", country="DE")
    store.load(
        rows(event(NOON, visitor=5, origin=origin), event(NOON + 90 * MINUTE, visitor=5, origin=origin), visit=1)
        + rows(event(NOON, visitor=6), visit=7),
        Progress(9),
    )
    assert store.visits(1, [5], NOON + 60 * MINUTE, NOON + 100 * MINUTE) == [
        Visit(1, 1, 5, NOON, NOON + 90 * MINUTE, origin)
    ]
    assert store.visits(1, [6], NOON + MINUTE, NOON + 100 * MINUTE) == []
    assert store.visits(1, [], 0, NOON * 2) == []
    assert store.visits(2, [5, 6], 0, NOON * 2) == []
    assert [visit.id for visit in store.recent_visits(NOON + 90 * MINUTE)] == [1]


def test_refusals_are_added_up_by_hour(store: ClickHouseStore) -> None:
    bot, prefetch = RefusalCount(1, NOON, "bot", "GPTBot", 2), RefusalCount(1, NOON, "prefetch", "", 1)
    store.load([], Progress(0, {"a": 1}), [bot, bot, prefetch, RefusalCount(2, NOON, "bot", "", 9)])
    store.load([], Progress(0, {"a": 2}), [bot])
    assert store.refusal_counts(1, NOON, NOON + 1) == [RefusalCount(1, NOON, "bot", "GPTBot", 6), prefetch]
    assert store.refusal_counts(1, NOON + 1, NOON * 2) == []


def test_a_site_goes_with_its_events_and_its_ledger(store: ClickHouseStore) -> None:
    store.load(
        rows(event(), event(site_id=2)),
        Progress(2),
        [RefusalCount(1, NOON, "bot", "", 1), RefusalCount(2, NOON, "bot", "", 1)],
    )
    store.delete_site(1)
    assert ids(store) == [2]
    assert store.refusal_counts(1, 0, NOON * 2) == []
    assert store.refusal_counts(2, 0, NOON * 2) == [RefusalCount(2, NOON, "bot", "", 1)]
    assert store.progress() == Progress(2)


def test_a_store_that_was_destroyed_begins_empty(store: ClickHouseStore) -> None:
    store.load(rows(event()), Progress(1, {"a": 1}), [RefusalCount(1, NOON, "bot", "", 2)])
    store.destroy()
    assert (ids(store), store.progress(), store.refusal_counts(1, 0, NOON + 1)) == ([], Progress(), [])
    store.load(rows(event()), Progress(1, {"a": 1}))
    assert ids(store) == [1]


def test_a_scan_gives_rows_as_they_were_loaded_by_id(store: ClickHouseStore) -> None:
    loaded = rows(event(path="/a"), event(site_id=2), event(at=NOON + MINUTE, path="/b"))
    store.load(loaded, Progress(3))
    assert [list(part) for part in store.scan(1, NOON, NOON + MINUTE + 1)] == [[loaded[0], loaded[2]]]
    assert [r for part in store.scan(None, NOON, NOON + 1) for r in part] == loaded[:2]
    assert list(store.scan(1, 0, NOON)) == []


def test_a_scan_gives_some_thousands_at_a_time_and_may_be_left(store: ClickHouseStore) -> None:
    store.load(rows(*(event(at=NOON + n % 7, visitor=n % 13) for n in range(12_001))), Progress(12_001))
    parts = list(store.scan(1, 0, NOON * 2))
    assert max(map(len, parts)) <= 5_000
    assert [r[0] for part in parts for r in part] == list(range(1, 12_002))
    left = store.scan(1, 0, NOON * 2)
    next(left)
    left.close()
    assert len(list(store.scan(1, 0, NOON * 2))) >= 3


def test_a_query_ends_at_its_limit(store: ClickHouseStore) -> None:
    long = select(func.sum(literal_column("number % 7"))).select_from(text("system.numbers"))
    with pytest.raises(Stopped, match=r"limit of 0\.1 seconds"):
        store.fetch(long, stop=Stop(0.1))
    stop = Stop()
    threading.Timer(0.1, stop.cancel).start()
    with pytest.raises(Stopped, match="Nobody waits"):
        store.fetch(long, stop=stop)
    assert store.fetch(select(literal_column("1"))) == [(1,)]


def test_a_store_of_a_newer_program_is_refused_with_a_sentence(store: ClickHouseStore) -> None:
    store.open()
    store._client.command("INSERT INTO version (number, title) VALUES (99, 'from the future')")
    store.close()
    with pytest.raises(StoreTooNew, match="at version 99, made by a newer Haru"):
        store.open()
