from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from haru.collect.collector import Counts
from haru.server import supervisor, workers
from haru.server.supervisor import Supervisor
from haru.server.workers import Workers
from tests.server import ROOT, free_port
from tests.server.nodes import until


def test_without_processes_there_are_no_jobs() -> None:
    assert Workers(0).jobs() == []
    assert Workers(0).counts() == []


def test_each_process_has_a_job_of_its_own_name() -> None:
    assert [(job.name, job.why) for job in Workers(2).jobs()] == [("worker-1", workers.WHY), ("worker-2", workers.WHY)]


def test_counts_of_a_process_that_ended_are_kept_and_its_moments_are_not() -> None:
    def counted() -> Counts:
        return Counts(
            answers={200: 2}, refusals={"bot": 1}, accepted=2, commits=1, waiting=3, refusing=True, full=True,
            alive=False, restarts=1, seconds=([1, 2], 0.5), commit_seconds=([1], 0.1), batch_events=([2], 2.0),
        )  # fmt: skip

    once = workers._sum(None, counted())
    assert (once.waiting, once.refusing, once.full, once.alive) == (0, False, False, True)
    twice = workers._sum(once, counted())
    assert twice == Counts(
        answers={200: 4}, refusals={"bot": 2}, accepted=4, commits=2, restarts=2,
        seconds=([2, 4], 1.0), commit_seconds=([2], 0.2), batch_events=([4], 4.0),
    )  # fmt: skip


async def test_a_process_that_dies_is_counted_and_started_again_and_ends_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF", 0.001)
    for name, value in (("DATA_DIR", tmp_path), ("PORT", free_port())):
        monkeypatch.setenv(f"HARU_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    caplog.set_level(logging.INFO, logger=workers.__name__)

    def pids() -> list[int]:
        started: list[Any] = [record for record in caplog.records if record.msg == "worker_started"]
        return [record.pid for record in started]

    own, running = Workers(1), Supervisor()
    running.start(own.jobs(), own)
    await until(lambda: 1 in own.latest)
    os.kill(pids()[0], signal.SIGKILL)
    await until(lambda: len(pids()) == 2 and 1 in own.latest)
    assert running.restarts == {"worker-1": 1}
    (failed,) = [record for record in caplog.records if record.msg == "task_failed"]
    assert "exit code -9" in vars(failed)["error"]
    assert len(own.counts()) == 2  # of the one that runs, and of the one before it
    second = psutil.Process(pids()[1])
    await running.stop()
    assert await asyncio.to_thread(psutil.wait_procs, [second], 60) == ([second], [])
    assert own.latest == {}
