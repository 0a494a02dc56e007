from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, column, func, select, table

from haru.events.columns import row_of
from haru.events.event import ENGAGEMENT, Arrival, Origin
from haru.events.ledger import RefusalCount
from haru.events.visits import Visit
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Body, Imported, Spool, Spools
from haru.store import loader as loader_module
from haru.store.duckdb.store import DuckStore
from haru.store.loader import Load, Loader
from haru.store.protocol import Progress, StoreMoved, StoreUnavailable
from tests.events.made import MINUTE, NOON, event

EVENT = table("event", column("id", BigInteger), column("visit_id", BigInteger), column("site_id", BigInteger))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


@pytest.fixture
def store(tmp_path: Path) -> DuckStore:
    return DuckStore(tmp_path / "events.duckdb")


def stored(store: DuckStore) -> list[tuple[int, int]]:
    return [tuple(r) for r in store.fetch(select(EVENT.c.id, EVENT.c.visit_id).order_by(EVENT.c.id))]  # type: ignore[misc]


def loader_of(spool: Spool, store: DuckStore) -> Loader:
    return Loader(Spools(spool.path.parent), store, IdempotencyKeys(spool.path.parent))


def drain(loader: Loader, now: int = NOON) -> list[Load]:
    return list(loader.drain(now))


def test_every_event_is_loaded_once_with_its_visit(spool: Spool, store: DuckStore) -> None:
    spool.append([event(NOON), event(NOON, visitor=2), event(NOON + MINUTE)])
    (load,) = drain(loader_of(spool, store))
    assert stored(store) == [(1, 1), (2, 2), (3, 1)]
    assert (load.events, load.taken, load.sites) == (3, 3, frozenset({1}))
    assert load.seen == ((1, 1, NOON), (1, 2, NOON), (1, 1, NOON + MINUTE))
    assert spool.depth() == 0
    assert store.progress() == Progress(3, {spool.name: 1})


def test_an_engagement_without_a_visit_is_counted_by_site_and_not_stored(spool: Spool, store: DuckStore) -> None:
    spool.append([event(name=ENGAGEMENT, site_id=4), event(site_id=5)])
    (load,) = drain(loader_of(spool, store))
    assert store.refusal_counts(4, 0, NOON * 2) == [RefusalCount(4, NOON, "no_visit_for_engagement", "", 1)]
    assert stored(store) == [(2, 2)]
    assert (load.events, load.taken) == (1, 2)


def test_a_batch_of_nothing_but_refused_events_still_moves_on(spool: Spool, store: DuckStore) -> None:
    spool.append([event(name=ENGAGEMENT)])
    loader = loader_of(spool, store)
    assert [load.events for load in drain(loader)] == [0]
    assert store.progress() == Progress(1, {spool.name: 1})
    assert drain(loader) == []


def test_a_visit_goes_on_after_a_restart(spool: Spool, store: DuckStore, tmp_path: Path) -> None:
    spool.append([event(NOON, origin=Origin(source="Google"))])
    drain(loader_of(spool, store))
    store.close()
    reopened = DuckStore(tmp_path / "events.duckdb")
    spool.append([event(NOON + 29 * MINUTE, origin=Origin(source="Bing"))])
    loader = loader_of(spool, reopened)
    assert [visit.id for visit in loader.start(NOON + 29 * MINUTE)] == [1]
    drain(loader, NOON + 29 * MINUTE)
    assert stored(reopened) == [(1, 1), (2, 1)]
    sources = reopened.fetch(
        select(func.count()).select_from(table("event", column("source"))).where(column("source") == "Google")
    )
    assert sources == [(2,)]


class Failing(DuckStore):
    """A store whose loads fail in a chosen way."""

    fail: Callable[[str], None] | None = None

    def load(self, rows, progress, refusals=()):  # type: ignore[no-untyped-def]
        if self.fail:
            self.fail("before")
        super().load(rows, progress, refusals)
        if self.fail:
            self.fail("after")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_store_that_fails_before_or_after_its_commit_gets_each_event_once(
    spool: Spool, tmp_path: Path, moment: str
) -> None:
    store = Failing(tmp_path / "events.duckdb")
    failures = 0

    def fail(now: str) -> None:
        nonlocal failures
        if now == moment:
            failures += 1
            raise StoreUnavailable("gone")

    spool.append([event(NOON), event(NOON + MINUTE)])
    loader = loader_of(spool, store)
    store.fail = fail
    if moment == "before":
        with pytest.raises(StoreUnavailable):
            loader.step(NOON)
        assert spool.depth() == 2
    else:
        assert loader.step(NOON) is not None  # the store has it: its word counts, not the lost answer
    assert failures == 1
    store.fail = None
    spool.append([event(NOON + 2 * MINUTE)])
    drain(loader)
    assert stored(store) == [(1, 1), (2, 1), (3, 1)]


def test_a_store_that_is_away_after_its_commit_gets_each_event_once_when_it_is_back(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot even be asked whether the commit had succeeded, and the loader comes again with the same batch."""
    store = Failing(tmp_path / "events.duckdb")
    away = False

    def fail(now: str) -> None:
        nonlocal away
        if now == "after":
            away = True
            raise StoreUnavailable("gone")

    def progress() -> Progress:
        if away:
            raise StoreUnavailable("still gone")
        return DuckStore.progress(store)

    monkeypatch.setattr(store, "progress", progress)
    spool.append([event(NOON), event(NOON + MINUTE)])
    loader = loader_of(spool, store)
    store.fail = fail
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="still gone"):
            loader.step(NOON)
    away, store.fail = False, None
    spool.append([event(NOON + 2 * MINUTE)])
    drain(loader)
    assert stored(store) == [(1, 1), (2, 1), (3, 1)]


def test_a_loader_killed_between_commit_and_acknowledgement_loads_nothing_twice(spool: Spool, store: DuckStore) -> None:
    spool.append([event(NOON), event(NOON)])
    never_acknowledged = Spools(spool.path.parent)
    never_acknowledged.acknowledge = lambda _: None  # type: ignore[method-assign]
    drain(Loader(never_acknowledged, store, IdempotencyKeys(spool.path.parent)))
    assert spool.depth() == 2
    spool.append([event(NOON + MINUTE)])
    drain(loader_of(spool, store))
    assert stored(store) == [(1, 1), (2, 1), (3, 1)]
    assert spool.depth() == 0


def test_batches_are_bounded(spool: Spool, store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "MAX_EVENTS", 4)
    for n in range(5):
        spool.append([event(NOON + 2 * n), event(NOON + 2 * n + 1)])
    assert [load.events for load in drain(loader_of(spool, store))] == [4, 4, 2]
    assert [visit for _, visit in stored(store)] == [1] * 10


def test_deleting_a_site_removes_its_events_and_leaves_the_neighbours(spool: Spool, store: DuckStore) -> None:
    loader = loader_of(spool, store)
    spool.append([event(site_id=1), event(site_id=2)])
    drain(loader)
    spool.append([event(site_id=1), event(site_id=2)])  # still waiting
    loader.delete_site(1, NOON)
    assert stored(store) == [(2, 2), (3, 2)]


def test_what_comes_late_of_a_deleted_site_is_let_go(spool: Spool, store: DuckStore) -> None:
    loader = loader_of(spool, store)
    spool.append([event(), event(site_id=2)])
    drain(loader)
    loader.delete_site(1, NOON)
    spool.write(
        [event(), event(site_id=2)], ["", ""], [RefusalCount(1, 0, "bot", "", 3), RefusalCount(2, 0, "bot", "", 3)]
    )
    drain(loader)
    assert store.sites() == {2}
    assert [len(rows) for rows in store.scan(2, 0, NOON * 2)] == [2]
    assert spool.depth() == 0


def test_a_key_counts_once_over_all_spools_and_the_other_is_in_the_ledger(tmp_path: Path, store: DuckStore) -> None:
    one, two = Spool(tmp_path / "spool-1.sqlite3"), Spool(tmp_path / "spool-2.sqlite3")
    for spool in (one, two):
        assert spool.write([event(), event()], ["order-1", ""]) == [True, True]
    load = drain(loader_of(one, store))[0]
    assert (load.events, load.taken) == (3, 4)
    assert store.refusal_counts(1, 0, NOON * 2) == [RefusalCount(1, NOON, "duplicate", "", 1)]
    # Again later, by way of the other spool, whose own memory of the key is gone.
    two.forget_site(1)
    two.write([event(NOON + MINUTE)], ["order-1"])
    assert [load.events for load in drain(loader_of(one, store))] == [0]


def test_a_batch_with_keys_that_is_read_again_after_a_crash_still_owns_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    spool.write([event(), event()], ["order-1", "order-2"])
    broken = Failing(tmp_path / "events.duckdb")

    def fail(moment: str) -> None:
        raise StoreUnavailable("gone")

    broken.fail = fail
    with pytest.raises(StoreUnavailable):
        loader_of(spool, broken).step(NOON)
    broken.fail = None
    assert [load.events for load in drain(loader_of(spool, broken))] == [2]


def test_the_ledger_adds_up_and_is_counted_once(spool: Spool, store: DuckStore) -> None:
    for count in (2, 3):
        spool.write([], [], [RefusalCount(1, NOON, "bot", "", count), RefusalCount(1, NOON, "bot", "GPTBot", 1)])
    drain(loader_of(spool, store))
    spool.write([], [], [RefusalCount(1, NOON, "bot", "", 4)])
    drain(loader_of(spool, store))
    assert store.refusal_counts(1, NOON, NOON + 1) == [
        RefusalCount(1, NOON, "bot", "", 9),
        RefusalCount(1, NOON, "bot", "GPTBot", 2),
    ]
    assert store.refusal_counts(1, NOON + 1, NOON * 2) == []
    store.delete_site(1)
    assert store.refusal_counts(1, 0, NOON * 2) == []


def test_a_row_of_an_import_that_an_older_release_wrote_gets_the_columns_it_lacks(
    spool: Spool, store: DuckStore
) -> None:
    whole = row_of(Arrival(5, event(NOON, path="/old")), Visit(5, 1, 2, NOON, NOON, Origin()))
    with spool.transaction() as transaction:
        transaction.append_body(Body([], imported=Imported("a file", 5, 1, 0, [whole[:-2]])))
    drain(loader_of(spool, store))
    ((loaded,),) = store.scan(1, 0, 2 * NOON)
    assert loaded == (1, *whole[1:4], 1, *whole[5:])


def test_a_loader_whose_store_moved_begins_anew_from_what_the_store_says(
    spool: Spool, store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append([event(NOON)])
    loader = loader_of(spool, store)
    loader.start(NOON)
    other = row_of(Arrival(5, event(NOON, visitor=2)), Visit(5, 1, 2, NOON, NOON, Origin()))
    work = store.load

    def moved(*_: object) -> None:
        monkeypatch.setattr(store, "load", work)
        work([other], Progress(5))
        raise StoreMoved("another loader was here")

    monkeypatch.setattr(store, "load", moved)
    with pytest.raises(StoreMoved):
        loader.step(NOON)
    assert not loader.started
    assert drain(loader)[0].events == 1
    assert stored(store) == [(5, 5), (6, 6)]
