from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from haru import settings
from haru.collect import sites
from haru.collect.sites import UNSURE, Site
from haru.demo import development
from haru.server import jobs, workers
from haru.server.jobs import JOBS
from haru.server.node import Node
from haru.settings import BadSetting
from haru.store.protocol import Folding, StoreUnavailable
from haru.web.project import setup
from tests.server.nodes import SITE, collect, opened

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_every_job_is_documented_as_it_is() -> None:
    rows = [f"| `{job.name}` | {job.every:g} s | {job.why} |" for job in JOBS]
    rows = ["| job | again after | what it does |", "|---|---|---|", *rows, "", "With"]
    assert "\n".join(rows) in DOCUMENT.read_text("utf-8"), "put these rows into docs/reliability.md"
    assert f"| `worker-1` to `worker-N` | {workers.WHY} |" in DOCUMENT.read_text("utf-8")


def test_each_job_has_a_name_of_its_own_and_says_in_a_sentence_why_it_runs() -> None:
    assert len({job.name for job in JOBS} | {"writer"}) == len(JOBS) + 1
    for job in JOBS:
        assert job.every > 0
        assert job.why[0].isupper()
        assert job.why.endswith(".")


async def load(node: Node) -> None:
    await node.on_loader(lambda: (jobs.resume(node), jobs.load_waiting(node)))


async def test_what_was_collected_is_loaded_and_everyone_who_wants_to_know_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        watcher = node.live.bus.subscribe(SITE.id)
        assert [await collect(node), await collect(node, "/a")] == [200, 200]
        await jobs.load(node)
        assert node.loaded_events == node.store.progress().last_id == 2
        assert await watcher.news(60)
        assert node.spools.depth() == 0
        assert node.store_fault == ""


async def test_a_store_that_is_away_is_named_until_it_takes_events_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    async with opened(tmp_path) as node:
        await load(node)
        await collect(node)
        with monkeypatch.context() as patch:
            patch.setattr(node.store, "load", away)
            with pytest.raises(StoreUnavailable):
                await jobs.load(node)
        assert node.store_fault == "the disk is full"
        assert node.loaded_events == 0
        node.collector.writer.committed.set()
        await jobs.load(node)
        assert node.store_fault == ""
        assert node.loaded_events == 1


async def test_what_is_watched_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Any] = []
    async with opened(tmp_path) as node:
        node.live.bus.subscribe(SITE.id)
        monkeypatch.setattr(node.reports.asking, "refresh", lambda now, sites: watched.append(sites))
        await jobs.refresh(node)
    assert watched == [[SITE.id]]


async def test_many_events_are_folded_at_once_and_few_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as node:
        await load(node)
        assert isinstance(node.store, Folding)
        for _ in range(3):
            await collect(node)
        await load(node)
        monkeypatch.setattr(jobs, "FOLD_FROM", 4)
        await jobs.fold(node)
        assert node.store.unfolded() == 3  # too few, too soon
        monkeypatch.setattr(jobs, "FOLD_FROM", 3)
        await jobs.fold(node)
        assert node.store.unfolded() == 0
        await collect(node)
        await load(node)
        await jobs.fold(node)
        assert node.store.unfolded() == 1
        node.folded_at -= jobs.FOLD_ANY
        node.store_fault = "away"
        await jobs.fold(node)
        assert node.store.unfolded() == 1  # the loader tells of it
        node.store_fault = ""
        await jobs.fold(node)
        assert node.store.unfolded() == 0


async def test_changes_of_sites_are_followed(tmp_path: Path) -> None:
    async with opened(tmp_path) as node:
        sites.write(tmp_path, [SITE, Site(id=2, domain="two.example", token="t-two")])
        assert node.collector.sites.by_token("t-two") is None
        await jobs.housekeep(node)
        assert node.collector.sites.by_token("t-two") is not None


@pytest.mark.parametrize("fault", [OperationalError("no connection"), setup.AccountsTooNew("made by a newer Haru")])
async def test_accounts_that_go_away_close_the_pages_and_tell_collect_until_they_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    calls: list[str] = []
    down = False

    def use(node: Node) -> None:
        calls.append("check" if node.accounts_prepared else "prepare")
        if down:
            raise fault
        node.pages_closed = ""

    monkeypatch.setattr(jobs, "_use_accounts", use)
    async with opened(tmp_path) as node:
        await jobs.look_after_accounts(node)
        await jobs.look_after_accounts(node)
        assert (node.accounts_up, node.pages_closed) == (True, "")
        assert not (tmp_path / UNSURE).exists()
        down = True
        await jobs.look_after_accounts(node)
        await jobs.look_after_accounts(node)
        assert (node.accounts_up, node.pages_closed) == (False, jobs.NOT_CHECKED)
        assert (tmp_path / UNSURE).exists()  # so a token that nobody knows is told to come again
        assert node.supervisor.restarts == {"accounts": 1}  # once an outage
        down = False
        await jobs.look_after_accounts(node)
        await jobs.look_after_accounts(node)
        assert (node.accounts_up, node.pages_closed) == (True, "")
        assert not (tmp_path / UNSURE).exists()
    # After an outage the tables may be other ones, as from a backup.
    assert calls == ["prepare", "check", "check", "prepare", "prepare", "check"]
    told = [record.msg for record in caplog.records if record.msg.startswith("accounts_")]
    assert told == ["accounts_unavailable"]


async def test_in_development_pages_stay_open_while_the_accounts_are_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(node: Node) -> None:
        raise OperationalError("no connection")

    monkeypatch.setattr(jobs, "_use_accounts", use)
    async with opened(tmp_path) as node:
        node.development = True
        await jobs.look_after_accounts(node)
        assert (node.accounts_up, node.pages_closed) == (False, "")


@pytest.mark.django_db
def test_pages_open_when_the_known_password_does_not_work_and_sessions_go_each_day(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haru.accounts import registry

    async def made() -> Node:
        return Node(settings.current())

    def works() -> None:
        raise BadSetting("the password that the README tells everyone works")

    forgotten: list[int] = []
    monkeypatch.setattr(registry, "forget_old_sessions", lambda: forgotten.append(node.sessions_day))
    used: list[str] = []
    # The second would close the connection of this test.
    monkeypatch.setattr(setup, "prepare", lambda: used.append("prepare"))
    monkeypatch.setattr(setup, "check", lambda: used.append("check"))
    node = asyncio.run(made())
    assert node.pages_closed == jobs.NOT_CHECKED
    with monkeypatch.context() as patch:
        patch.setattr(development, "refuse_known_password", works)
        jobs._use_accounts(node)
    node.accounts_prepared = True
    assert node.pages_closed == "the password that the README tells everyone works"
    jobs._use_accounts(node)
    assert node.pages_closed == ""
    assert forgotten == [-1]  # once
    node.sessions_day -= 1
    jobs._use_accounts(node)
    assert len(forgotten) == 2
    assert used == ["prepare", "check", "check"]
    asyncio.run(node.stop())
