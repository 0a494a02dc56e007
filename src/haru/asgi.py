"""The composition root: opens the stores, supervises the background tasks, routes requests, closes all in order.

`/api/collect`, the tracker and the health pages are answered here or in `collect`; all else goes to Django.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import structlog
import uvicorn

import haru
from haru import control, logs
from haru.collect import useragent
from haru.collect.endpoint import Endpoint
from haru.collect.geo import Geo
from haru.collect.mirror import Mirror
from haru.collect.pipeline import Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.refusals import Refusal
from haru.collect.visitor import DAY_MS, Salts
from haru.events.loader import MOST_EVENTS, Load, Loader
from haru.events.spool import Spool, Writer
from haru.events.stores import event_store, spool_path
from haru.live import CURRENT_MS, Live
from haru.settings import Settings, current
from haru.stats.report import Reports
from haru.web import plane

log = structlog.get_logger()

LOAD_PAUSE = 0.1  # seconds between batches: what comes meanwhile shares the next commit
LONGEST_PAUSE = 0.4  # under load: a large batch costs half as much an event as a small one
POLL = 0.5  # seconds after which the loader looks for what other processes wrote to the spool
REFRESH = 60.0  # seconds between refreshes of hot questions
LONGEST_BACKOFF = 30.0
HEALTH_SECONDS = 2.0

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def now_ms() -> int:
    """This moment in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Node:
    """Everything that a server holds open."""

    def __init__(self, settings: Settings) -> None:
        """Open all of it; call it on the event loop. Raises `StoreUnavailable` or `SpoolUnavailable`."""
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.started = time.time()
        self.closing = asyncio.Event()
        self.restarts: Counter[str] = Counter()
        self.salts = Salts(settings.data_dir)
        self.salts.rotate(now_ms())
        self.mirror = Mirror(settings.data_dir)
        self.live = Live()
        self.store = event_store(settings)
        self.reports = Reports(self.store)
        self.writer = Writer(Spool(spool_path(settings)), self._loop)
        self.spool = Spool(spool_path(settings))  # the loader's own, for reading
        self.loader = Loader(self.spool, self.store, self.writer.acknowledge, self._loaded)
        self.pipeline = Pipeline(self.salts.ids, Geo(settings.geoip_db))
        self.collect = Endpoint(settings, self.mirror, self.pipeline, RateLimit(settings.rate_limit), self.writer)
        self.loading = ThreadPoolExecutor(1, "haru-loader")
        self._tasks: list[asyncio.Task[None]] = []
        self._control = control.Server(
            settings.data_dir, {"status": self.status, "load": self.load, "delete_site": self._delete_site}
        )

    async def start(self) -> None:
        """Take up the spool, then start the background tasks."""
        useragent.warm()
        loop = asyncio.get_running_loop()
        now = now_ms()
        visits = await loop.run_in_executor(self.loading, self.loader.start, now)
        self.live.seen(((v.site_id, v.visitor_id, v.last) for v in visits if v.last > now - CURRENT_MS), now)
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
        for name, task in BACKGROUND.items():
            self._tasks.append(asyncio.create_task(self._supervise(name, task), name=name))

    async def stop(self) -> None:
        """Close everything in order: what was answered is on disk already, what waits in the spool stays there."""
        self.closing.set()
        await self._control.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.writer.close)
        await asyncio.to_thread(self.loading.shutdown)
        self.store.close()
        self.spool.close()

    async def _supervise(self, name: str, task: Callable[[Node], Awaitable[None]]) -> None:
        """Run a background task for ever: when it fails it is logged, counted and started again, later each time."""
        backoff = 0.5
        while True:
            begun = time.monotonic()
            try:
                await task(self)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if time.monotonic() - begun > LONGEST_BACKOFF:
                    backoff = 0.5
                self.restarts[name] += 1
                log.exception("task_failed", task=name, error=str(error), restart_in=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _loaded(self, load: Load) -> None:
        """What a batch changes: called on the loader's thread after the commit."""
        self.live.seen(load.seen, now_ms())
        for site_id, count in load.unvisited.items():
            self.collect.refused[site_id, Refusal.NO_VISIT_FOR_ENGAGEMENT] += count
        self.reports.invalidate(load.sites)
        for site_id in load.sites:
            self.live.publish(site_id)

    def load_waiting(self) -> None:
        """Load what waits in the spool, on the loader's thread."""
        while (load := self.loader.step(now_ms())) is not None and load.events >= MOST_EVENTS:
            pass

    def _sites_changed(self) -> None:
        """The mirror was rewritten: the very next request sees it."""
        self._loop.call_soon_threadsafe(self.mirror.refresh)

    def delete_events(self, site_id: int) -> None:
        """Remove all events of a site; blocks."""
        self.loading.submit(self.loader.delete_site, site_id, now_ms()).result()
        self.reports.invalidate([site_id])

    async def status(self) -> dict[str, Any]:
        """For the control socket: who answers and how far the loader is."""
        loop = asyncio.get_running_loop()
        return {
            "version": haru.__version__,
            "uptime_seconds": int(time.time() - self.started),
            "spool_depth": await loop.run_in_executor(self.loading, self.spool.depth),
            "position": await loop.run_in_executor(self.loading, self.store.position),
            "watchers": self.live.watchers(),
        }

    async def load(self) -> int:
        """For the control socket: load all that waits now; the store's position after it."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.loading, lambda: list(self.loader.drain(now_ms())))
        return await loop.run_in_executor(self.loading, self.store.position)

    async def _delete_site(self, site_id: int) -> None:
        await asyncio.to_thread(self.delete_events, site_id)

    async def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether spool and store answer, and what is known of each part."""
        parts: dict[str, Any] = {
            "spool": "refusing" if self.writer.refusing else "ok" if self.writer.alive() else "stopped",
            "store": "ok",
            "restarts": dict(self.restarts),
        }
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await asyncio.to_thread(self.store.position)
        except Exception as error:
            parts["store"] = str(error) or "does not answer"
        ready = parts["spool"] == "ok" and parts["store"] == "ok"
        return ready, {"status": "ok" if ready else "unready", **parts}

    def health_now(self) -> dict[str, Any]:
        """The same for pages, from another thread."""
        self.store.position()
        return {"spool": "refusing" if self.writer.refusing else "ok", "restarts": dict(self.restarts)}


async def _load(node: Node) -> None:
    """Spool → store, as soon as something was committed."""
    loop = asyncio.get_running_loop()

    def cycle() -> float:
        node.writer.committed.wait(POLL)
        node.writer.committed.clear()
        begun = time.monotonic()
        node.load_waiting()
        return time.monotonic() - begun

    while True:
        busy = await loop.run_in_executor(node.loading, cycle)
        await asyncio.sleep(min(max(LOAD_PAUSE, 4 * busy), LONGEST_PAUSE))


async def _refresh(node: Node) -> None:
    """Answer the hot questions again before someone waits for them."""
    while True:
        await asyncio.sleep(REFRESH)
        await asyncio.to_thread(node.reports.refresh_hot, now_ms())


async def _housekeep(node: Node) -> None:
    """Each second: the mirror, the salts, the visitors who left. Each day: the sessions that ran out."""
    from haru.accounts.registry import forget_old_sessions  # models: Django must be set up first

    day = -1
    while True:
        if day != (day := now_ms() // DAY_MS):
            await asyncio.to_thread(forget_old_sessions)
        node.mirror.refresh()
        await asyncio.to_thread(node.salts.rotate, now_ms())
        await asyncio.to_thread(node.live.prune, now_ms())
        await asyncio.sleep(1)


BACKGROUND: dict[str, Callable[[Node], Awaitable[None]]] = {
    "loader": _load,
    "refresh": _refresh,
    "housekeeping": _housekeep,
}


class Tracker:
    """`/js/haru.js`: the script that pages load, kept in memory with its ETag."""

    def __init__(self, path: Path) -> None:
        self._script = path.read_bytes() if path.is_file() else b""
        self._etag = b'"%s"' % hashlib.blake2b(self._script, digest_size=12).hexdigest().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the script, or 304 when the browser has it."""
        headers = [
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            # Pages keep it for a day; with the ETag the check after that costs no body.
            (b"cache-control", b"public, max-age=86400, stale-while-revalidate=604800"),
            (b"etag", self._etag),
            (b"x-content-type-options", b"nosniff"),
        ]
        if not self._script:
            await respond(send, 503, b"The tracker is not built: run `make build`.\n", b"text/plain")
        elif dict(scope["headers"]).get(b"if-none-match") == self._etag:
            await respond(send, 304, b"", b"", headers)
        else:
            body = b"" if scope["method"] == "HEAD" else self._script
            headers.append((b"content-length", str(len(self._script)).encode()))
            await respond(send, 200, body, b"text/javascript; charset=utf-8", headers)


async def respond(
    send: Send, status: int, body: bytes, content_type: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Send a whole answer."""
    lines = list(headers or [])
    if content_type:
        lines.append((b"content-type", content_type))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


class Application:
    """Routes one connection; opens and closes the node with the server's lifespan."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.node: Node | None = None
        from haru.web import setup

        setup.prepare()
        # Both need Django set up.
        from django.core.asgi import get_asgi_application

        from haru.web.stream import Stream

        self._new_stream = Stream
        self._django = get_asgi_application()
        self._tracker = Tracker(Path(__file__).parent / "web" / "static" / "build" / "haru.js")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http" or self.node is None:
            return
        path = scope["path"]
        if path == "/api/collect":
            await self.node.collect(scope, receive, send)
        elif path == "/js/haru.js":
            await self._tracker(scope, receive, send)
        elif path in {"/health", "/health/live"}:
            await self._health(path, send)
        elif path.startswith("/sites/") and path.endswith("/live") and path.count("/") == 3:
            await self._stream(scope, receive, send)
        else:
            await self._django(scope, receive, send)  # type: ignore[arg-type]  # its Send takes any Mapping

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self.node = Node(self._settings)
                    self._stream = self._new_stream(self.node.live, self.node.closing)
                    await self.node.start()
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
            live = self.node.writer.alive() and not self.node.writer.refusing
            body = msgspec.json.encode({"status": "ok" if live else "unready"})
            await respond(send, 200 if live else 503, body, b"application/json")
            return
        ready, parts = await self.node.health()
        await respond(send, 200 if ready else 503, msgspec.json.encode(parts), b"application/json")


class Server(uvicorn.Server):
    """uvicorn, told to let the live streams go when it is asked to stop: they would hold it up for ever."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM."""
        node = self._application.node
        if node is not None:
            node.closing.set()
        super().handle_exit(sig, frame)


def serve(settings: Settings, started: Callable[[], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises `OSError` when the port is taken."""
    logs.configure(settings)
    # A page that is being rendered gives the interpreter up after half a millisecond instead of five: the event loop,
    # which answers collect, waits that long at most for each thread that computes.
    sys.setswitchinterval(0.0005)
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        application = Application(settings)
        config = uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=10,
            backlog=4096,
        )
        server = Server(config, application)
        if started is not None:
            started()
        log.info("serving", url=settings.base_url, host=settings.host, port=settings.port)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        if not server.started:
            raise SystemExit(3)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def application() -> Application:
    """For other ASGI servers: `uvicorn --factory haru.asgi:application`."""
    settings = current()
    logs.configure(settings)
    return Application(settings)
