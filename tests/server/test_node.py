from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haru.server import jobs, node
from haru.server.control import Client
from haru.server.node import Node
from haru.server.supervisor import Job
from haru.store.protocol import StoreHeld, StoreUnavailable
from haru.web.project import services
from tests.server.nodes import collect, made, opened, until


@pytest.fixture(autouse=True)
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node does by itself is tried in test_jobs.py."""
    monkeypatch.setattr(jobs, "JOBS", ())


async def asked(opened: Node, name: str, **arguments: Any) -> Any:
    return await asyncio.to_thread(lambda: Client(opened.settings.data_dir).call(name, **arguments))


async def test_while_it_runs_commands_and_pages_reach_it_and_its_jobs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Node] = []

    async def own(opened: Node) -> None:
        given.append(opened)

    monkeypatch.setattr(jobs, "JOBS", (Job("own", own, 0.001, "For this test."),))
    async with opened(tmp_path) as running:
        await running.start()
        assert services.get().reports is running.reports
        assert (await asked(running, "status"))["position"] == 0
        await until(lambda: len(given) > 1)
        assert given[0] is running
        assert running.supervisor.states() == {"own": "ok"}
    assert running.supervisor.states() == {"own": "stopped"}
    assert not services.is_set()
    assert not await asyncio.to_thread(Client(tmp_path).is_up)


async def test_what_waits_in_the_spool_at_the_end_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await first.start()
        assert [await collect(first), await collect(first, "/a")] == [200, 200]
        assert first.store.progress().last_id == 0
    async with opened(tmp_path) as second:
        await second.start()
        assert await asked(second, "load") == 2
        assert second.loaded_events == 2
        assert second.store.sites() == {1}


async def test_it_closes_in_order_so_that_nothing_is_asked_of_what_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    def noted(owner: Any, name: str, what: str) -> None:
        closes: Callable[..., Any] = getattr(owner, name)

        def close(*arguments: Any, **named: Any) -> Any:
            closed.append(what)
            return closes(*arguments, **named)

        monkeypatch.setattr(owner, name, close)

    running = made(tmp_path)
    await running.start()
    parts = (running.supervisor, "stop"), (running.collector, "close"), (running.loading, "shutdown")
    for owner, name in (*parts, (running.store, "close"), (running.spools, "close")):
        noted(owner, name, f"{type(owner).__name__}.{name}")
    await running.stop()
    assert closed == [
        "Supervisor.stop",
        "Collector.close",
        "ThreadPoolExecutor.shutdown",
        "DuckStore.close",
        "Spools.close",
    ]
    assert running.closing.is_set()


async def test_a_store_that_is_away_keeps_it_from_nothing_but_loading(tmp_path: Path) -> None:
    (tmp_path / "events.duckdb").write_bytes(b"no database" * 1_000)
    async with opened(tmp_path) as running:
        await running.start()
        assert "events.duckdb" in running.store_fault
        assert await collect(running) == 200


async def test_a_store_that_another_server_loads_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(opened: Node) -> None:
        raise StoreHeld("another server loads this store")

    async with opened(tmp_path) as running:
        monkeypatch.setattr(node.jobs, "resume", held)
        with pytest.raises(StoreHeld):
            await running.start()


async def test_whoever_was_here_before_a_restart_is_here_still(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        await first.start()
        await collect(first)
        await asked(first, "load")
    async with opened(tmp_path) as second:
        await second.start()
        assert second.live.visitors.count(1, int(time.time() * 1000)) == 1


async def test_events_of_a_site_go_and_what_fails_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(site_id: int) -> None:
        raise StoreUnavailable("the store is away")

    async with opened(tmp_path) as running:
        await running.start()
        await collect(running)
        await asked(running, "load")
        running.sites_looked_at = True
        with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
            patch.setattr(running.store, "delete_site", away)
            await asyncio.to_thread(running.delete_events, 1)
        assert not running.sites_looked_at
        assert running.store.sites() == {1}
        await asked(running, "delete_site", site_id=1)
        assert running.store.sites() == set()
