"""The loader: from the spool into the event store, in batches, each event exactly once.

A batch's rows and the spool position it ends at commit together in the store, so a batch that was cut short is read
again from the spool, and one that was committed is never read again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import structlog

from haru.events.event import Arrival
from haru.events.spool import Spool
from haru.events.store import Row, Store, StoreUnavailable
from haru.events.visits import KEPT_MS, Visit, Window

log = structlog.get_logger()

MOST_EVENTS = 10_000  # of a batch: a few milliseconds of commit, and a bound on memory

_encode_props = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Load:
    """What one batch brought: for the cache, the live view and the counters."""

    events: int
    position: int
    sites: frozenset[int]
    seen: tuple[tuple[int, int, int], ...] = ()  # (site id, visitor id, moment in ms) of each event
    unvisited: Counter[int] = field(default_factory=Counter)  # engagements without a live visit, by site


class Loader:
    """Reads the spool, finds each event's visit, hands rows to the store. One for a store."""

    def __init__(
        self,
        spool: Spool,
        store: Store,
        acknowledge: Callable[[int], None] | None = None,
        loaded: Callable[[Load], None] | None = None,
    ) -> None:
        """`acknowledge` lets go of the spool's events up to an id; `loaded` hears of each batch after its commit."""
        self._spool = spool
        self._store = store
        self._acknowledge = acknowledge or spool.acknowledge
        self._loaded = loaded
        self._window = Window(store.visits)
        self._pending: tuple[list[Row], Load] | None = None
        self._position: int | None = None
        self._lock = threading.RLock()

    def start(self, now: int) -> list[Visit]:
        """Take up where the store stands; returns the visits alive now. Raises `StoreUnavailable`."""
        with self._lock:
            since = now - KEPT_MS
            recent = self._store.recent_visits(since)
            position = self._store.position()
            self._window.restore(recent, since)
            self._spool.start_after(position)
            self._acknowledge(position)
            self._position = position
            return recent

    def step(self, now: int) -> Load | None:
        """Load one batch; None when nothing waits. `now` in ms decides which visits are let go.

        Raises `StoreUnavailable`: nothing is lost, and the next call tries the same batch again.
        """
        with self._lock:
            if self._position is None:
                self.start(now)
            if self._pending is None:
                arrivals = self._spool.read(self._position or 0, MOST_EVENTS)
                if not arrivals:
                    return None
                self._pending = self._batch(arrivals)
            rows, load = self._pending
            self._commit(rows, load)
            self._pending = None
            self._position = load.position
            self._acknowledge(load.position)
            self._window.forget(now)
            if self._loaded is not None:
                self._loaded(load)
            return load

    def drain(self, now: int) -> Iterator[Load]:
        """Load batch after batch until the spool is empty."""
        while (load := self.step(now)) is not None:
            yield load

    def delete_site(self, site_id: int, now: int) -> None:
        """Remove a site's events, those that still wait in the spool included."""
        with self._lock:
            for _ in self.drain(now):
                pass
            self._store.delete_site(site_id)
            self._window.forget_site(site_id)

    def _commit(self, rows: list[Row], load: Load) -> None:
        try:
            self._store.load(rows, load.position)
        except StoreUnavailable:
            # The commit may have reached the disk although its answer did not reach us.
            if self._store.position() != load.position:
                raise
            log.warning("load_answer_lost", position=load.position)

    def _batch(self, arrivals: list[Arrival]) -> tuple[list[Row], Load]:
        rows: list[Row] = []
        seen: list[tuple[int, int, int]] = []
        unvisited: Counter[int] = Counter()
        for arrival, visit in zip(arrivals, self._window.assign(arrivals), strict=True):
            if visit is None:
                unvisited[arrival.event.site_id] += 1
                continue
            rows.append(row(arrival, visit))
            seen.append((visit.site_id, visit.visitor_id, arrival.event.at))
        sites = frozenset(site for site, _, _ in seen)
        return rows, Load(len(rows), arrivals[-1].id, sites, tuple(seen), unvisited)


def row(arrival: Arrival, visit: Visit) -> Row:
    """The stored row of an event of this visit, in the order of `COLUMNS`."""
    event = arrival.event
    origin = visit.origin
    return (
        arrival.id,
        event.site_id,
        event.at,
        visit.visitor_id,
        visit.id,
        event.name,
        event.hostname,
        event.path,
        *msgspec.structs.astuple(origin),
        _encode_props(event.props).decode() if event.props else "{}",
        event.revenue_currency,
        event.revenue_amount,
        event.engaged_ms,
        event.scroll_depth,
        event.interactive,
    )
