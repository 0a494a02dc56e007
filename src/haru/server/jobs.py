"""Jobs: what a server does by itself beside answering requests. A further one is a function and a row of `JOBS`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from haru.clock import DAY_MS, now_ms
from haru.collect.collector import HOUSEKEEPING_SECONDS
from haru.collect.sites import set_sure
from haru.live import CURRENT_MS
from haru.server.supervisor import Job
from haru.settings import BadSetting
from haru.store.loader import MAX_EVENTS
from haru.store.protocol import Folding, StoreUnavailable

if TYPE_CHECKING:
    from haru.server.node import Node

log = logging.getLogger(__name__)

NOT_OPENED = "not opened yet"
NOT_CHECKED = "The accounts cannot be checked just now. Visits are being counted; please try again in a moment."

LOAD_PAUSE = 0.1  # seconds between batches: what comes meanwhile shares the next commit
MAX_LOAD_PAUSE = 0.4  # under load: a large batch costs half as much an event as a small one
POLL = 0.5  # seconds after which the loader looks for what other processes wrote to a spool
WORKERS_POLL = 0.1  # the same when workers write
FOLD_FROM = 50_000  # events that are folded at once, fewer only after a while
FOLD_ANY = 600.0  # seconds after which few are folded too


async def load(node: Node) -> None:
    """Spools → store, as soon as something was committed."""
    committed = node.collector.writer.committed
    poll = WORKERS_POLL if node.workers.count else POLL

    def load_next() -> float:
        committed.wait(poll)
        committed.clear()
        begun = time.monotonic()
        try:
            if node.store_fault:
                resume(node)
            load_waiting(node)
        except Exception as error:
            node.store_fault = str(error)
            raise
        return time.monotonic() - begun

    busy = await node.on_loader(load_next)
    await asyncio.sleep(min(4 * busy, MAX_LOAD_PAUSE) - LOAD_PAUSE)


def resume(node: Node) -> None:
    """Begin where the store stands, or go on with it after a fault; on the loader's thread."""
    now = now_ms()
    node.store.acquire()
    if not node.loader.started:
        visits = node.loader.start(now)
        node.live.visitors.seen(((v.site_id, v.visitor_id, v.last) for v in visits if v.last > now - CURRENT_MS), now)
    else:
        node.store.progress()
    if node.store_fault != NOT_OPENED:
        log.info("store_recovered")
    node.store_fault = ""


def load_waiting(node: Node) -> None:
    """Load what waits in the spools; on the loader's thread."""
    while True:
        begun = time.perf_counter()
        batch = node.loader.step(now_ms())
        if batch is None:
            return
        node.load_seconds.observe(time.perf_counter() - begun)
        if batch.taken < MAX_EVENTS:
            return


async def refresh(node: Node) -> None:
    """Answer again what is looked at, before someone waits for it."""
    await asyncio.to_thread(node.reports.asking.refresh, now_ms(), node.live.bus.watched())


async def fold(node: Node) -> None:
    """Fold visits as events come, where the store can: questions are answered sooner by it."""
    store = node.store
    if not isinstance(store, Folding) or node.store_fault:  # the loader tells of it
        return

    def fold_waiting() -> None:
        few = time.monotonic() - node.folded_at < FOLD_ANY
        waiting = store.unfolded()
        while waiting >= (FOLD_FROM if few else 1) and not node.closing.is_set():
            waiting = store.fold()
            node.folded_at = time.monotonic()

    await asyncio.to_thread(fold_waiting)


async def housekeep(node: Node) -> None:
    """Follow the file of sites and destroy salts on time."""
    await node.collector.housekeep()


async def prune(node: Node) -> None:
    """Let go of the visitors who left."""
    await asyncio.to_thread(node.live.visitors.prune, now_ms())


async def look_after_accounts(node: Node) -> None:
    """See whether the database of accounts answers, and tell collect; do what waits for it."""
    from django.db import Error

    from haru.web.project.setup import AccountsTooNew

    try:
        await asyncio.to_thread(_use_accounts, node)
        if not node.accounts_up:
            log.info("accounts_recovered")
            node.sites_changed()
        node.accounts_up = node.accounts_prepared = True
    except (Error, OSError, AccountsTooNew) as error:
        if node.accounts_up:
            outcome = "pages answer 503, collecting goes on"
            log.error("accounts_unavailable", extra={"error": str(error), "outcome": outcome})
            node.supervisor.restarts["accounts"] += 1
        node.accounts_up = node.accounts_prepared = node.sites_looked_at = False
        if not node.development:
            node.pages_closed = NOT_CHECKED  # another database may come back in its place
    with contextlib.suppress(OSError):  # a full disk: the spool tells of it
        await asyncio.to_thread(set_sure, node.settings.data_dir, node.accounts_up)


def _use_accounts(node: Node) -> None:
    """What is done with the accounts, in this order.

    Raises `django.db.Error` and OSError when they do not answer, and `AccountsTooNew`.
    """
    from haru.accounts.registry import forget_old_sessions  # models: Django must be set up first
    from haru.web.project import setup

    if node.accounts_prepared:
        setup.check()
    else:
        setup.prepare()  # at the start and after an outage the tables may be missing or behind, and collect's sites old
    if node.pages_closed:
        _check_password(node)
    if node.sessions_day != (day := now_ms() // DAY_MS):
        forget_old_sessions()
        node.sessions_day = day
    if node.loader.deleted:
        restore_sites(node)
    if not node.sites_looked_at and not node.store_fault:
        look_at_sites(node)


def _check_password(node: Node) -> None:
    """Open the pages, or say why not. Raises `django.db.Error`."""
    from haru.demo.development import refuse_known_password

    fault = ""
    try:
        refuse_known_password()
    except BadSetting as error:
        fault = str(error)
        if fault != node.pages_closed:
            log.error("known_password", extra={"error": fault, "outcome": "pages answer 503, collecting goes on"})
    node.pages_closed = fault


def restore_sites(node: Node) -> None:
    """Count again for sites that were deleted and have come back, as from a backup. Raises `django.db.Error`."""
    from haru.sites.models import Site

    if back := list(Site.objects.filter(pk__in=node.loader.deleted).values_list("pk", flat=True)):
        node.loader.restore_sites(back)


def look_at_sites(node: Node) -> None:
    """Say which sites of the store the accounts do not know, and finish what was deleted.

    What waits in the spools is loaded first, so that its sites are the store's. Raises `django.db.Error`.
    """
    from haru.sites.lost import sorted_out

    def stored() -> set[int]:
        load_waiting(node)
        return node.store.sites()

    node.sites_looked_at = True  # until a deletion fails, perhaps while this looks
    try:
        lost, deleted = sorted_out(node.loading.submit(stored).result())
        for site_id in deleted:
            node.delete_events(site_id)
    except Exception as error:
        node.sites_looked_at = False
        if isinstance(error, StoreUnavailable):
            return  # the loader tells of it; the next look is in some seconds
        raise
    if lost:
        remedy = "`haru site adopt` lists them and gives them back"
        outcome = "nobody sees their numbers"
        log.error("sites_lost", extra={"sites": sorted(lost), "outcome": outcome, "remedy": remedy})


#: Every job of a server, but for those that look after its collect processes: see `haru.server.workers`.
JOBS: tuple[Job[Node], ...] = (
    Job("loader", load, LOAD_PAUSE,
        "Takes events from the spools into the event store, as soon as they are on disk."),
    Job("refresh", refresh, 60,
        "Answers again what open dashboards show, before somebody waits for it."),
    Job("folding", fold, 10,
        "Folds the visits of new events, where the store can, so that questions are answered sooner."),
    Job("collector", housekeep, HOUSEKEEPING_SECONDS,
        "Follows changes of sites, and destroys the salts of visitor ids on time."),
    Job("visitors", prune, 1,
        "Forgets current visitors who have left."),
    Job("accounts", look_after_accounts, 5,
        "Sees whether the accounts answer and whether the known password of development works, and so whether pages "
        "are shown; removes old sessions each day; finds sites that are lost, deleted or back."),
)  # fmt: skip
