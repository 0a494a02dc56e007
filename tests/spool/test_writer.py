from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from haru.clock import HOUR_MS
from haru.events.ledger import RefusalCount
from haru.spool import writer as writer_module
from haru.spool.spool import Spool, SpoolFull, SpoolUnavailable
from haru.spool.writer import Writer
from tests.events.made import NOON, event


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # a thread tells by what it sets
            await asyncio.sleep(0.001)


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
    refusals = [refusal for batch in Spool(tmp_path / "spool.sqlite3").read(0, 9) for refusal in batch.body.refusals]
    assert [(refusal.reason, refusal.count) for refusal in refusals] == [("bot", 1)]


async def test_what_waits_for_a_commit_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 5)
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    outcomes = await asyncio.gather(*(writer.written(event()) for _ in range(8)), return_exceptions=True)
    assert [isinstance(outcome, SpoolFull) for outcome in outcomes] == [False] * 5 + [True] * 3
    writer.close()


async def test_what_is_handed_over_together_is_one_row_of_the_spool(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_IN_BATCH", 4)
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


async def test_closing_writes_what_waits(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    waiting = [asyncio.ensure_future(writer.written(event())) for _ in range(50)]
    await asyncio.sleep(0)  # handed over, not yet committed
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*waiting) == [True] * 50
    assert spool.depth() == 50


async def test_refusals_are_counted_by_hour_and_go_with_a_commit(tmp_path: Path, spool: Spool) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    for at in (NOON, NOON + HOUR_MS - 1, NOON + HOUR_MS):
        writer.refused(1, at, "bot", "curl")
    writer.refused(2, NOON, "bot", "curl")
    await asyncio.to_thread(writer.close)
    refusals = [refusal for batch in spool.read(0, 9) for refusal in batch.body.refusals]
    assert refusals == [
        RefusalCount(1, NOON, "bot", "curl", 2),
        RefusalCount(1, NOON + HOUR_MS, "bot", "curl", 1),
        RefusalCount(2, NOON, "bot", "curl", 1),
    ]
    assert writer.events == 0


async def test_a_spool_at_its_limit_takes_no_more_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SIZE_SECONDS", 0.001)
    file = Spool(tmp_path / "spool.sqlite3")
    room = threading.Event()
    monkeypatch.setattr(file, "size", lambda: 0 if room.is_set() else 1_000)
    writer = Writer(file, asyncio.get_running_loop(), most_bytes=1_000)
    assert writer.full
    with pytest.raises(SpoolFull):
        await writer.written(event())
    room.set()
    await until(lambda: not writer.full)
    assert await writer.written(event())
    await asyncio.to_thread(writer.close)


async def test_whatever_fails_in_the_thread_is_told_and_counted_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "RESTART_SECONDS", 0.001)
    monkeypatch.setattr(writer_module, "SIZE_SECONDS", -1)  # it looks at each turn
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())

    look = writer._look_at_size

    def fail() -> None:
        monkeypatch.setattr(writer, "_look_at_size", look)
        raise SystemExit("no Exception")

    monkeypatch.setattr(writer, "_look_at_size", fail)
    assert await writer.written(event())
    await until(lambda: writer.restarts == 1)
    assert writer.alive()
    assert await writer.written(event())
    lines: list[Any] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(line.msg, line.task, line.error) for line in lines] == [("task_failed", "writer", "no Exception")]
    await asyncio.to_thread(writer.close)
    assert not writer.alive()


async def test_whoever_loads_hears_of_each_commit(tmp_path: Path) -> None:
    writer = Writer(Spool(tmp_path / "spool.sqlite3"), asyncio.get_running_loop())
    assert not writer.committed.is_set()
    await writer.written(event())
    assert await asyncio.to_thread(writer.committed.wait, 60)
    await asyncio.to_thread(writer.close)
