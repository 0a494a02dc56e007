"""The lease: one loader at a time, whose place is free when it has gone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import column, select, table

from haru.store.clickhouse.lease import LEASE_SECONDS
from haru.store.clickhouse.sql import literal
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.protocol import Progress, StoreHeld, StoreMoved
from tests import embedded
from tests.events.made import event, rows


def two(seconds_ago: int = 0) -> tuple[ClickHouseStore, ClickHouseStore]:
    """Two servers on one store, of which the first holds it; its lease was renewed so long ago."""
    address = embedded.address()
    first, second = ClickHouseStore(address), ClickHouseStore(address)
    first._lease._holder, first._lease._name = "1", "stats-1"
    second._lease._holder, second._lease._name = "2", "stats-2"
    first.acquire()
    age(first, seconds_ago)
    return first, second


def age(store: ClickHouseStore, seconds: int) -> None:
    """As if the lease had been renewed so many seconds ago."""
    held = "epoch, nonce, holder, name, released"
    ((*row,),) = store._client.query(f"SELECT {held} FROM lease")
    store._client.command("TRUNCATE TABLE lease")
    values = ", ".join(literal(value) for value in row)
    store._client.command(f"INSERT INTO lease ({held}, at) SELECT {values}, now64(3) - toIntervalSecond({seconds})")


def closed(*stores: ClickHouseStore) -> None:
    for store in stores:
        store.close()


def test_a_second_server_is_refused_with_the_name_of_the_first() -> None:
    first, second = two(LEASE_SECONDS - 5)
    with pytest.raises(StoreHeld, match=r"Another Haru server \(stats-1\) loads into this event store: stop it first"):
        second.acquire()
    first.load(rows(event()), Progress(1))  # it goes on unharmed
    assert second.progress() == Progress(1)
    with pytest.raises(StoreHeld):
        second.load(rows(event()), Progress(2))
    assert second.fetch(select(column("id")).select_from(table("event"))) == [(1,)]
    closed(first, second)


def test_a_lease_that_was_renewed_is_not_over() -> None:
    first, second = two(LEASE_SECONDS + 5)
    first._lease.renew()
    with pytest.raises(StoreHeld):
        second.acquire()
    closed(first, second)


def test_a_lease_that_ran_out_is_taken_and_its_holder_inserts_no_more() -> None:
    first, second = two(LEASE_SECONDS + 1)
    second.acquire()
    with pytest.raises(StoreMoved, match="begins again"):
        first.load(rows(event()), Progress(1))
    assert second.progress() == Progress()
    with pytest.raises(StoreHeld, match="stats-2"):
        first.acquire()
    closed(first, second)


def test_a_server_that_ended_leaves_its_place_at_once() -> None:
    first, second = two()
    first.close()
    second.acquire()
    closed(second)


def test_the_same_server_after_a_kill_need_not_wait() -> None:
    first, second = two()
    second._lease._holder = "1"
    second.acquire()
    closed(first, second)


def test_of_two_who_begin_at_once_one_is_refused() -> None:
    address = embedded.address()
    first, second = ClickHouseStore(address), ClickHouseStore(address)
    first._lease._holder, second._lease._holder = "1", "2"
    second.open()
    insert = first._lease._insert
    first.open()

    def outrun(*arguments: Any, **named: Any) -> None:
        first._lease._insert = insert  # type: ignore[method-assign]
        second.acquire()
        insert(*arguments, **named)

    first._lease._insert = outrun  # type: ignore[method-assign]
    with pytest.raises(StoreHeld, match="just begun"):
        first.acquire()
    second.load(rows(event()), Progress(1))
    closed(first, second)


def test_a_holder_renews_its_lease_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haru.store.clickhouse.lease.RENEW_SECONDS", 0.01)
    store = embedded.store()
    store.acquire()
    age(store, 1000)
    looked: list[bool] = []
    store._lease.keep(lambda: looked.append(True))
    while not looked:
        pass
    state = store._lease.state()
    assert state is not None
    assert not state.over
    store.close()
    assert store._lease._thread is None
