"""Node: everything that a server holds open, and in which order it opens and closes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

import haru
from haru.clock import now_ms
from haru.collect.collector import Collector, Counts
from haru.histogram import Histogram
from haru.live import Live
from haru.server import control, jobs
from haru.server.supervisor import Supervisor
from haru.server.workers import Workers
from haru.settings import Settings
from haru.sites import signals
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spools, SpoolUnavailable
from haru.stats.answers import Reports
from haru.store.loader import Load, Loader
from haru.store.opening import event_store, installation
from haru.store.protocol import StoreHeld, StoreTooNew, StoreUnavailable
from haru.transfer import export
from haru.web.project import services
from haru.web.project.streaming import in_threads

log = logging.getLogger(__name__)

LOAD_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Result = TypeVar("Result")


class Node:
    """Everything that a server holds open. What it does by itself is in `haru.server.jobs`."""

    def __init__(self, settings: Settings, *, checked: bool = False, development: bool = False) -> None:
        """Open what collecting needs; call it on the event loop. Raises `SpoolUnavailable`.

        The event store and the database of accounts may be down: they are asked again until they answer. Pages wait
        until it was seen that the development account's known password does not work: `checked` says that it was,
        `development` that it may.
        """
        self.settings = settings
        self.development = development
        self._loop = asyncio.get_running_loop()
        self.started = time.time()
        self.closing = asyncio.Event()
        self.supervisor = Supervisor()
        self.collector = Collector(settings)
        self.workers = Workers(settings.workers)
        self.live = Live()

        self.store = event_store(settings)
        self.reports = Reports(self.store, settings.query_seconds)
        self.spools = Spools(settings.data_dir)
        self._keys = IdempotencyKeys(settings.data_dir)
        self.loader = Loader(self.spools, self.store, self._keys, self._loaded)
        self.loading = ThreadPoolExecutor(1, "haru-loader")
        self.store_fault = jobs.NOT_OPENED  # why the store takes nothing just now; "" when it does
        self.load_seconds = Histogram(LOAD_BOUNDS)
        self.loaded_events = 0
        self.folded_at = time.monotonic()  # when visits were folded last

        self.accounts_up = True
        self.accounts_prepared = False  # whether tables and collect's sites are as this version wants them
        self.pages_closed = "" if checked or development else jobs.NOT_CHECKED  # why no page is answered
        self.sessions_day = -1  # the day, from 1970, on which sessions that ran out were removed last
        self.sites_looked_at = False  # whether the accounts were asked for every site that the store has

        self._control = control.Server(
            settings.data_dir,
            {
                "status": self._status,
                "load": self._load,
                "delete_site": self._delete_site,
                "query": self._query,
                "rights_changed": self._rights_changed,
                "lost_sites": self._lost_sites,
            },
            {"events": self._events},
        )

    async def start(self) -> None:
        """Answer commands and start the jobs. Raises `StoreHeld`, `StoreTooNew`, `SpoolUnavailable`, `FileUnusable`."""
        services.use(
            services.Services(
                reports=self.reports,
                live=self.live,
                sites_changed=self.sites_changed,
                delete_events=self.delete_events,
                refusal_counts=self.store.refusal_counts,
                events=self._exported,
                closed=lambda: self.pages_closed,
            )
        )
        await self._control.start()
        # Before the first request: whoever was here before a restart is here still. A store that is down comes later.
        try:
            await self.on_loader(lambda: jobs.resume(self))
        except (StoreHeld, StoreTooNew, SpoolUnavailable):
            raise
        except Exception as error:
            # Collecting needs no store: the loader tries again, as after any fault later.
            self.store_fault = str(error) or type(error).__name__
            known = isinstance(error, StoreUnavailable)
            log.error("store_unavailable", extra={"error": self.store_fault}, exc_info=None if known else error)
        self.supervisor.start(jobs.JOBS, self)
        self.supervisor.start(self.workers.jobs(), self.workers)

    async def stop(self) -> None:
        """Close everything in order: what was answered is on disk already, what waits in the spool stays there."""
        self.closing.set()
        await self._control.stop()
        await self.supervisor.stop()
        await self.collector.close()
        await asyncio.to_thread(self.loading.shutdown)
        services.use(None)
        self.store.close()
        self.spools.close()
        self._keys.close()

    async def on_loader(self, call: Callable[[], Result]) -> Result:
        """What a call answers that runs on the loader's thread, after those that wait for it."""
        return await self._loop.run_in_executor(self.loading, call)

    def counts(self) -> list[Counts]:
        """What every process that collects has counted."""
        return [self.collector.counts(), *self.workers.counts()]

    def sites_changed(self) -> None:
        """The file of sites was rewritten: the very next request sees it. From any thread."""
        self._loop.call_soon_threadsafe(self.collector.sites.refresh)
        self._loop.call_soon_threadsafe(self.workers.sites_changed)

    def delete_events(self, site_id: int) -> None:
        """Remove all events of a site; blocks. What fails is done again as soon as the store answers."""
        try:
            self.loading.submit(self.loader.delete_site, site_id, now_ms()).result()
        except Exception:
            self.sites_looked_at = False
            raise
        self.reports.asking.invalidate([site_id])

    def _loaded(self, load: Load) -> None:
        """What a batch changes: called on the loader's thread after the commit."""
        self.loaded_events += load.events
        self.live.visitors.seen(load.seen, now_ms())
        self.reports.asking.invalidate(load.sites)
        for site_id in load.sites:
            self.live.bus.publish(site_id)

    def _exported(self, site_id: int, span: tuple[int, int], format: str) -> Iterator[bytes]:
        return export.events(self.store, installation(self.settings), site_id, span, format, self.settings.data_dir)

    # Calls of the control socket.

    async def _status(self) -> dict[str, Any]:
        """Who answers and how far the loader is."""
        return {
            "version": haru.__version__,
            "uptime_seconds": int(time.time() - self.started),
            "spool_depth": await self.on_loader(self.spools.depth),
            "position": await self.on_loader(lambda: self.store.progress().last_id),
            "watchers": self.live.bus.watchers(),
        }

    async def _load(self) -> int:
        """Load all that waits now; the last event's id after it."""
        await self.on_loader(lambda: list(self.loader.drain(now_ms())))
        return await self.on_loader(lambda: self.store.progress().last_id)

    async def _query(self, query: Any, wanted: str) -> dict[str, Any]:
        """What a query is answered, see `haru.web.api.console`."""
        from haru.web.api import console  # models: Django must be set up first

        return await asyncio.to_thread(console.answered, self.reports, query, wanted, now_ms())

    def _events(self, site_id: int, since: int, until: int, format: str) -> AsyncIterator[bytes]:
        """A site's events as the bytes of a file."""
        return in_threads(self._exported(site_id, (since, until), format))

    async def _rights_changed(self, site_ids: list[int]) -> None:
        """A command took somebody's right to see these sites."""
        for site_id in site_ids:
            signals.rights_changed.send(sender=Node, site_id=site_id)

    async def _delete_site(self, site_id: int) -> None:
        await asyncio.to_thread(self.delete_events, site_id)

    async def _lost_sites(self) -> list[Any]:
        """The sites of the store that the accounts do not know."""
        from django.db import close_old_connections

        from haru.sites.lost import lost_sites

        def lost() -> list[Any]:
            try:
                return [msgspec.to_builtins(site) for site in lost_sites(self.store)]
            finally:
                close_old_connections()

        return await asyncio.to_thread(lost)
