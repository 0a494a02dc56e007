from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from haru.live import Live
from haru.sites import registry
from haru.web.dashboard import stream
from haru.web.dashboard.stream import Stream

NOW = 1_767_268_800.0


def cookie_of(browser: Client) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())


class Watcher:
    """One connection to the stream, driven as a server drives it."""

    def __init__(self, live: Live, cookie: str, host: str = "localhost", domain: str = "example.com") -> None:
        self.now = NOW
        self.closing = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": f"/sites/{domain}/live",
            "headers": [(b"host", host.encode()), (b"cookie", cookie.encode())],
        }
        self.stream = Stream(live, self.closing, clock=lambda: self.now)

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.stream(self.scope, self.receive, self.send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("who", "status"), [("owner", 200), ("team_mate", 200), ("stranger", 404), (None, 404)], ids=str
)
def test_only_those_who_may_see_the_site_may_watch_it(site, owner, team_mate, stranger, sign_in, who, status) -> None:
    person = {"owner": owner, "team_mate": team_mate, "stranger": stranger, None: None}[who]
    cookie = cookie_of(sign_in(person))

    async def watch() -> None:
        watcher = Watcher(Live(), cookie)
        task = watcher.run()
        await watcher.until(lambda: len(watcher.sent) > 1)
        watcher.gone.set()
        await task
        assert watcher.status == status
        assert ("event: tick" in watcher.text) is (status == 200)

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_an_unknown_host_or_site_is_refused(site, owner, sign_in) -> None:
    cookie = cookie_of(sign_in(owner))

    async def watch() -> None:
        for watcher, status in (
            (Watcher(Live(), cookie, host="evil.example"), 400),
            (Watcher(Live(), cookie, domain="missing.example"), 404),
            (Watcher(Live(), "rubbish; =;;"), 404),
        ):
            await watcher.run()
            assert watcher.status == status

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_news_make_a_tick_at_most_once_a_second_and_losing_access_ends_the_stream(
    site, owner, team_mate, sign_in, monkeypatch
) -> None:
    cookie = cookie_of(sign_in(team_mate))
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds == stream.TICK_SECONDS:
            pauses.append(seconds)
            seconds = 0
        await real(seconds)

    monkeypatch.setattr(stream.asyncio, "sleep", sleep)

    async def watch() -> None:
        live = Live()
        watcher = Watcher(live, cookie)
        task = watcher.run()
        await watcher.until(lambda: watcher.text.count("event: tick") == 1)
        live.visitors.seen([(site.pk, 7, int(NOW * 1000))], int(NOW * 1000))
        for _ in range(50):
            live.bus.publish(site.pk)
        await watcher.until(lambda: watcher.text.count("event: tick") >= 2)
        assert '"current":1' in watcher.text
        assert len(pauses) >= watcher.text.count("event: tick") - 1
        await asyncio.to_thread(registry.remove_person, site, team_mate.pk)
        watcher.now += stream.CHECK_SECONDS
        live.bus.publish(site.pk)
        async with asyncio.timeout(5):
            await task
        assert "event: gone" in watcher.text
        assert live.bus.watchers() == 0

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_the_server_that_stops_lets_its_watchers_go(site, owner, sign_in) -> None:
    cookie = cookie_of(sign_in(owner))

    async def watch() -> None:
        live = Live()
        watcher = Watcher(live, cookie)
        task = watcher.run()
        await watcher.until(lambda: live.bus.watchers() == 1)
        watcher.closing.set()
        async with asyncio.timeout(5):
            await task
        assert live.bus.watchers() == 0

    asyncio.run(watch())
