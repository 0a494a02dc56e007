"""The composition root: opens the stores, supervises the background tasks, routes requests, closes all in order.

`/api/collect`, the tracker, /metrics and the health pages are answered here or in `collect`; all else goes to Django.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import msgspec
import structlog

import haru
from haru import control, forward, logs, metrics, server
from haru.collect.collector import Collector, Counts, now_ms
from haru.collect.endpoint import Endpoint
from haru.collect.mirror import set_sure
from haru.collect.visitor import DAY_MS
from haru.events.claims import Claims
from haru.events.histogram import Histogram
from haru.events.loader import MOST_EVENTS, Load, Loader
from haru.events.spool import Spools
from haru.events.store import StoreUnavailable
from haru.events.stores import event_store
from haru.live import CURRENT_MS, Live
from haru.server import Headers, Receive, Scope, Send, Tracker, respond
from haru.settings import BadSetting, Settings, current
from haru.stats.report import Reports
from haru.web import plane
from haru.workers import Workers

log = structlog.get_logger()

LOCK = "haru.lock"
LOAD_PAUSE = 0.1  # seconds between batches: what comes meanwhile shares the next commit
LONGEST_PAUSE = 0.4  # under load: a large batch costs half as much an event as a small one
POLL = 0.5  # seconds after which the loader looks for what other processes wrote to a spool
WORKERS_POLL = 0.1  # the same when workers write
REFRESH = 60.0  # seconds between refreshes of hot questions
ACCOUNTS_SECONDS = 5.0  # between looks whether the database of accounts answers
LONGEST_BACKOFF = 30.0
HEALTH_SECONDS = 2.0
LOAD_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Task = Callable[[], Awaitable[None]]


class FolderInUse(BadSetting):
    """Another server runs on the data folder."""


def lock_folder(data_dir: Path) -> TextIO:
    """Make this process the data folder's one server until the file is closed. Raises `FolderInUse`."""
    file = (data_dir / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FolderInUse(
            f"Another Haru server runs on {data_dir}: stop it, or give this one a folder of its own with HARU_DATA_DIR."
        ) from None
    return file


class Node:
    """Everything that a server holds open."""

    def __init__(self, settings: Settings) -> None:
        """Open what collecting needs; call it on the event loop. Raises `SpoolUnavailable`.

        The event store and the database of accounts may be down: they are asked again until they answer.
        """
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.started = time.time()
        self.closing = asyncio.Event()
        self.restarts: Counter[str] = Counter()
        self.collector = Collector(settings)
        self.live = Live()
        self.store = event_store(settings)
        self.reports = Reports(self.store)
        self.spools = Spools(settings.data_dir)
        self._claims = Claims(settings.data_dir)
        self.loader = Loader(self.spools, self.store, self._claims, self._loaded)
        self.loading = ThreadPoolExecutor(1, "haru-loader")
        self.workers = Workers(settings.workers)
        self.accounts_up = True
        self.store_fault = "not opened yet"
        self.load_seconds = Histogram(LOAD_BOUNDS)
        self.loaded_events = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._control = control.Server(
            settings.data_dir, {"status": self.status, "load": self.load, "delete_site": self._delete_site}
        )

    async def start(self) -> None:
        """Start the background tasks."""
        plane.use(
            plane.Plane(
                reports=self.reports,
                live=self.live,
                sites_changed=self._sites_changed,
                delete_events=self.delete_events,
                tallies=self.store.tallies,
                health=self.health_now,
            )
        )
        await self._control.start()
        # Before the first request: whoever was here before a restart is here still. A store that is down comes later.
        with contextlib.suppress(StoreUnavailable):
            await self._loop.run_in_executor(self.loading, self._take_up)
        for name, task in {**self._background(), **self.workers.tasks()}.items():
            self._tasks.append(asyncio.create_task(self._supervise(name, task), name=name))

    async def stop(self) -> None:
        """Close everything in order: what was answered is on disk already, what waits in the spool stays there."""
        self.closing.set()
        await self._control.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.collector.close()
        await asyncio.to_thread(self.loading.shutdown)
        self.store.close()
        self.spools.close()
        self._claims.close()

    async def _supervise(self, name: str, task: Task) -> None:
        """Run a background task for ever: when it fails it is logged, counted and started again, later each time."""
        backoff = 0.5
        while True:
            begun = time.monotonic()
            try:
                await task()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if time.monotonic() - begun > LONGEST_BACKOFF:
                    backoff = 0.5
                self.restarts[name] += 1
                known = isinstance(error, StoreUnavailable)
                log.error(
                    "task_failed", task=name, error=str(error), restart_in=backoff, exc_info=None if known else error
                )
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _background(self) -> dict[str, Task]:
        return {
            "loader": self._load_for_ever,
            "refresh": self._refresh,
            "collector": self.collector.housekeep,
            "visitors": self._prune,
            "accounts": self._watch_accounts,
        }

    async def _load_for_ever(self) -> None:
        """Spools → store, as soon as something was committed."""
        committed = self.collector.writer.committed
        poll = WORKERS_POLL if self.workers.count else POLL

        def cycle() -> float:
            committed.wait(poll)
            committed.clear()
            begun = time.monotonic()
            try:
                if self.store_fault:
                    self._take_up()
                self.load_waiting()
            except Exception as error:
                self.store_fault = str(error)
                raise
            return time.monotonic() - begun

        while True:
            busy = await self._loop.run_in_executor(self.loading, cycle)
            await asyncio.sleep(min(max(LOAD_PAUSE, 4 * busy), LONGEST_PAUSE))

    def _take_up(self) -> None:
        """Begin where the store stands, or go on with it after a fault; on the loader's thread."""
        now = now_ms()
        if self.store_fault == "not opened yet" or not self.loader.started:
            visits = self.loader.start(now)
            self.live.seen(((v.site_id, v.visitor_id, v.last) for v in visits if v.last > now - CURRENT_MS), now)
        else:
            self.store.progress()
        if self.store_fault != "not opened yet":
            log.info("store_recovered")
        self.store_fault = ""

    def load_waiting(self) -> None:
        """Load what waits in the spools, on the loader's thread."""
        while True:
            begun = time.perf_counter()
            load = self.loader.step(now_ms())
            if load is None:
                return
            self.load_seconds.observe(time.perf_counter() - begun)
            if load.taken < MOST_EVENTS:
                return

    def _loaded(self, load: Load) -> None:
        """What a batch changes: called on the loader's thread after the commit."""
        self.loaded_events += load.events
        self.live.seen(load.seen, now_ms())
        self.reports.invalidate(load.sites)
        for site_id in load.sites:
            self.live.publish(site_id)

    async def _refresh(self) -> None:
        """Answer the hot questions again before someone waits for them."""
        while True:
            await asyncio.sleep(REFRESH)
            await asyncio.to_thread(self.reports.refresh_hot, now_ms())

    async def _prune(self) -> None:
        """Each second: let go of the visitors who left."""
        while True:
            await asyncio.to_thread(self.live.prune, now_ms())
            await asyncio.sleep(1)

    async def _watch_accounts(self) -> None:
        """See whether the database of accounts answers, and tell collect; each day remove the sessions that ran out."""
        from django.db import Error

        from haru.accounts.registry import forget_old_sessions  # models: Django must be set up first
        from haru.web import setup

        day = -1
        while True:
            try:
                # The first time, and after an outage, the tables may be missing or behind and the mirror old.
                await asyncio.to_thread(setup.check if self.accounts_up and day >= 0 else setup.prepare)
                if day != (day := now_ms() // DAY_MS):
                    await asyncio.to_thread(forget_old_sessions)
                if not self.accounts_up:
                    log.info("accounts_recovered")
                    self._sites_changed()
                self.accounts_up = True
            except (Error, OSError) as error:
                if self.accounts_up:
                    log.error("accounts_unavailable", error=str(error), outcome="pages answer 503, collecting goes on")
                    self.restarts["accounts"] += 1
                self.accounts_up = False
            with contextlib.suppress(OSError):  # a full disk: the spool tells of it
                set_sure(self.settings.data_dir, self.accounts_up)
            await asyncio.sleep(ACCOUNTS_SECONDS)

    def _sites_changed(self) -> None:
        """The mirror was rewritten: the very next request sees it."""
        self._loop.call_soon_threadsafe(self.collector.mirror.refresh)
        self._loop.call_soon_threadsafe(self.workers.sites_changed)

    def delete_events(self, site_id: int) -> None:
        """Remove all events of a site; blocks."""
        self.loading.submit(self.loader.delete_site, site_id, now_ms()).result()
        self.reports.invalidate([site_id])

    async def status(self) -> dict[str, Any]:
        """For the control socket: who answers and how far the loader is."""
        return {
            "version": haru.__version__,
            "uptime_seconds": int(time.time() - self.started),
            "spool_depth": await self._loop.run_in_executor(self.loading, self.spools.depth),
            "position": await self._loop.run_in_executor(self.loading, lambda: self.store.progress().last_id),
            "watchers": self.live.watchers(),
        }

    async def load(self) -> int:
        """For the control socket: load all that waits now; the last event's id after it."""
        await self._loop.run_in_executor(self.loading, lambda: list(self.loader.drain(now_ms())))
        return await self._loop.run_in_executor(self.loading, lambda: self.store.progress().last_id)

    async def _delete_site(self, site_id: int) -> None:
        await asyncio.to_thread(self.delete_events, site_id)

    def counts(self) -> list[Counts]:
        """What every process that collects has counted."""
        return [self.collector.counts(), *self.workers.counts()]

    def spool_state(self) -> str:
        """Whether events can be accepted: ok, refusing, full or stopped."""
        counts = self.counts()
        if not all(each.alive for each in counts):
            return "stopped"
        if any(each.refusing for each in counts):
            return "refusing"
        return "full" if any(each.full for each in counts) else "ok"

    async def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether spool and store answer, and what is known of each part."""
        parts: dict[str, Any] = {
            "spool": self.spool_state(),
            "store": "ok",
            "accounts": "ok" if self.accounts_up else "does not answer",
            "tasks": {task.get_name(): "ok" if not task.done() else "stopped" for task in self._tasks},
            "restarts": dict(self.restarts),
        }
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await asyncio.to_thread(self.store.progress)
        except Exception as error:
            parts["store"] = str(error) or "does not answer"
        if parts["store"] == "ok" and self.store_fault:
            parts["store"] = f"recovering ({self.store_fault})"
        ready = parts["spool"] == parts["store"] == parts["accounts"] == "ok"
        return ready, {"status": "ok" if ready else "unready", **parts}

    def health_now(self) -> dict[str, Any]:
        """The same for pages, from another thread."""
        self.store.progress()
        return {"spool": self.spool_state(), "restarts": dict(self.restarts)}

    async def snapshot(self) -> metrics.Snapshot:
        """For /metrics."""
        rows, oldest = await self._loop.run_in_executor(self.loading, self.spools.waiting)
        writer = self.collector.writer
        return metrics.Snapshot(
            counts=self.counts(),
            bounds={
                "seconds": self.collector.endpoint.seconds.bounds,
                "commit_seconds": writer.commit_seconds.bounds,
                "batch_events": writer.batch_events.bounds,
            },
            spool_rows=rows,
            spool_age_seconds=max(0, now_ms() - oldest) / 1000 if oldest else 0,
            loaded_events=self.loaded_events,
            load_seconds=self.load_seconds,
            query_seconds=self.reports.query_seconds,
            cache_hits=self.reports.cache.hits,
            cache_misses=self.reports.cache.misses,
            subscribers=self.live.watchers(),
            restarts=dict(self.restarts),
            store_up=not self.store_fault,
            accounts_up=self.accounts_up,
        )


class Application:
    """Routes one connection; opens and closes the node with the server's lifespan."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.node: Node | None = None
        from haru.web import setup

        setup.configure()
        # Both need Django set up.
        from django.core.asgi import get_asgi_application

        from haru.web.stream import Stream

        self._new_stream = Stream
        self._django = get_asgi_application()
        self._tracker = Tracker()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http" or self.node is None:
            return
        if scope["client"] is None:
            _name_peer(scope)
        path = scope["path"]
        if path == "/api/collect":
            await self.node.collector.endpoint(scope, receive, send)
        elif path == Tracker.PATH:
            await self._tracker(scope, receive, send)
        elif path in {"/health", "/health/live"}:
            await self._health(path, send)
        elif path == "/metrics":
            await self._metrics(scope, send)
        elif path.startswith("/sites/") and path.endswith("/live") and path.count("/") == 3:
            await self._stream(scope, receive, send)
        else:
            await self._django(scope, receive, send)  # type: ignore[arg-type]  # its Send takes any Mapping

    def door(self) -> Endpoint | None:
        """The collect door, once it is open."""
        return self.node.collector.endpoint if self.node else None

    def closing(self) -> None:
        """The server was asked to stop."""
        if self.node is not None:
            self.node.closing.set()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self.node = Node(self._settings)
                    self._stream = self._new_stream(self.node.live, self.node.closing)
                    await self.node.start()
                    server.settle_memory()
                except Exception as error:
                    log.error("start_failed", error=str(error))
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                if self.node is not None:
                    await self.node.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _health(self, path: str, send: Send) -> None:
        assert self.node is not None
        if path == "/health/live":
            live = self.node.spool_state() in {"ok", "full"}
            body = msgspec.json.encode({"status": "ok" if live else "unready"})
            await respond(send, 200 if live else 503, body, b"application/json")
            return
        ready, parts = await self.node.health()
        await respond(send, 200 if ready else 503, msgspec.json.encode(parts), b"application/json")

    async def _metrics(self, scope: Scope, send: Send) -> None:
        assert self.node is not None
        if not _may_read_metrics(scope, self._settings.metrics_token):
            await respond(send, 404, b"There is nothing at this address.\n", b"text/plain; charset=utf-8")
            return
        body = metrics.page(await self.node.snapshot())
        await respond(send, 200, body, metrics.CONTENT_TYPE)


def _may_read_metrics(scope: Scope, token: str) -> bool:
    headers: Headers = scope["headers"]
    if token:
        import hmac

        given = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, b"Bearer " + token.encode())
    by_proxy = any(name in {b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"} for name, _ in headers)
    return not by_proxy and bool(scope["client"]) and scope["client"][0] in {"127.0.0.1", "::1"}


def _name_peer(scope: Scope) -> None:
    """A request on the Unix socket: a worker says who asked it."""
    peer = next((value for name, value in scope["headers"] if name == forward.PEER), b"")
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != forward.PEER]
    scope["client"] = (peer.decode("latin-1"), 0) if peer else None


def allow_many_connections() -> None:
    """Raise the number of files this process and its workers may hold open as far as the system lets anyone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(settings: Settings, started: Callable[[], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises `OSError` when the port is taken and `FolderInUse`."""
    logs.configure(settings)
    # A page that is being rendered gives the interpreter up after half a millisecond instead of five: the event loop,
    # which answers collect, waits that long at most for each thread that computes.
    sys.setswitchinterval(0.0005)
    allow_many_connections()
    with contextlib.ExitStack() as held:
        held.enter_context(lock_folder(settings.data_dir))
        listener = held.enter_context(server.listener(settings.host, settings.port))
        if settings.workers:
            listener.close()  # it was free: the workers share it, and this keeps it for them
            held.enter_context(server.listener(settings.host, settings.port, shared=True))
            listener = held.enter_context(_pages_listener(settings.data_dir))
        application = Application(settings)
        config = server.config(application, application.door)
        if started is not None:
            started()
        log.info("serving", url=settings.base_url, host=settings.host, port=settings.port, workers=settings.workers)
        server.run(server.Server(config, application.closing), listener)


def _pages_listener(data_dir: Path) -> socket.socket:
    """The Unix socket on which workers ask for pages: only this user may open it."""
    path = data_dir / forward.FILE
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with control.short_path(data_dir, forward.FILE) as short:
            found.bind(short)
    finally:
        os.umask(mask)
    return found


def application() -> Application:
    """For other ASGI servers: `uvicorn --factory haru.asgi:application`."""
    settings = current()
    logs.configure(settings)
    return Application(settings)
