"""Node: everything that a server holds open, the background tasks that work on it, and how well they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

import haru
from haru.collect.collector import Collector, Counts, now_ms
from haru.collect.sites import set_sure
from haru.collect.visitor import DAY_MS
from haru.histogram import Histogram
from haru.live import CURRENT_MS, Live
from haru.server import control, metrics
from haru.server.workers import Workers
from haru.settings import BadSetting, Settings
from haru.sites import signals
from haru.spool.keys import Claims
from haru.spool.spool import Spools, SpoolUnavailable
from haru.stats.answers import Reports
from haru.store.loader import MOST_EVENTS, Load, Loader
from haru.store.opening import event_store, installation
from haru.store.protocol import Folding, StoreHeld, StoreTooNew, StoreUnavailable
from haru.transfer import export
from haru.web.project import services
from haru.web.project.streaming import in_threads

log = logging.getLogger(__name__)

LOAD_PAUSE = 0.1  # seconds between batches: what comes meanwhile shares the next commit
LONGEST_PAUSE = 0.4  # under load: a large batch costs half as much an event as a small one
POLL = 0.5  # seconds after which the loader looks for what other processes wrote to a spool
WORKERS_POLL = 0.1  # the same when workers write
FOLD_PAUSE = 10.0  # seconds between looks whether visits are to be folded
FOLD_FROM = 50_000  # events that are folded at once, fewer only after a while
FOLD_ANY = 600.0  # seconds after which few are folded too
REFRESH = 60.0  # seconds between refreshes of hot questions
ACCOUNTS_SECONDS = 5.0  # between looks whether the database of accounts answers
LONGEST_BACKOFF = 30.0
HEALTH_SECONDS = 2.0
LOAD_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

NOT_OPENED = "not opened yet"
NOT_CHECKED = "The accounts cannot be checked just now. Visits are being counted; please try again in a moment."

Task = Callable[[], Awaitable[None]]


class Node:
    """Everything that a server holds open."""

    def __init__(self, settings: Settings, *, checked: bool = False, development: bool = False) -> None:
        """Open what collecting needs; call it on the event loop. Raises `SpoolUnavailable`.

        The event store and the database of accounts may be down: they are asked again until they answer. Pages wait
        until it was seen that the development account's known password does not work: `checked` says that it was,
        `development` that it may.
        """
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.started = time.time()
        self.closing = asyncio.Event()
        self.restarts: Counter[str] = Counter()
        self.collector = Collector(settings)
        self.live = Live()
        self.store = event_store(settings)
        self.reports = Reports(self.store, settings.query_seconds)
        self.spools = Spools(settings.data_dir)
        self._claims = Claims(settings.data_dir)
        self.loader = Loader(self.spools, self.store, self._claims, self._loaded)
        self.loading = ThreadPoolExecutor(1, "haru-loader")
        self.workers = Workers(settings.workers)
        self.accounts_up = True
        self._development = development
        self.pages_closed = "" if checked or development else NOT_CHECKED  # why no page is answered
        self.store_fault = NOT_OPENED
        self._sites_looked_at = False  # whether the accounts were asked for every site that the store has
        self.load_seconds = Histogram(LOAD_BOUNDS)
        self.loaded_events = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._control = control.Server(
            settings.data_dir,
            {
                "status": self.status,
                "load": self.load,
                "delete_site": self._delete_site,
                "query": self._query,
                "rights_changed": self._rights_changed,
                "lost_sites": self._lost_sites,
            },
            {"events": self._events},
        )

    async def start(self) -> None:
        """Start the background tasks. Raises `StoreHeld` and `StoreTooNew`."""
        services.use(
            services.Services(
                reports=self.reports,
                live=self.live,
                sites_changed=self._sites_changed,
                delete_events=self.delete_events,
                tallies=self.store.tallies,
                events=self._exported,
                closed=lambda: self.pages_closed,
            )
        )
        await self._control.start()
        # Before the first request: whoever was here before a restart is here still. A store that is down comes later.
        try:
            await self._loop.run_in_executor(self.loading, self._take_up)
        except (StoreHeld, StoreTooNew, SpoolUnavailable):
            raise
        except Exception as error:
            # Collecting needs no store: the loader tries again, as after any fault later.
            self.store_fault = str(error) or type(error).__name__
            known = isinstance(error, StoreUnavailable)
            log.error("store_unavailable", extra={"error": self.store_fault}, exc_info=None if known else error)
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
                known = isinstance(error, StoreUnavailable | StoreTooNew)
                log.error(
                    "task_failed",
                    extra={"task": name, "error": str(error), "restart_in": backoff},
                    exc_info=None if known else error,
                )
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _background(self) -> dict[str, Task]:
        return {
            "loader": self._load_for_ever,
            "refresh": self._refresh,
            "folding": self._fold,
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
        self.store.hold()
        if not self.loader.started:
            visits = self.loader.start(now)
            self.live.seen(((v.site_id, v.visitor_id, v.last) for v in visits if v.last > now - CURRENT_MS), now)
        else:
            self.store.progress()
        if self.store_fault != NOT_OPENED:
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
        self.reports.asking.invalidate(load.sites)
        for site_id in load.sites:
            self.live.publish(site_id)

    async def _refresh(self) -> None:
        """Answer again what is looked at, before someone waits for it."""
        while True:
            await asyncio.sleep(REFRESH)
            await asyncio.to_thread(self.reports.asking.refresh, now_ms(), self.live.watched())

    async def _fold(self) -> None:
        """Fold visits as events come, where the store can: questions are answered sooner by it."""
        done = time.monotonic()

        def cycle() -> None:
            nonlocal done
            assert isinstance(self.store, Folding)
            few = time.monotonic() - done < FOLD_ANY
            waiting = self.store.unfolded()
            while waiting >= (FOLD_FROM if few else 1) and not self.closing.is_set():
                waiting = self.store.fold()
                done = time.monotonic()

        while True:
            await asyncio.sleep(FOLD_PAUSE)
            if isinstance(self.store, Folding):
                await asyncio.to_thread(cycle)

    async def _prune(self) -> None:
        """Each second: let go of the visitors who left."""
        while True:
            await asyncio.to_thread(self.live.prune, now_ms())
            await asyncio.sleep(1)

    async def _watch_accounts(self) -> None:
        """See whether the database of accounts answers, and tell collect; each day remove the sessions that ran out."""
        from django.db import Error

        from haru.accounts.registry import forget_old_sessions  # models: Django must be set up first
        from haru.web.project import setup

        day = -1
        while True:
            try:
                # The first time, and after an outage, the tables may be missing or behind and the mirror old.
                await asyncio.to_thread(setup.check if self.accounts_up and day >= 0 else setup.prepare)
                if self.pages_closed:
                    await asyncio.to_thread(self._check_password)
                if day != (day := now_ms() // DAY_MS):
                    await asyncio.to_thread(forget_old_sessions)
                if self.loader.deleted:
                    await asyncio.to_thread(self._restore_sites)
                if not self._sites_looked_at and not self.store_fault:
                    await asyncio.to_thread(self._look_at_sites)
                if not self.accounts_up:
                    log.info("accounts_recovered")
                    self._sites_changed()
                self.accounts_up = True
            except (Error, OSError) as error:
                if self.accounts_up:
                    log.error(
                        "accounts_unavailable",
                        extra={"error": str(error), "outcome": "pages answer 503, collecting goes on"},
                    )
                    self.restarts["accounts"] += 1
                self.accounts_up = False
                self._sites_looked_at = False
                if not self._development:
                    self.pages_closed = NOT_CHECKED  # another database may come back in its place
            with contextlib.suppress(OSError):  # a full disk: the spool tells of it
                set_sure(self.settings.data_dir, self.accounts_up)
            await asyncio.sleep(ACCOUNTS_SECONDS)

    def _restore_sites(self) -> None:
        """Count again for sites that were deleted and have come back, as from a backup. Raises `django.db.Error`."""
        from haru.sites.models import Site

        if back := list(Site.objects.filter(pk__in=self.loader.deleted).values_list("pk", flat=True)):
            self.loader.restore_sites(back)

    def _look_at_sites(self) -> None:
        """Say which sites of the store the accounts do not know, and finish what was deleted.

        What waits in the spools is loaded first, so that its sites are the store's. Raises `django.db.Error`.
        """
        from haru.sites.lost import sorted_out

        def stored() -> set[int]:
            self.load_waiting()
            return self.store.sites()

        self._sites_looked_at = True  # until a deletion fails, perhaps while this looks
        try:
            lost, deleted = sorted_out(self.loading.submit(stored).result())
            for site_id in deleted:
                self.delete_events(site_id)
        except Exception as error:
            self._sites_looked_at = False
            if isinstance(error, StoreUnavailable):
                return  # the loader tells of it; the next look is in some seconds
            raise
        if lost:
            remedy = "`haru site adopt` lists them and gives them back"
            log.error(
                "sites_lost", extra={"sites": sorted(lost), "outcome": "nobody sees their numbers", "remedy": remedy}
            )

    async def _lost_sites(self) -> list[Any]:
        """For the control socket: the sites of the store that the accounts do not know."""
        from django.db import close_old_connections

        from haru.sites.lost import lost_sites

        def found() -> list[Any]:
            try:
                return [msgspec.to_builtins(site) for site in lost_sites(self.store)]
            finally:
                close_old_connections()

        return await asyncio.to_thread(found)

    def _check_password(self) -> None:
        """Open the pages, or say why not. Raises `django.db.Error`."""
        from haru.demo.development import refuse_known_password

        fault = ""
        try:
            refuse_known_password()
        except BadSetting as error:
            fault = str(error)
            if fault != self.pages_closed:
                log.error("known_password", extra={"error": fault, "outcome": "pages answer 503, collecting goes on"})
        self.pages_closed = fault

    def _sites_changed(self) -> None:
        """The mirror was rewritten: the very next request sees it."""
        self._loop.call_soon_threadsafe(self.collector.mirror.refresh)
        self._loop.call_soon_threadsafe(self.workers.sites_changed)

    def delete_events(self, site_id: int) -> None:
        """Remove all events of a site; blocks. What fails is done again as soon as the store answers."""
        try:
            self.loading.submit(self.loader.delete_site, site_id, now_ms()).result()
        except Exception:
            self._sites_looked_at = False
            raise
        self.reports.asking.invalidate([site_id])

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

    async def _query(self, query: Any, wanted: str) -> dict[str, Any]:
        """For the control socket: what a query is answered, see `haru.web.api.console`."""
        from haru.web.api import console  # models: Django must be set up first

        return await asyncio.to_thread(console.answered, self.reports, query, wanted, now_ms())

    def _events(self, site_id: int, since: int, until: int, format: str) -> AsyncIterator[bytes]:
        """For the control socket: a site's events as the bytes of a file."""
        return in_threads(self._exported(site_id, (since, until), format))

    def _exported(self, site_id: int, span: tuple[int, int], format: str) -> Iterator[bytes]:
        return export.events(self.store, installation(self.settings), site_id, span, format, self.settings.data_dir)

    async def _rights_changed(self, site_ids: list[int]) -> None:
        """For the control socket: a command took somebody's right to see these sites."""
        for site_id in site_ids:
            signals.rights_changed.send(sender=Node, site_id=site_id)

    async def _delete_site(self, site_id: int) -> None:
        await asyncio.to_thread(self.delete_events, site_id)

    def counts(self) -> list[Counts]:
        """What every process that collects has counted."""
        return [self.collector.counts(), *self.workers.counts()]

    def restarted(self) -> dict[str, int]:
        """How often each task failed and was started again; of the writers of all processes together."""
        writer = sum(each.restarts for each in self.counts())
        return {**self.restarts, **({"writer": writer} if writer else {})}

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
            "accounts": (self.pages_closed or "ok") if self.accounts_up else "does not answer",
            "tasks": {
                **{task.get_name(): "ok" if not task.done() else "stopped" for task in self._tasks},
                "writer": "ok" if all(each.alive for each in self.counts()) else "stopped",
            },
            "restarts": self.restarted(),
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
            query_seconds=self.reports.asking.query_seconds,
            queries_running=self.reports.asking.running,
            queries_stopped=dict(self.reports.asking.stopped),
            cache_hits=self.reports.asking.cache.hits,
            cache_misses=self.reports.asking.cache.misses,
            subscribers=self.live.watchers(),
            restarts=self.restarted(),
            store_up=not self.store_fault,
            accounts_up=self.accounts_up,
        )
