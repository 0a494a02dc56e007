"""One computation for each question: answers are kept a while, and whoever asks meanwhile waits for the same one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from haru.stats import waiting
from haru.stats.waiting import Flight
from haru.store.stop import Stopped

MOST_ENTRIES = 2_000
MOST_CELLS = 1_000_000  # values in all that is kept, about 100 bytes each
LIFE_MS = 60_000
STALE_COSTS = 5  # a stale answer is served for as many times what it cost


@dataclass(frozen=True, slots=True)
class Entry:
    """A value with its circumstances."""

    value: Any
    site_id: int
    generation: int  # how often the site had changed when the computation began
    computed_at_ms: int
    cost_ms: float
    cells: int = 1  # how many values it holds, each of much the same size in memory


class Cache:
    """Values computed from a site's events. All methods may be called from any thread."""

    def __init__(
        self,
        most: int = MOST_ENTRIES,
        clock: Callable[[], float] = time.perf_counter,
        seconds: float = 0,
        cells: Callable[[Any], int] = lambda value: 1,
        most_cells: int = MOST_CELLS,
    ) -> None:
        """`most` entries of together `most_cells` are kept, those asked last, and none of more than a quarter of that;
        `cells` tells how many a value has. `clock` tells seconds, for the cost of a computation.

        `seconds` is the limit of a computation; 0 is none.
        """
        self._seconds = seconds
        self._most = most
        self._most_cells = most_cells
        self._count_cells = cells
        self._cells = 0  # of all entries
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._flights: dict[Hashable, Flight] = {}
        self._generations: dict[int, int] = {}
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def invalidate(self, site_ids: Iterable[int]) -> None:
        """What was computed of these sites before is stale from now on."""
        with self._lock:
            for site_id in site_ids:
                self._generations[site_id] = self._generations.get(site_id, 0) + 1

    def get(
        self, key: Hashable, site_id: int, now_ms: int, compute: Callable[[], Any], *, fresh: bool = False
    ) -> Entry:
        """The value under this key, computed when there is none that may be served. `fresh`: none that is stale.

        Raises what `compute` raises, to everyone who waits for it; an error is not kept. It is ended when everyone who
        waits for it has left: see `haru.stats.waiting`.
        """
        waiter = waiting.current.get()
        with self._lock:
            asked = self._generations.get(site_id, 0)
        while True:
            if waiter is not None:
                waiter.check()
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None and self._may_serve(entry, now_ms, fresh):
                    self._entries.move_to_end(key)
                    self.hits += 1
                    return entry
                flight = self._flights.get(key)
                mine = flight is None
                if flight is None:
                    flight = Flight(self._generations.get(site_id, 0), self._seconds)
                    self._flights[key] = flight
                    self.misses += 1
                boarded = flight.board()
            with waiter.on(flight) if waiter is not None and boarded else nullcontext():
                if mine:
                    return self._compute(key, site_id, now_ms, compute, flight)
                try:
                    entry = flight.entry(waiter)
                except Stopped:
                    # Those for whom it was are gone, or had less time left: another round for whoever still waits.
                    if flight.abandoned or flight.stop.curtailed:
                        continue
                    raise
            # A computation that began before the change this caller knows of is not fresh to them: another round.
            if not fresh or flight.generation >= asked:
                return entry

    def usable(self, key: Hashable, now_ms: int) -> bool:
        """Whether there is a value that is neither old nor stale."""
        with self._lock:
            entry = self._entries.get(key)
            return entry is not None and self._may_serve(entry, now_ms, fresh=True)

    def _may_serve(self, entry: Entry, now_ms: int, fresh: bool) -> bool:
        age = now_ms - entry.computed_at_ms
        if not 0 <= age < LIFE_MS:
            return False
        if entry.generation == self._generations.get(entry.site_id, 0):
            return True
        return not fresh and age < STALE_COSTS * entry.cost_ms

    def _compute(self, key: Hashable, site_id: int, now_ms: int, compute: Callable[[], Any], flight: Flight) -> Entry:
        begun = self._clock()
        try:
            with flight.waits():
                value = compute()
        except BaseException as error:
            with self._lock:
                del self._flights[key]
            flight.future.set_exception(error)
            raise
        cost_ms = (self._clock() - begun) * 1000
        entry = Entry(value, site_id, flight.generation, now_ms, cost_ms, self._count_cells(value))
        with self._lock:
            del self._flights[key]
            self._keep(key, entry)
        flight.future.set_result(entry)
        return entry

    def _keep(self, key: Hashable, entry: Entry) -> None:
        before = self._entries.pop(key, None)
        if before is not None:
            self._cells -= before.cells
        if entry.cells > self._most_cells // 4:  # the many small ones would go for its sake
            return
        self._entries[key] = entry
        self._cells += entry.cells
        while len(self._entries) > self._most or self._cells > self._most_cells:
            self._cells -= self._entries.popitem(last=False)[1].cells
