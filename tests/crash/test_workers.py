"""Several collect processes on one data folder."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from tests.crash.test_faults import finish, stored, until
from tests.server import FIREFOX, Server

pytestmark = pytest.mark.crash


def workers(server: Server) -> list[psutil.Process]:
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "haru.server.worker" in process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return False


async def send(server: Server, token: str, paths: list[str]) -> Counter[int]:
    """Each over a connection of its own, so that they spread over the processes."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX, "Connection": "close"}
    async with httpx.AsyncClient(headers=headers, timeout=60, limits=httpx.Limits(max_connections=16)) as client:

        async def one(path: str) -> int:
            return (await client.post(f"{server.url}/api/collect", json={"p": path})).status_code

        return Counter(await asyncio.gather(*map(one, paths)))


def test_two_processes_collect_and_one_serves_the_pages(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start("--workers", "2")
        assert len(workers(server)) == 2
        paths = [f"/{number}" for number in range(300)]
        assert asyncio.run(send(server, token, paths)) == {200: 300}
        assert {p.name for p in server.data_dir.glob("spool*.sqlite3")} >= {"spool-1.sqlite3", "spool-2.sqlite3"}
        login = httpx.get(f"{server.url}/account/login/")
        assert login.status_code == 200
        assert "csrfmiddlewaretoken" in login.text
        assert httpx.get(f"{server.url}/js/haru.js").status_code == 200
        finish(server, paths)
        assert list(server.data_dir.glob("*.sock")) == []


def test_a_process_has_no_address_of_the_store_and_loads_no_driver_to_check_it(tmp_path: Path) -> None:
    nobody = "postgresql://haru:secret@127.0.0.1:1/haru"
    with Server(tmp_path / "data", HARU_EVENTS_URL=nobody) as server:
        server.start("--workers", "1", ready="/health/live")
        until(lambda: len(workers(server)) == 1, "it runs")
        (worker,) = workers(server)
        until(lambda: any("httptools" in each.path for each in worker.memory_maps()), "it has read its settings")
        assert not [each.path for each in worker.memory_maps() if "psycopg" in each.path]
        assert not worker.environ()["HARU_EVENTS_URL"]


def test_the_rate_limit_holds_over_all_processes(tmp_path: Path) -> None:
    with Server(tmp_path / "data", HARU_RATE_LIMIT="100") as server:
        token = server.add_site()
        server.start("--workers", "2")
        began = time.time()
        answers = asyncio.run(send(server, token, [f"/{number}" for number in range(400)]))
        # A minute that begins meanwhile lets as many more in as its share that has passed.
        more = 100 * (time.time() - began) / 60 if time.time() // 60 > began // 60 else 0
        assert 90 <= answers[200] <= 110 + more
        assert answers[200] + answers[429] == 400
        server.call("load")
        assert server.stop() == 0
    assert sum(stored(server.data_dir).values()) == answers[200]


def test_a_process_that_dies_is_started_again_and_what_it_answered_counts(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start("--workers", "2")
        before = [f"/before/{number}" for number in range(100)]
        assert asyncio.run(send(server, token, before)) == {200: 100}
        first = {each.pid for each in workers(server)}
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len({each.pid for each in workers(server)} - first) == 2, "both are started again")

        def counts() -> bool:
            try:
                return server.collect(token, "/probe").status_code == 200
            except httpx.TransportError:
                return False

        until(counts, "they answer again")
        found = httpx.get(f"{server.url}/health").json()
        assert found["restarts"] == {"worker-1": 1, "worker-2": 1}
        figures = httpx.get(f"{server.url}/metrics").text
        assert 'haru_task_restarts_total{task="worker-1"} 1.0' in figures
        finish(server, [*before, "/probe"])


def test_when_the_server_is_killed_its_processes_end_and_the_next_takes_up_their_events(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start("--workers", "2")
        paths = [f"/{number}" for number in range(200)]
        assert asyncio.run(send(server, token, paths)) == {200: 200}
        orphans = workers(server)
        server.kill()
        _, alive = psutil.wait_procs(orphans, timeout=20)
        assert alive == []
        server.start()  # without workers: their spools are read all the same
        finish(server, paths)
