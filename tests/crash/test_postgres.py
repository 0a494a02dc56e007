"""A server whose events rest in PostgreSQL: what happens when either of them stops or is killed under load."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.crash.test_faults import health, is_well, until
from tests.crash.test_kill import load as load_and_kill
from tests.postgres import Cluster, cluster
from tests.rounds import long, rounds
from tests.server import FIREFOX, Server

pytestmark = pytest.mark.crash


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A PostgreSQL server that this test may stop and kill."""
    with cluster() as made:
        yield made


def stored(database: str) -> Counter[str]:
    with psycopg.connect(database) as connection:
        return Counter(path for (path,) in connection.execute("SELECT path FROM haru_events.event").fetchall())


@asynccontextmanager
async def sending(server: Server, token: str, answers: list[tuple[str, int]]) -> AsyncIterator[None]:
    """Pageviews over some connections while the block runs; each path with the status of its answer."""
    over = asyncio.Event()
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}

    async def sender(client: httpx.AsyncClient, number: int) -> None:
        count = 0
        while not over.is_set():
            path = f"/{len(answers)}/{number}/{count}"
            count += 1
            answer = await client.post(f"{server.url}/api/collect", json={"p": path})
            answers.append((path, answer.status_code))
            await asyncio.sleep(0.01)

    async with httpx.AsyncClient(headers=headers, timeout=20) as client:
        senders = [asyncio.create_task(sender(client, number)) for number in range(8)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*senders)


async def more(answers: list[tuple[str, int]], count: int) -> None:
    """Wait for so many further answers."""
    target = len(answers) + count
    async with asyncio.timeout(60):
        while len(answers) < target:  # noqa: ASYNC110  # the senders tell by what they append
            await asyncio.sleep(0.01)


def finish(server: Server, database: str, answers: list[tuple[str, int]]) -> None:
    until(lambda: is_well(server), "it takes the store up by itself")
    server.call("load")
    assert server.stop() == 0
    assert {status for _, status in answers} == {200}
    assert stored(database) == Counter(path for path, _ in answers)


@long
@pytest.mark.parametrize("end", [Cluster.stop, Cluster.kill], ids=["stopped", "killed"])
async def test_postgresql_that_goes_under_load_costs_no_answer_and_no_event(
    tmp_path: Path, own: Cluster, end: Callable[[Cluster], None]
) -> None:
    database = own.database()
    answers: list[tuple[str, int]] = []
    with Server(tmp_path / "data", HARU_EVENTS_URL=database) as server:
        token = server.add_site()
        server.start()
        async with sending(server, token, answers):
            for _ in range(rounds(1, 2)):
                await more(answers, 300)
                await asyncio.to_thread(end, own)
                gone = time.monotonic()
                await asyncio.to_thread(until, lambda: not is_well(server), "health says so")
                found = await asyncio.to_thread(health, server)
                assert found["spool"] == found["accounts"] == "ok"
                await asyncio.to_thread(
                    until, lambda: "see that PostgreSQL runs" in str(health(server)["store"]), "it says what to do"
                )
                while time.monotonic() < gone + 4:  # as long as a restart of the machine's service
                    await more(answers, 50)
                await asyncio.to_thread(own.start)
                await asyncio.to_thread(until, lambda: is_well(server), "it is well again")
        await asyncio.to_thread(finish, server, database, answers)
    assert len(answers) > 300


@long
async def test_every_answered_event_is_there_once_after_kills_of_haru(tmp_path: Path, own: Cluster) -> None:
    database = own.database()
    kills = (150, 500, 900)[: rounds(2, 3)]
    answered: list[str] = []
    with Server(tmp_path / "data", HARU_EVENTS_URL=database) as server:
        token = server.add_site()
        for turn, kill_after in enumerate(kills):
            await asyncio.to_thread(server.start)
            answered += await load_and_kill(server, token, f"turn-{turn}", kill_after)
        server.start()
        server.call("load")
        assert server.stop() == 0
    paths = stored(database)
    assert len(answered) >= sum(kills)
    assert [path for path in answered if path not in paths] == []
    assert [path for path, count in paths.items() if count > 1] == []


def test_a_start_without_postgresql_collects_and_takes_it_up_later(tmp_path: Path, own: Cluster) -> None:
    database = own.database()
    with Server(tmp_path / "data", HARU_EVENTS_URL=database) as server:
        token = server.add_site()
        own.stop()
        server.start(ready="/health/live")
        for number in range(20):
            assert server.collect(token, f"/{number}").status_code == 200
        assert "see that PostgreSQL runs" in str(health(server)["store"])
        own.start()
        until(lambda: is_well(server), "it takes the store up by itself")
        server.call("load")
        assert server.stop() == 0
    assert stored(database) == Counter(f"/{number}" for number in range(20))


def test_accounts_and_events_in_one_postgresql_that_stops(tmp_path: Path, own: Cluster) -> None:
    database = own.database()
    with Server(tmp_path / "data", HARU_EVENTS_URL=database, HARU_DATABASE_URL=database) as server:
        token = server.add_site()
        server.start()
        assert server.collect(token, "/before").status_code == 200
        own.stop()
        until(lambda: health(server)["accounts"] != "ok", "it sees that the accounts are gone")
        assert server.collect(token, "/meanwhile").status_code == 200
        cookies = {"haru_session": "a" * 32}
        assert httpx.get(f"{server.url}/sites/example.com", cookies=cookies, timeout=20).status_code == 503
        own.start()
        until(lambda: is_well(server), "all comes back by itself")
        assert httpx.get(f"{server.url}/sites/example.com", cookies=cookies, timeout=20).status_code == 302
        assert server.collect(token, "/after").status_code == 200
        server.call("load")
        assert server.stop() == 0
    assert stored(database) == Counter(["/before", "/meanwhile", "/after"])
