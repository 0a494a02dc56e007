from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from haru.spool import spool as spool_module
from haru.spool import writer as writer_module
from haru.spool.spool import Spool, SpoolFull, Spools, SpoolUnavailable
from haru.spool.writer import Writer
from tests.events.made import NOON, event


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


def test_events_come_back_in_the_order_of_arrival(spool: Spool) -> None:
    spool.append([event(path="/a"), event(path="/b", props={"plan": "pro"})])
    spool.append([event(path="/c")])
    first, second = spool.read(0, 10)
    assert [event.path for event in first.body.events + second.body.events] == ["/a", "/b", "/c"]
    assert first.body.events[1].props == {"plan": "pro"}
    assert (first.id, second.id) == (1, 2)
    assert [batch.id for batch in spool.read(1, 1)] == [2]
    assert [batch.id for batch in spool.read(0, 2)] == [1]  # it has the two events that were asked for


def test_ids_are_never_used_again(spool: Spool) -> None:
    spool.append([event(), event()])
    spool.acknowledge(1)
    assert spool.depth() == 0
    spool.append([event()])
    assert [batch.id for batch in spool.read(0, 10)] == [2]


def test_a_new_spool_beside_an_old_store_gives_ids_above_the_stores(spool: Spool) -> None:
    spool.start_after(41)
    spool.append([event()])
    assert [batch.id for batch in spool.read(41, 10)] == [42]


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
    assert [event.path for event in spool.events()] == ["/server", "/import"]


async def test_the_writer_answers_after_the_commit(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    answers = await asyncio.gather(*(writer.written(event(path=f"/{n}")) for n in range(500)))
    assert answers == [True] * 500
    assert sorted(event.path for event in spool.events()) == sorted(f"/{n}" for n in range(500))
    writer.close()


async def test_the_same_key_for_the_same_site_counts_once_within_a_day(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    day = 24 * 60 * 60 * 1000
    assert await writer.written(event(), "order-1")
    assert not await writer.written(event(NOON + day), "order-1")
    assert await writer.written(event(site_id=2), "order-1")
    assert await writer.written(event(), "order-2")
    assert await writer.written(event(NOON + day + 1), "order-1")
    assert spool.depth() == 4
    writer.close()


async def test_the_key_counts_once_within_one_commit_too(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    answers = await asyncio.gather(*(writer.written(event(), "same") for _ in range(20)))
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
        await writer.written(event())
    assert writer.refusing
    full.clear()
    assert await writer.written(event())
    assert not writer.refusing
    writer.close()


async def test_many_events_share_a_commit(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    await asyncio.gather(*(writer.written(event()) for _ in range(300)))
    assert writer.commits < 10
    assert sum(len(batch.body.events) for batch in spool.read(0, 1000)) == 300
    writer.close()


async def test_events_of_the_next_turns_of_the_loop_share_the_commit_but_wait_only_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(writer_module, "time", SimpleNamespace(**vars(time) | {"perf_counter": lambda: now}))
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    wake = writer._wake.set
    woken: list[int] = []
    answers: list[object] = []

    def waking() -> None:
        woken.append(writer.waiting())
        wake()

    monkeypatch.setattr(writer._wake, "set", waking)

    async def one_a_turn(turns: int) -> None:
        for _ in range(turns):
            writer.put([(event(), "")], answers.append)
            await asyncio.sleep(0)

    await one_a_turn(500)
    assert woken == [], "while each turn brings one, all wait for the same commit"
    now = writer_module.GATHER_SECONDS
    await one_a_turn(1)
    assert woken == [501], "but not for ever"
    assert await writer.written(event(), "a key")  # answered after those before it
    assert answers == [[True]] * 501
    writer.close()


async def test_a_refusing_disk_is_tried_again_although_nobody_asks(tmp_path: Path) -> None:
    file = Spool(tmp_path / "spool.sqlite3")
    writer = Writer(file, asyncio.get_running_loop())
    real = file.write
    file.write = lambda *_: (_ for _ in ()).throw(SpoolUnavailable("full"))  # type: ignore[method-assign]
    writer.refused(1, NOON, "bot")
    writer._hand_over()
    while not writer.refusing:  # noqa: ASYNC110  # a thread tells by what it sets
        await asyncio.sleep(0.01)
    file.write = real  # type: ignore[method-assign]
    for _ in range(300):
        await asyncio.sleep(0.01)
        if not writer.refusing:
            break
    assert not writer.refusing
    await asyncio.to_thread(writer.close)
    tallies = [tally for batch in Spool(tmp_path / "spool.sqlite3").read(0, 9) for tally in batch.body.tallies]
    assert [(tally.reason, tally.count) for tally in tallies] == [("bot", 1)]


async def test_what_waits_for_a_commit_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 5)
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    outcomes = await asyncio.gather(*(writer.written(event()) for _ in range(8)), return_exceptions=True)
    assert [isinstance(outcome, SpoolFull) for outcome in outcomes] == [False] * 5 + [True] * 3
    writer.close()


async def test_what_is_handed_over_together_is_one_row_of_the_spool(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MOST_IN_BATCH", 4)
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    answers: list[object] = []
    for number in range(4):
        writer.put([(event(path=f"/{number}"), "same")] + [(event(path=f"/{number}"), "")] * 2, answers.append)
    assert writer.waiting() == 12
    await asyncio.to_thread(writer.close)
    await asyncio.sleep(0)
    rows = [[event.path for event in batch.body.events] for batch in spool.read(0, 100)]
    assert rows == [["/0"] * 3 + ["/1"] * 2, ["/2"] * 2 + ["/3"] * 2]
    assert answers == [[True] * 3, *[[False, True, True]] * 3]
    assert (writer.waiting(), writer.events) == (0, 12)


def test_the_write_ahead_log_stays_small_while_the_store_takes_events(tmp_path: Path, spool: Spool) -> None:
    reader = Spool(tmp_path / "spool.sqlite3", durable=False)
    for number in range(400):
        spool.append([event(props={"x": "y" * 1000}) for _ in range(200)])
        reader.acknowledge(number)
    assert (tmp_path / "spool.sqlite3-wal").stat().st_size < 80_000_000
    assert (tmp_path / "spool.sqlite3").stat().st_size < 20_000_000


def test_spools_are_read_together_by_the_moment_of_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_000
    monkeypatch.setattr(spool_module, "now_ms", lambda: moment)
    one, two = Spool(tmp_path / "spool-1.sqlite3"), Spool(tmp_path / "spool-2.sqlite3")
    for number, file in enumerate((two, one, one, two)):
        moment += 1
        file.append([event(path=f"/{number}")])
    spools = Spools(tmp_path)
    found = spools.read({}, 100)
    assert [batch.body.events[0].path for _, batch in found] == ["/0", "/1", "/2", "/3"]
    assert spools.waiting() == (4, 1001)
    spools.acknowledge({one.name: 2, two.name: 1})
    assert [event.path for event in two.events()] == ["/3"]
    assert spools.depth() == 1
    later = Spool(tmp_path / "spool.sqlite3")
    later.append([event(path="/later")])
    assert spools.depth() == 2  # one that came later is found


def test_a_spool_that_was_lost_and_made_anew_is_another_spool(tmp_path: Path) -> None:
    first = Spool(tmp_path / "spool.sqlite3").name
    assert Spool(tmp_path / "spool.sqlite3").name == first
    for path in tmp_path.iterdir():
        path.unlink()
    assert Spool(tmp_path / "spool.sqlite3").name != first


async def test_closing_writes_what_waits(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    waiting = [asyncio.ensure_future(writer.written(event())) for _ in range(50)]
    await asyncio.sleep(0)  # handed over, not yet committed
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*waiting) == [True] * 50
    assert spool.depth() == 50


def test_the_commit_is_durable_not_merely_written(spool: Spool, tmp_path: Path) -> None:
    # 2 is FULL: SQLite syncs the write-ahead log at each commit.
    assert spool._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert sqlite3.connect(tmp_path / "spool.sqlite3").execute("PRAGMA journal_mode").fetchone() == ("wal",)
