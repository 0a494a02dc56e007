"""The loader: from the spools into the event store, in batches, each event exactly once.

A batch's rows and the positions in the spools that it ends at commit together in the store, so a batch that was cut
short is read again from the spools, and one that was committed is never read again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from haru.clock import hour_of
from haru.events.columns import BLANK, NAMES, Row, row_of
from haru.events.event import Arrival, Event
from haru.events.ledger import RefusalCount
from haru.events.refusals import Refusal
from haru.events.visits import KEPT_MS, Visit, Window
from haru.spool.keys import IdempotencyKeys, KeyUse
from haru.spool.spool import Batch, Imported, Spools
from haru.store.protocol import Progress, Store, StoreMoved, StoreUnavailable

log = logging.getLogger(__name__)

MAX_EVENTS = 10_000  # of a batch: a few milliseconds of commit, and a bound on memory


_ID, _SITE, _AT, _VISITOR, _VISIT = map(NAMES.index, ("id", "site_id", "occurred_at", "visitor_id", "visit_id"))


@dataclass(frozen=True, slots=True)
class Load:
    """What one batch brought: for the cache, the live view and the counters."""

    events: int  # rows stored
    taken: int  # events read from the spools
    sites: frozenset[int]
    seen: tuple[tuple[int, int, int], ...] = ()  # (site id, visitor id, moment in ms) of each event


@dataclass(frozen=True, slots=True)
class _Pending:
    rows: list[Row]
    refusals: list[RefusalCount]
    progress: Progress
    load: Load
    imported: tuple[Row, ...] = ()  # of the rows, those that came with their visit


class Loader:
    """Reads the spools, finds each event's visit, hands rows to the store. One for a store."""

    def __init__(
        self, spools: Spools, store: Store, keys: IdempotencyKeys, loaded: Callable[[Load], None] | None = None
    ) -> None:
        """`loaded` hears of each batch after its commit."""
        self._spools = spools
        self._store = store
        self._keys = keys
        self._loaded = loaded
        self._window = Window(store.visits)
        self._pending: _Pending | None = None
        self._doubtful = False  # whether the pending batch may be in the store although its load failed
        self._progress: Progress | None = None
        self._deleted: set[int] = set()  # sites: what still comes of them is let go
        self._lock = threading.RLock()

    def start(self, now: int) -> list[Visit]:
        """Take up where the store stands; returns the visits alive now. Raises `StoreUnavailable`, `StoreHeld`."""
        with self._lock:
            since = now - KEPT_MS
            self._store.acquire()
            self._pending, self._doubtful = None, False
            recent = self._store.recent_visits(since)
            progress = self._store.progress()
            self._window.restore(recent, since)
            self._spools.start_after(progress.positions)
            self._spools.acknowledge(progress.positions)
            self._progress = progress
            return recent

    @property
    def started(self) -> bool:
        """Whether `start` has been done."""
        return self._progress is not None

    def step(self, now: int) -> Load | None:
        """Load one batch; None when nothing waits. `now` in ms decides which visits are let go.

        Raises `StoreUnavailable`: nothing is lost, and the next call tries the same batch again.
        """
        with self._lock:
            if self._progress is None:
                self.start(now)
            progress = self._progress or Progress()
            if self._pending is None:
                found = self._spools.read(progress.positions, MAX_EVENTS)
                if not found:
                    return None
                self._pending = self._prepared(found, progress)
            pending = self._pending
            self._commit(pending)
            self._pending = None
            self._progress = pending.progress
            self._spools.acknowledge(pending.progress.positions)
            self._renew(pending.imported)
            self._window.forget(now)
            if self._loaded is not None:
                self._loaded(pending.load)
            return pending.load

    def drain(self, now: int) -> Iterator[Load]:
        """Load batch after batch until the spools are empty."""
        while (load := self.step(now)) is not None:
            yield load

    def delete_site(self, site_id: int, now: int) -> None:
        """Remove a site's events, those that still wait in the spools or come late included."""
        with self._lock:
            self._deleted.add(site_id)
            for _ in self.drain(now):
                pass
            self._store.delete_site(site_id)
            self._window.forget_site(site_id)
            self._keys.forget_site(site_id)

    @property
    def deleted(self) -> frozenset[int]:
        """The sites whose events are let go."""
        return frozenset(self._deleted)

    def restore_sites(self, site_ids: Iterable[int]) -> None:
        """Store events of these sites again: they were deleted and are there again."""
        with self._lock:
            self._deleted.difference_update(site_ids)

    def _commit(self, pending: _Pending) -> None:
        # A commit may have reached the disk although its answer did not reach us: before a batch is given again the
        # store is asked. It may be away then too, and for long.
        if not (self._doubtful and self._is_there(pending)):
            self._doubtful = True
            try:
                self._store.load(pending.rows, pending.progress, pending.refusals)
            except StoreMoved:
                self._progress = None  # the next step begins again: ids and visits may be others now
                raise
            except StoreUnavailable:
                if not self._is_there(pending):
                    raise
        self._doubtful = False

    def _is_there(self, pending: _Pending) -> bool:
        there = self._store.progress() == pending.progress
        if there:
            log.warning("load_answer_lost", extra={"last_id": pending.progress.last_id})
        return there

    def _prepared(self, found: Sequence[tuple[str, Batch]], progress: Progress) -> _Pending:
        events, refusals = self._counted(found)
        events = [event for event in events if event.site_id not in self._deleted]
        refusals = [refusal for refusal in refusals if refusal.site_id not in self._deleted]
        first = progress.last_id + 1
        arrivals = [Arrival(id, event) for id, event in enumerate(events, first)]
        rows: list[Row] = []
        seen: list[tuple[int, int, int]] = []
        unvisited: Counter[tuple[int, int]] = Counter()
        for arrival, visit in zip(arrivals, self._window.assign(arrivals), strict=True):
            if visit is None:
                unvisited[arrival.event.site_id, hour_of(arrival.event.at)] += 1
                continue
            rows.append(row_of(arrival, visit))
            seen.append((visit.site_id, visit.visitor_id, arrival.event.at))
        refusals += [
            RefusalCount(site_id, hour, Refusal.NO_VISIT_FOR_ENGAGEMENT.value, "", count)
            for (site_id, hour), count in unvisited.items()
        ]
        numbered = Progress(progress.last_id + len(events), dict(progress.positions))
        imported, numbered = _taken_in([batch.body.imported for _, batch in found if batch.body.imported], numbered)
        imported = [row for row in imported if row[_SITE] not in self._deleted]
        rows += imported
        seen += [(row[_SITE], row[_VISITOR], row[_AT]) for row in imported]
        sites = frozenset(site for site, _, _ in seen)
        positions = {**numbered.positions, **{name: batch.id for name, batch in found}}
        taken = sum(len(batch.body) for _, batch in found)
        load = Load(len(rows), taken, sites, tuple(seen))
        return _Pending(rows, refusals, Progress(numbered.last_id, positions), load, tuple(imported))

    def _renew(self, rows: Sequence[Row]) -> None:
        """Let the window know of the visits that came with their rows, where events may still join them."""
        sites: dict[int, list[Row]] = {}
        for row in rows:
            if self._window.concerns(row[_SITE], row[_VISITOR], row[_AT]):
                sites.setdefault(row[_SITE], []).append(row)
        try:
            for site_id, some in sites.items():
                moments = [row[_AT] for row in some]
                visitors = {row[_VISITOR] for row in some}
                self._window.renew(self._store.visits(site_id, visitors, min(moments), max(moments)))
        except StoreUnavailable as error:
            log.warning("window_not_renewed", extra={"error": str(error)})
            self._progress = None  # the next step begins where the store stands, with its visits

    def _counted(self, found: Sequence[tuple[str, Batch]]) -> tuple[list[Event], list[RefusalCount]]:
        """The events that count, in order, and the refusals: those whose key another event has are among them."""
        refusals = [refusal for _, batch in found for refusal in batch.body.refusals]
        uses: list[KeyUse] = []
        for name, batch in found:
            for place, key in batch.body.keys:
                event = batch.body.events[place]
                uses.append((event.site_id, key, event.at, f"{name}/{batch.id}/{place}"))
        duplicates = self._keys.duplicates(uses)
        if not duplicates:
            return [event for _, batch in found for event in batch.body.events], refusals
        events = []
        for name, batch in found:
            for place, event in enumerate(batch.body.events):
                if f"{name}/{batch.id}/{place}" in duplicates:
                    refusals.append(RefusalCount(event.site_id, hour_of(event.at), Refusal.DUPLICATE.value, "", 1))
                else:
                    events.append(event)
        return events, refusals


def _taken_in(parts: Iterable[Imported], progress: Progress) -> tuple[list[Row], Progress]:
    """The rows of files with their own ids, and how far that brings the store.

    All ids of a file move by the same distance, to behind the last id there is when its first rows come: visits stay
    together and the order stays. The store remembers where that was, and how many of the file's rows it has.
    """
    rows: list[Row] = []
    last_id, positions = progress.last_id, dict(progress.positions)
    for part in parts:
        done = positions.get(f"{part.name}/rows", 0)
        base = positions.get(part.name)
        if base is None:
            base = positions[part.name] = last_id + 1
            last_id += part.span
        shift = base - part.first
        for row in part.rows[max(0, done - part.start) :]:
            moved = [*row, *BLANK[len(row) :]]  # an older release wrote fewer columns
            moved[_ID] += shift
            moved[_VISIT] += shift
            rows.append(tuple(moved))
        positions[f"{part.name}/rows"] = max(done, part.start + len(part.rows))
    return rows, Progress(last_id, positions)
