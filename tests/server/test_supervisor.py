from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from haru.server import supervisor
from haru.server.supervisor import Job, Supervisor
from haru.store.protocol import StoreUnavailable


class Context:
    """What the jobs of a test work on."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.going_on = threading.Event()  # what is slow waits for it
        self.cancelled: list[str] = []


async def often(context: Context) -> None:
    context.calls.append("often")


async def fails_once(context: Context) -> None:
    context.calls.append("fails once")
    if context.calls.count("fails once") == 1:
        raise ValueError("the first time")


async def fails(context: Context) -> None:
    context.calls.append("fails")
    raise StoreUnavailable("the store is away")


async def slow(context: Context) -> None:
    """It blocks, so it does so in a thread."""
    context.calls.append("slow")
    await asyncio.to_thread(context.going_on.wait, 60)


async def waits(context: Context) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)  # it needs a moment to end in order
        context.cancelled.append("waits")


def job(function: Callable[[Context], Any], every: float = 0.001) -> Job[Context]:
    return Job(function.__name__, function, every, "For a test.")


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF", 0.001)
    running = Supervisor()
    yield running
    await running.stop()


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What the supervisor said; the values of a line are among its attributes."""
    return [record for record in caplog.records if record.name == supervisor.__name__]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # of a counter nobody tells
            await asyncio.sleep(0.001)


async def test_a_job_is_called_again_after_its_pause_and_another_pause_is_another_matter(running: Supervisor) -> None:
    context = Context()
    running.start([job(often), job(slow, every=3600)], context)
    context.going_on.set()
    await until(lambda: context.calls.count("often") > 10 and "slow" in context.calls)
    assert context.calls.count("slow") == 1
    assert running.states() == {"often": "ok", "slow": "ok"}
    assert not running.restarts


async def test_a_job_that_fails_is_logged_and_counted_and_goes_on(
    running: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context()
    running.start([job(fails_once)], context)
    await until(lambda: context.calls.count("fails once") > 3)
    assert running.restarts == {"fails_once": 1}
    assert running.states() == {"fails_once": "ok"}
    (line,) = lines(caplog)
    assert (line.msg, line.task, line.error) == ("task_failed", "fails_once", "the first time")
    assert line.exc_info[0] is ValueError  # nobody knows it: its traceback is of use


async def test_a_job_that_fails_again_and_again_is_tried_later_each_time_up_to_a_limit(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "MAX_BACKOFF", 0.004)
    context = Context()
    running.start([job(fails)], context)
    await until(lambda: len(lines(caplog)) >= 5)
    assert [line.restart_in for line in lines(caplog)[:5]] == [0.001, 0.002, 0.004, 0.004, 0.004]
    assert lines(caplog)[0].exc_info is None  # the sentence says all


def test_the_limit_is_the_one_of_the_docs() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "reliability.md").read_text().split())
    assert f"then after twice as long each time, {supervisor.MAX_BACKOFF:g} s at most" in text
    assert supervisor.MAX_BACKOFF <= 15  # a store that comes back is in use soon


async def test_a_job_that_went_well_for_long_begins_with_the_first_pause_again(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "MAX_BACKOFF", 0.0)  # any time at all is long
    context = Context()
    running.start([job(fails)], context)
    await until(lambda: len(lines(caplog)) >= 3)
    assert {line.restart_in for line in lines(caplog)[:3]} == {0.001}


async def test_a_slow_job_and_one_that_fails_hold_up_no_other(running: Supervisor) -> None:
    context = Context()
    running.start([job(slow), job(fails), job(often)], context)
    try:
        await until(lambda: context.calls.count("often") > 10 and running.restarts["fails"] > 1)
        assert context.calls.count("slow") == 1
        assert running.states()["slow"] == "ok"
    finally:
        context.going_on.set()


async def test_at_the_end_every_job_is_cancelled_and_waited_for(running: Supervisor) -> None:
    context = Context()
    running.start([job(waits), job(often), job(fails)], context)
    await until(lambda: "often" in context.calls)
    await running.stop()
    assert context.cancelled == ["waits"]
    calls = len(context.calls)
    await asyncio.sleep(0.02)
    assert len(context.calls) == calls
    assert running.states() == dict.fromkeys(["waits", "often", "fails"], "stopped")


async def test_two_tables_run_side_by_side_each_with_its_own_context(running: Supervisor) -> None:
    one, other = Context(), Context()
    running.start([job(often)], one)
    running.start([job(fails_once)], other)
    await until(lambda: bool(one.calls) and len(other.calls) > 1)
    assert set(running.states()) == {"often", "fails_once"}
    assert set(one.calls) == {"often"}
    assert set(other.calls) == {"fails once"}
