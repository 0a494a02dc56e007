"""Asking: how a store is asked, under every kind of report: in turn, within a time, as long as someone waits, and once
for all who want to know the same.

A request makes its `Waiter` the current one of its context. Each computation it waits for is a waiter too, of the
computations it needs itself: when the last waiter has left, what was computed for them is ended. Whoever is no request
waits to the end.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.sql import ClauseElement

from haru.clock import MINUTE_MS
from haru.histogram import Histogram
from haru.stats.turns import Crowded, Turns
from haru.store.protocol import Store, StoreOutOfMemory
from haru.store.stop import Stop, Stopped

T = TypeVar("T")

MAX_AT_ONCE = 4  # queries that run at the same time; others wait for their turn, whoever asks in turn
MAX_ENTRIES = 2_000
MAX_CELLS = 1_000_000  # values in all that is kept, about 100 bytes each
LIFE_MS = MINUTE_MS
STALE_COSTS = 5  # a stale answer is served for as many times what it cost
HOT_MS = 2 * MINUTE_MS  # questions asked within this time are answered again before someone waits for them
REFRESH_SECONDS = 6.0  # that answering them again may take each minute
STEP = 1_000  # things that are done between two looks whether anyone still waits for them


class Waiter:
    """Someone who waits for answers and may leave."""

    def __init__(self, stop: Stop | None = None, asker: Hashable = None) -> None:
        """`stop` ends the wait; `asker` is whoever asks, of whom turns are given to one after the other."""
        self.stop = stop or Stop()
        self.asker = asker
        self._lock = threading.Lock()
        self._computations: list[Computation] = []
        self.gone = False

    def leave(self) -> None:
        """The answers are not wanted any more. Does not block; may be called from any thread, and again."""
        with self._lock:
            self.gone = True
            computations, self._computations = self._computations, []
        self.stop.cancel()
        for computation in computations:
            computation.drop()

    def check(self) -> None:
        """Raises `Stopped` for one who has left or has no time left."""
        self.stop.check()

    @contextlib.contextmanager
    def waits_for(self, computation: Computation) -> Iterator[None]:
        """While waiting for a computation that was joined."""
        with self._lock:
            gone = self.gone
            if not gone:
                self._computations.append(computation)
        if gone:
            computation.drop()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._computations.remove(computation)

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Make it the current one while the block runs."""
        before = current.set(self)
        try:
            yield
        finally:
            current.reset(before)


current: ContextVar[Waiter | None] = ContextVar("haru_waiter", default=None)


def name_asker(asker: Hashable) -> None:
    """Tell who asks in this request, when it is one."""
    if (waiter := current.get()) is not None:
        waiter.asker = asker


def while_wanted(things: Iterable[T]) -> Iterator[T]:
    """The same, as long as someone waits for what is made of them; raises `Stopped` when nobody does any more."""
    waiter = current.get()
    for number, thing in enumerate(things):
        if waiter is not None and number % STEP == 0:
            waiter.check()
        yield thing


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[Waiter]:
    """A question of whoever waits: all of its computations together may take so many seconds; 0 is no limit."""
    waiter = current.get()
    computation = Computation(0, seconds)
    computation.join()
    with waiter.waits_for(computation) if waiter is not None else contextlib.nullcontext(), computation.waits():
        yield computation


class Computation(Waiter):
    """One computation in flight, for all who ask for it meanwhile."""

    def __init__(self, generation: int, seconds: float = 0) -> None:
        """`generation` of the site when it began; it may take so many seconds and no longer than what it is for."""
        waiter = current.get()
        within = waiter.stop if waiter is not None else None
        super().__init__(Stop(seconds, within), waiter.asker if waiter is not None else None)
        self.generation = generation
        self.future: Future[Entry] = Future()
        self._joining = threading.Lock()
        self._waiters = 0
        self.abandoned = False

    def join(self) -> bool:
        """One more waits; False when everyone has left already and it is being ended."""
        with self._joining:
            if not self.abandoned:
                self._waiters += 1
            return not self.abandoned

    def drop(self) -> None:
        """One of those who wait has left."""
        with self._joining:
            self._waiters -= 1
            self.abandoned = last = self._waiters == 0
        if last:
            self.leave()

    def entry(self, waiter: Waiter | None) -> Entry:
        """What it gave. Raises what it ended with, and `Stopped` as soon as `waiter` has left or has no time left."""
        if waiter is not None:
            woken = threading.Event()
            self.future.add_done_callback(lambda _: woken.set())
            try:
                with waiter.stop.watching(woken.set):
                    woken.wait()
            except Stopped:
                waiter.leave()  # whoever has no time left is gone too: what nobody else waits for ends
                raise
        return self.future.result()


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
    """Values computed from a site's events, each once however many ask. May be used from any thread."""

    def __init__(
        self,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.perf_counter,
        seconds: float = 0,
        cells: Callable[[Any], int] = lambda value: 1,
        max_cells: int = MAX_CELLS,
    ) -> None:
        """`max_entries` of together `max_cells` are kept, those asked last, and none of more than a quarter of that;
        `cells` tells how many a value has. `clock` tells seconds, for the cost of a computation.

        `seconds` is the limit of a computation; 0 is none.
        """
        self._seconds = seconds
        self._max_entries = max_entries
        self._max_cells = max_cells
        self._count_cells = cells
        self._cells = 0  # of all entries
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._in_flight: dict[Hashable, Computation] = {}
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
        waits for it has left.
        """
        waiter = current.get()
        with self._lock:
            wanted = self._generations.get(site_id, 0)
        while True:
            if waiter is not None:
                waiter.check()
            with self._lock:
                entry = self._entries.get(key)
                if entry is not None and self._may_serve(entry, now_ms, fresh):
                    self._entries.move_to_end(key)
                    self.hits += 1
                    return entry
                computation = self._in_flight.get(key)
                mine = computation is None
                if computation is None:
                    computation = Computation(self._generations.get(site_id, 0), self._seconds)
                    self._in_flight[key] = computation
                    self.misses += 1
                joined = computation.join()
            with waiter.waits_for(computation) if waiter is not None and joined else contextlib.nullcontext():
                if mine:
                    return self._compute(key, site_id, now_ms, compute, computation)
                try:
                    entry = computation.entry(waiter)
                except Stopped:
                    # Those for whom it was are gone, or had less time left: another round for whoever still waits.
                    if computation.abandoned or computation.stop.curtailed:
                        continue
                    raise
            # A computation that began before the change this caller knows of is not fresh to them: another round.
            if not fresh or computation.generation >= wanted:
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

    def _compute(
        self, key: Hashable, site_id: int, now_ms: int, compute: Callable[[], Any], computation: Computation
    ) -> Entry:
        begun = self._clock()
        try:
            with computation.waits():
                value = compute()
        except BaseException as error:
            with self._lock:
                del self._in_flight[key]
            computation.future.set_exception(error)
            raise
        cost_ms = (self._clock() - begun) * 1000
        entry = Entry(value, site_id, computation.generation, now_ms, cost_ms, self._count_cells(value))
        with self._lock:
            del self._in_flight[key]
            self._keep(key, entry)
        computation.future.set_result(entry)
        return entry

    def _keep(self, key: Hashable, entry: Entry) -> None:
        before = self._entries.pop(key, None)
        if before is not None:
            self._cells -= before.cells
        if entry.cells > self._max_cells // 4:  # the many small ones would go for its sake
            return
        self._entries[key] = entry
        self._cells += entry.cells
        while len(self._entries) > self._max_entries or self._cells > self._max_cells:
            self._cells -= self._entries.popitem(last=False)[1].cells


@dataclass(frozen=True, slots=True)
class _Hot:
    """A question that was asked in the last minutes."""

    site_id: int
    asked_at_ms: int
    answer: Callable[[int], object]  # once more, at this moment


class Asking:
    """Asks one store. Every method may be called from any thread and blocks."""

    def __init__(self, store: Store, seconds: float = 0) -> None:
        """`store` is asked; it is not closed. One question may take so many seconds; 0 is no limit.

        A value that is kept may have `cells`, as many as it holds.
        """
        self._store = store
        self._seconds = seconds
        self.cache = Cache(seconds=seconds, cells=lambda value: getattr(value, "cells", 1))
        self._turns = Turns(MAX_AT_ONCE)
        self._counting = threading.Lock()
        self.running = 0  # queries under way
        self.stopped: Counter[str] = Counter()  # queries ended before their answer: "limit" or "left"
        self.query_seconds = Histogram((0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0))
        self._hot: OrderedDict[Hashable, _Hot] = OrderedDict()  # the one asked last at the end
        self._hot_lock = threading.Lock()

    def invalidate(self, site_ids: Iterable[int]) -> None:
        """Events of these sites were loaded or removed: what was computed of them is stale."""
        self.cache.invalidate(site_ids)

    @contextlib.contextmanager
    def question(self, key: Hashable, site_id: int, now_ms: int, answer: Callable[[int], object]) -> Iterator[None]:
        """A question of whoever waits: all that is asked in the block takes no longer than one question may.

        `answer` answers it again, at another moment: see `refresh`.
        """
        with self._hot_lock:
            self._hot[key] = _Hot(site_id, now_ms, answer)
            self._hot.move_to_end(key)
            while len(self._hot) > MAX_ENTRIES:
                self._hot.popitem(last=False)
        with self.limited():
            yield

    def limited(self) -> contextlib.AbstractContextManager[Waiter]:
        """All that is asked in the block takes no longer than one question may."""
        return limited(self._seconds)

    def rows(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """What a statement finds, in turn. Raises as `Store.fetch` does, and `Crowded`."""
        with contextlib.ExitStack() as held:
            waiter = current.get() or held.enter_context(self.limited())
            try:
                held.enter_context(self._turns.turn(waiter.asker, waiter.stop))
                held.enter_context(self._measured())
                return self._store.fetch(statement, parameters, waiter.stop)
            except Stopped:
                with self._counting:
                    self.stopped["left" if waiter.gone else "limit"] += 1
                raise

    @contextlib.contextmanager
    def _measured(self) -> Iterator[None]:
        with self._counting:
            self.running += 1
        begun = time.perf_counter()
        try:
            yield
        finally:
            with self._counting:
                self.running -= 1
            self.query_seconds.observe(time.perf_counter() - begun)

    def refresh(self, now_ms: int, watched: Collection[int], seconds: float = REFRESH_SECONDS) -> None:
        """Answer again what was asked in the last minutes of sites that are watched.

        What was asked last comes first; when the seconds are over, the rest waits until someone asks.
        """
        with self._hot_lock:
            for key in [key for key, hot in self._hot.items() if hot.asked_at_ms < now_ms - HOT_MS]:
                del self._hot[key]
            questions = [(key, hot) for key, hot in reversed(self._hot.items()) if hot.site_id in watched]
        stop = Stop(seconds)
        with Waiter(stop, "refresh").waits():
            for key, hot in itertools.takewhile(lambda _: not stop.over, questions):
                try:
                    hot.answer(now_ms)
                except Crowded:  # those who ask now come first
                    return
                except (Stopped, StoreOutOfMemory):  # not again until someone asks
                    with self._hot_lock:
                        self._hot.pop(key, None)
