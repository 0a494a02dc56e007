from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from haru.events.spool import Spool, SpoolUnavailable, Writer
from tests.events.made import NOON, event


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


def test_events_come_back_in_the_order_of_arrival(spool: Spool) -> None:
    spool.append([event(path="/a"), event(path="/b", props={"plan": "pro"})])
    spool.append([event(path="/c")])
    read = spool.read(0, 10)
    assert [arrival.event.path for arrival in read] == ["/a", "/b", "/c"]
    assert read[1].event.props == {"plan": "pro"}
    assert [arrival.id for arrival in read] == [1, 2, 3]
    assert [arrival.id for arrival in spool.read(1, 1)] == [2]


def test_ids_are_never_used_again(spool: Spool) -> None:
    spool.append([event(), event()])
    spool.acknowledge(2)
    assert spool.depth() == 0
    spool.append([event()])
    assert [arrival.id for arrival in spool.read(0, 10)] == [3]


def test_a_new_spool_beside_an_old_store_gives_ids_above_the_stores(spool: Spool) -> None:
    spool.start_after(41)
    spool.append([event()])
    assert [arrival.id for arrival in spool.read(41, 10)] == [42]


def test_marks_and_events_are_written_together_or_not_at_all(spool: Spool) -> None:
    with pytest.raises(ZeroDivisionError), spool.transaction() as transaction:
        transaction.append([event()])
        transaction.mark(1, b"digest", 1000)
        raise ZeroDivisionError
    assert spool.depth() == 0
    assert spool.marks(1) == {}
    with spool.transaction() as transaction:
        transaction.append([event()])
        transaction.mark(1, b"digest", 1000)
    assert spool.depth() == 1
    assert spool.marks(1) == {1000: {b"digest"}}
    assert spool.marks(2) == {}


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Spool(tmp_path / "spool.sqlite3").append([event()])
    assert stat.S_IMODE((tmp_path / "spool.sqlite3").stat().st_mode) == 0o600


def test_a_spool_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite3").write_bytes(b"this is no database, but it is long enough to look like one" * 20)
    with pytest.raises(SpoolUnavailable, match="see that the data folder's disk has space"):
        Spool(tmp_path / "spool.sqlite3")


def test_another_process_may_write_to_the_same_spool(tmp_path: Path, spool: Spool) -> None:
    other = Spool(tmp_path / "spool.sqlite3")
    spool.append([event(path="/server")])
    other.append([event(path="/import")])
    assert [arrival.event.path for arrival in spool.read(0, 10)] == ["/server", "/import"]


async def test_the_writer_answers_after_the_commit(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    answers = await asyncio.gather(*(writer.put(event(path=f"/{n}")) for n in range(500)))
    assert answers == [True] * 500
    assert sorted(arrival.event.path for arrival in spool.read(0, 1000)) == sorted(f"/{n}" for n in range(500))
    writer.close()


async def test_the_same_key_for_the_same_site_counts_once_within_a_day(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    day = 24 * 60 * 60 * 1000
    assert await writer.put(event(), "order-1")
    assert not await writer.put(event(NOON + day), "order-1")
    assert await writer.put(event(site_id=2), "order-1")
    assert await writer.put(event(), "order-2")
    assert await writer.put(event(NOON + day + 1), "order-1")
    assert spool.depth() == 4
    writer.close()


async def test_the_key_counts_once_within_one_commit_too(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    answers = await asyncio.gather(*(writer.put(event(), "same") for _ in range(20)))
    assert answers.count(True) == 1
    assert spool.depth() == 1
    writer.close()


async def test_a_disk_that_refuses_is_told_to_those_who_wait_and_recovers(tmp_path: Path) -> None:
    file = Spool(tmp_path / "spool.sqlite3")
    writer = Writer(file, asyncio.get_running_loop())
    real = file.write
    full = threading.Event()
    full.set()

    def refuse(*arguments: object) -> list[bool]:
        if full.is_set():
            raise SpoolUnavailable("disk full")
        return real(*arguments)  # type: ignore[arg-type]

    file.write = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(SpoolUnavailable):
        await writer.put(event())
    assert writer.refusing
    full.clear()
    assert await writer.put(event())
    assert not writer.refusing
    writer.close()


async def test_what_the_store_has_goes_with_the_next_commit(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    await writer.put(event())
    writer.acknowledge(1)
    await writer.put(event())
    writer.close()
    assert [arrival.id for arrival in spool.read(0, 10)] == [2]


async def test_closing_writes_what_waits(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    waiting = [writer.put(event()) for _ in range(50)]
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*waiting) == [True] * 50
    assert spool.depth() == 50


def test_the_commit_is_durable_not_merely_written(spool: Spool, tmp_path: Path) -> None:
    # 2 is FULL: SQLite syncs the write-ahead log at each commit.
    assert spool._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert sqlite3.connect(tmp_path / "spool.sqlite3").execute("PRAGMA journal_mode").fetchone() == ("wal",)
