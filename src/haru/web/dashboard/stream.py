"""The live stream of a site: `GET /sites/<domain>/live` and `/share/<slug>/live`, server-sent events.

A raw ASGI application, because a stream held open for hours should cost a few kilobytes. It sends a `tick` when the
site has news, at most one a second; the page then asks for what it shows. The right to watch is checked at the start
and every 30 seconds, and at once when someone lost a right to the site; when it ended, the stream says `gone` and
closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import msgspec
from django.conf import settings as django_settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.db import close_old_connections
from django.http import Http404, HttpRequest
from django.http.request import split_domain_port, validate_host

from haru.http import CONNECTION, Receive, Scope, Send, disconnected, respond
from haru.live import Live
from haru.sites import signals
from haru.sites.access import readable
from haru.web.dashboard import share
from haru.web.project import services

TICK_SECONDS = 1.0
READ_SECONDS = 10.0  # a watcher who has not taken a message for so long is let go: nothing is queued for anyone
END_SECONDS = 1.0  # how long the end of a stream may take to be sent
HEARTBEAT_SECONDS = 15.0
CHECK_SECONDS = 30.0
CHECKS_AT_ONCE = 2


# How often someone lost the right to see a site, by its id.
_losses: Counter[int] = Counter()


class Idle(Exception):
    """The watcher does not read."""


class Stream:
    """The application. `closing` is set when the server is about to stop."""

    def __init__(self, live: Live, closing: asyncio.Event, clock: Callable[[], float] = time.time) -> None:
        self._live = live
        self._closing = closing
        self._clock = clock
        # Threads of their own: those that everyone shares may all wait for answers of the store.
        self._checking = ThreadPoolExecutor(CHECKS_AT_ONCE, "haru-rights")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the watcher goes, loses the right to watch, or the server stops."""
        headers = dict(scope["headers"])
        path = scope["path"]
        if not _known_host(headers.get(b"host", b"").decode("latin-1")):
            await _refuse(send, 400, b"This host is not served here.")
            return
        if scope["method"] != "GET":
            await _refuse(send, 405, b"Send a GET.")
            return
        cookie = headers.get(b"cookie", b"").decode("latin-1")
        site_id = await self._watchable(cookie, path)
        if site_id is None:
            await _refuse(send, 404, b"There is no such page.")
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        connection = scope.get("extensions", {}).get(CONNECTION)
        if connection is not None:
            connection.narrow()
        gone = asyncio.create_task(disconnected(receive))
        stream = asyncio.create_task(self._ticks(site_id, cookie, path, _reading(send)))
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({gone, stream, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, stream, closing):
                task.cancel()
            _, ended, _ = await asyncio.gather(gone, stream, closing, return_exceptions=True)
        if isinstance(ended, Idle) and connection is not None:
            connection.abort()
            return
        with contextlib.suppress(Exception):  # the watcher has gone, or does not read: there is nobody to tell
            async with asyncio.timeout(END_SECONDS):
                await send({"type": "http.response.body", "body": b""})
                return
        if connection is not None:
            connection.abort()

    async def _watchable(self, cookie: str, path: str) -> int | None:
        return await asyncio.get_running_loop().run_in_executor(self._checking, watchable, cookie, path)

    async def _ticks(self, site_id: int, cookie: str, path: str, send: Send) -> None:
        subscription = self._live.bus.subscribe(site_id)
        try:
            shown = -1
            checked, rights = self._clock(), _losses[site_id]
            news = True
            while True:
                if self._clock() - checked >= CHECK_SECONDS or rights != _losses[site_id]:
                    checked, rights = self._clock(), _losses[site_id]
                    if await self._watchable(cookie, path) != site_id:
                        await _event(send, "gone", {})
                        return
                current = self._live.visitors.count(site_id, int(self._clock() * 1000))
                if news or current != shown:
                    await _event(send, "tick", {"current": current, "at": int(self._clock() * 1000)})
                    shown = current
                else:
                    await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})
                if news:
                    await asyncio.sleep(TICK_SECONDS)
                news = await subscription.news(HEARTBEAT_SECONDS)
        finally:
            self._live.bus.unsubscribe(subscription)


def watchable(cookie: str, path: str) -> int | None:
    """Id of the site if whoever sent this Cookie header may watch it. Asks the accounts database: never on the loop."""
    _, room, name, _ = unquote(path).split("/")
    close_old_connections()
    try:
        if room == "share":
            return share.watchable(_cookie(cookie, share.COOKIE), name)
        request = HttpRequest()
        engine = import_module(django_settings.SESSION_ENGINE)
        request.session = engine.SessionStore(_cookie(cookie, django_settings.SESSION_COOKIE_NAME) or None)
        user = get_user(request)
        if isinstance(user, AnonymousUser):
            return None
        return int(readable(user, name).pk)
    except Http404:
        return None
    finally:
        close_old_connections()


def _on_rights_changed(*, site_id: int, **_: object) -> None:
    _losses[site_id] += 1
    if services.is_set():
        services.get().live.bus.publish(site_id)


signals.rights_changed.connect(_on_rights_changed, dispatch_uid="haru.web.dashboard.stream")


def _cookie(header: str, name: str) -> str:
    """The cookie of this name in a Cookie header; "" when there is none."""
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _known_host(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, django_settings.ALLOWED_HOSTS)


def _reading(send: Send) -> Send:
    """`send` that raises `Idle` when the other side does not take what is sent."""

    async def sent(message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                await send(message)
        except TimeoutError:
            raise Idle from None

    return sent


async def _event(send: Send, name: str, data: dict[str, Any]) -> None:
    body = b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _refuse(send: Send, status: int, sentence: bytes) -> None:
    await respond(send, status, sentence, b"text/plain; charset=utf-8")
