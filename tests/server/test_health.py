from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from haru.collect.collector import Counts
from haru.server import health
from haru.server.jobs import JOBS
from haru.server.node import Node
from haru.store.protocol import StoreUnavailable
from tests.server.nodes import Answer, opened


async def asked(node: Node) -> tuple[int, dict[str, Any]]:
    answer = Answer()
    await health.answer(node, answer.send)
    return answer.status, json.loads(answer.body)


async def live(*counts: Counts) -> tuple[int, str]:
    answer = Answer()
    await health.answer_live(counts, answer.send)
    return answer.status, json.loads(answer.body)["status"]


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ([Counts()], "ok"),
        ([Counts(), Counts(full=True)], "full"),
        ([Counts(full=True), Counts(refusing=True)], "refusing"),
        ([Counts(refusing=True), Counts(alive=False)], "stopped"),
    ],
)
def test_the_worst_of_all_processes_is_said(counts: list[Counts], state: str) -> None:
    assert health.spool_state(counts) == state


async def test_it_is_live_as_long_as_the_disk_takes_events() -> None:
    assert await live(Counts()) == (200, "ok")
    assert await live(Counts(), Counts(full=True)) == (200, "ok")  # the store makes room
    assert await live(Counts(), Counts(refusing=True)) == (503, "unready")
    assert await live(Counts(alive=False)) == (503, "unready")


async def test_each_part_that_does_not_answer_is_named_and_makes_it_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreUnavailable("the disk is gone: look after it")

    async with opened(tmp_path) as node:
        node.store_fault = ""
        parts = {"spool": "ok", "store": "ok", "accounts": "ok", "tasks": {"writer": "ok"}, "restarts": {}}
        assert await asked(node) == (200, {"status": "ok", **parts})
        node.store_fault = "the disk was gone"
        status = {"status": "unready", **parts}
        assert await asked(node) == (503, status | {"store": "recovering (the disk was gone)"})
        with monkeypatch.context() as patch:
            patch.setattr(node.store, "progress", away)
            assert await asked(node) == (503, status | {"store": "the disk is gone: look after it"})
        node.store_fault = ""
        node.collector.writer.refusing = True
        assert await asked(node) == (503, status | {"spool": "refusing"})
        node.collector.writer.refusing = False
        node.pages_closed = "The accounts cannot be checked."
        assert await asked(node) == (503, status | {"accounts": "The accounts cannot be checked."})
        node.accounts_up = False
        assert await asked(node) == (503, status | {"accounts": "does not answer"})


async def test_a_store_that_does_not_answer_in_time_is_one_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STORE_SECONDS", 0.0)
    async with opened(tmp_path) as node:
        node.store_fault = ""
        status, parts = await asked(node)
        assert (status, parts["store"]) == (503, "does not answer")


async def test_every_job_of_the_table_is_in_it_and_so_is_the_writer(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        node.supervisor.start(JOBS, node)
        await node.supervisor.stop()
        node.supervisor.restarts["loader"] += 2
        node.collector.writer.restarts = 3
        _, parts = await asked(node)
        assert parts["tasks"] == {**{job.name: "stopped" for job in JOBS}, "writer": "ok"}
        assert parts["restarts"] == {"loader": 2, "writer": 3}  # nothing of those that never failed
