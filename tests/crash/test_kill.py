"""What was answered is there after a kill, once. Real processes, real signals."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import column, select, table

from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spools
from haru.store.duckdb.store import DuckStore
from haru.store.loader import Loader
from tests.rounds import long, rounds
from tests.server import FIREFOX, Server

pytestmark = pytest.mark.crash


async def load(server: Server, token: str, name: str, kill_after: int) -> list[str]:
    """Send pageviews from many connections, kill the server in the midst; the paths that were answered with 200."""
    answered: list[str] = []
    killed = asyncio.Event()
    limits = httpx.Limits(max_connections=32)
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=5) as client:

        async def sender(number: int) -> None:
            count = 0
            while not killed.is_set():
                path = f"/{name}/{number}/{count}"
                count += 1
                try:
                    answer = await client.post(f"{server.url}/api/collect", json={"p": path})
                except httpx.TransportError:
                    continue
                if answer.status_code == 200 and "x-haru-dropped" not in answer.headers:
                    answered.append(path)

        async def killer() -> None:
            while len(answered) < kill_after:  # noqa: ASYNC110  # the senders tell by what they append
                await asyncio.sleep(0)
            server.kill()
            killed.set()

        await asyncio.gather(killer(), *(sender(number) for number in range(32)))
    return answered


def stored_paths(data_dir: Path) -> Counter[str]:
    """Every path that rests in the store or still waits in the spool, as the next start would find it."""
    store = DuckStore(data_dir / "events.duckdb")
    spools = Spools(data_dir)
    for _ in Loader(spools, store, IdempotencyKeys(data_dir)).drain(int(time.time() * 1000)):
        pass
    paths = Counter(path for (path,) in store.fetch(select(column("path")).select_from(table("event"))))
    store.close()
    spools.close()
    return paths


@long
async def test_every_answered_event_is_there_once_after_kills_under_load(tmp_path: Path) -> None:
    answered: list[str] = []
    kills = (150, 700, 1500)[: rounds(2, 3)]
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        for turn, kill_after in enumerate(kills):
            await asyncio.to_thread(server.start)
            answered += await load(server, token, f"turn-{turn}", kill_after)
        server.start()
        assert server.collect(token, "/after").status_code == 200
        answered.append("/after")
        assert server.stop() == 0
    paths = stored_paths(tmp_path / "data")
    assert len(answered) >= sum(kills)
    assert [path for path in answered if path not in paths] == []
    assert [path for path, count in paths.items() if count > 1] == []


def test_ctrl_c_ends_the_server_in_order_and_all_is_there_at_the_next_start(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        for number in range(20):
            assert server.collect(token, f"/{number}").status_code == 200
        assert server.stop() == 0
        assert not (tmp_path / "data" / "control.sock").exists()
        server.start()
        assert httpx.get(f"{server.url}/health").json()["status"] == "ok"
        assert server.stop() == 0
    assert stored_paths(tmp_path / "data") == Counter(f"/{number}" for number in range(20))


def test_a_server_that_starts_on_a_folder_in_use_says_so_and_harms_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        second = Server(tmp_path / "data")
        with pytest.raises(AssertionError, match="Another Haru server runs on"):
            second.start()
        assert server.collect(token).status_code == 200
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert server.haru("check").returncode == 0  # the control socket is still the first server's
        assert server.stop() == 0
