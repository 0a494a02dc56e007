from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from haru.clock import DAY_MS
from haru.collect import collector as collector_module
from haru.collect import sites
from haru.collect.collector import Collector, Counts
from haru.collect.formats import haru
from haru.collect.formats.format import Answer
from haru.collect.ratelimit_storage import shared_storage
from haru.collect.sites import Site
from haru.settings import Settings, read
from haru.spool.spool import Spool
from tests.server import FIREFOX

SITE = Site(id=1, domain="example.com", token="t-one")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read({"HARU_DATA_DIR": str(tmp_path), "HARU_RATE_LIMIT": "3"})


def ask(collector: Collector, done: Callable[[Answer], None], body: bytes = b'{"p":"/"}') -> None:
    headers = [(b"authorization", b"Bearer t-one"), (b"user-agent", FIREFOX.encode())]
    collector.endpoint.take(haru, "POST", b"", headers, "203.0.113.9", body, done)


async def answer(collector: Collector, body: bytes = b'{"p":"/"}') -> int:
    """The status that a request is answered with."""
    answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    ask(collector, answered.set_result, body)
    return (await answered).status


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_folder_without_anything_is_enough_to_open_and_the_sites_are_followed(
    settings: Settings, tmp_path: Path
) -> None:
    collector = Collector(settings)
    assert await answer(collector) == 503  # the list of sites was not written yet
    sites.write(tmp_path, [SITE])
    await collector.housekeep()
    assert await answer(collector) == 200
    await collector.close()
    assert files(tmp_path) == {"salts.json", "salts.lock", "sites.json", "spool.sqlite3"}


async def test_it_counts_what_it_did_and_the_counts_cross_processes(settings: Settings, tmp_path: Path) -> None:
    sites.write(tmp_path, [SITE])
    collector = Collector(settings)
    assert (collector.counts().answers, collector.counts().accepted) == ({}, 0)
    assert [await answer(collector, body) for body in (b'{"p":"/"}', b"{", b'{"p":"/"}', b'{"p":"/"}')] == [
        200,
        400,
        200,
        429,
    ]
    counts = collector.counts()
    assert (counts.answers, counts.refusals) == ({200: 2, 400: 1, 429: 1}, {"invalid": 1, "rate_limited": 1})
    assert (counts.accepted, counts.commits, counts.waiting, counts.restarts) == (2, 2, 0, 0)
    assert (counts.alive, counts.refusing, counts.full) == (True, False, False)
    assert (sum(counts.seconds[0]), sum(counts.batch_events[0])) == (4, 2)
    assert msgspec.json.decode(msgspec.json.encode(counts), type=Counts) == counts
    await collector.close()
    assert not collector.counts().alive


async def test_each_of_several_has_a_spool_of_its_own_and_they_share_the_limit(
    settings: Settings, tmp_path: Path
) -> None:
    sites.write(tmp_path, [SITE])
    table = shared_storage()
    one, two = Collector(settings, 1, table), Collector(settings, 2, table)
    statuses = [await answer(each) for each in (one, two, one, two)]
    assert statuses == [200, 200, 200, 429]
    await one.close()
    await two.close()
    assert [Spool(tmp_path / f"spool-{number}.sqlite3").depth() for number in (1, 2)] == [2, 1]


async def test_closing_writes_what_waits(settings: Settings, tmp_path: Path) -> None:
    sites.write(tmp_path, [SITE])
    collector = Collector(settings)
    statuses: list[int] = []
    for _ in range(3):
        ask(collector, lambda answer: statuses.append(answer.status))
    assert statuses == []
    await collector.close()
    await asyncio.sleep(0)
    assert statuses == [200] * 3
    assert Spool(tmp_path / "spool.sqlite3").depth() == 3


async def test_salts_go_on_their_days_though_nobody_comes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector(settings)
    before = (tmp_path / "salts.json").read_bytes()
    later = collector_module.now_ms() + 2 * DAY_MS
    monkeypatch.setattr(collector_module, "now_ms", lambda: later)
    await collector.housekeep()
    kept = msgspec.json.decode((tmp_path / "salts.json").read_bytes(), type=dict[int, bytes])
    assert list(kept) == [later // DAY_MS]
    assert not set(kept) & set(msgspec.json.decode(before, type=dict[int, bytes]))
    await collector.close()
