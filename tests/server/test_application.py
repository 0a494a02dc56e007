from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from haru import settings
from haru.collect import sites
from haru.files import FileUnusable
from haru.server import jobs, proxy, serving
from haru.server.application import Application, FolderInUse, lock_folder
from haru.server.serving import Tracker
from haru.web.project import services
from tests.server import FIREFOX
from tests.server.nodes import SITE, Answer, ask


@pytest.fixture(autouse=True)
def nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """No jobs, and the memory of the tests stays as it is."""
    monkeypatch.setattr(jobs, "JOBS", ())
    monkeypatch.setattr(serving, "settle_memory", lambda: None)


class Lifespan:
    """A server's side of the protocol by which an application starts and ends."""

    def __init__(self, application: Application) -> None:
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task = asyncio.create_task(application({"type": "lifespan"}, self._told.get, self._heard.put))

    async def tell(self, what: str) -> dict[str, Any]:
        """What the application answers to startup or shutdown."""
        await self._told.put({"type": f"lifespan.{what}"})
        return await asyncio.wait_for(self._heard.get(), 60)


def read(folder: Path) -> settings.Settings:
    sites.write(folder, [SITE])
    return settings.read({"HARU_DATA_DIR": str(folder)})


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    """One that runs, and whose pages are closed until the accounts were checked."""
    application = Application(read(tmp_path))
    lifespan = Lifespan(application)
    assert (await lifespan.tell("startup"))["type"] == "lifespan.startup.complete"
    yield application
    assert (await lifespan.tell("shutdown"))["type"] == "lifespan.shutdown.complete"
    assert not services.is_set()


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    with lock_folder(tmp_path), pytest.raises(FolderInUse, match=r"stop it, or give this one .* HARU_DATA_DIR"):
        lock_folder(tmp_path)
    lock_folder(tmp_path).close()


async def test_each_address_leads_to_its_part(application: Application) -> None:
    assert application.node is not None
    assert application.endpoint() is application.node.collector.endpoint
    headers = {"authorization": f"Bearer {SITE.token}", "user-agent": FIREFOX}
    assert (await ask(application, "/api/collect", method="POST", headers=headers, body=b'{"p": "/"}')).status == 200
    assert application.node.collector.endpoint.accepted == 1
    assert json.loads((await ask(application, "/health/live")).body) == {"status": "ok"}
    health = await ask(application, "/health")
    assert health.status == 503
    assert json.loads(health.body)["accounts"] == jobs.NOT_CHECKED
    assert (await ask(application, "/metrics")).status == 404
    assert b"haru_" in (await ask(application, "/metrics", client=("127.0.0.1", 1))).body
    assert (await ask(application, Tracker.PATH)).headers[b"content-type"].startswith(b"text/")


@pytest.mark.parametrize(
    "path", ["/sites/example.com/live", "/share/abc/live", "/sites", "/account/login/", "/nowhere"]
)
async def test_pages_and_live_streams_are_shut_until_the_accounts_were_checked(
    application: Application, path: str
) -> None:
    answer = await ask(application, path, headers={"host": "localhost"})
    assert answer.status == 503
    assert b"Visits are being counted" in answer.body


async def test_a_worker_says_who_asked_and_nobody_else_does(application: Application) -> None:
    unix, here, elsewhere = ("/data/pages.sock", None), "127.0.0.1", "203.0.113.9"
    name = proxy.PEER.decode()
    assert (await ask(application, "/metrics", server=unix, client=None, headers={name: here})).status == 200
    assert (await ask(application, "/metrics", server=unix, client=None, headers={name: elsewhere})).status == 404
    assert (await ask(application, "/metrics", server=unix, client=None)).status == 404
    assert (await ask(application, "/metrics", client=(elsewhere, 1), headers={name: here})).status == 404


async def test_a_server_that_is_asked_to_stop_tells_the_streams(application: Application) -> None:
    assert application.node is not None
    assert not application.node.closing.is_set()
    application.closing()
    assert application.node.closing.is_set()


async def test_a_start_that_fails_says_why_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "control.sock").mkdir()
    application = Application(read(tmp_path))
    told = await Lifespan(application).tell("startup")
    assert told["type"] == "lifespan.startup.failed"
    assert "control.sock cannot be used" in told["message"]
    assert isinstance(application.failure, FileUnusable)
    assert application.node is None
    assert application.endpoint() is None
    assert not services.is_set()
    answer = Answer()
    await application({"type": "http", "path": "/health"}, asyncio.Event().wait, answer.send)  # type: ignore[arg-type]
    assert answer.status == 0  # nobody is there to answer
