"""Who waits for an answer. When the last one has left, what was computed for them is ended.

A request makes its `Waiter` the current one of its context; each computation it waits for (`Flight`) is a waiter too,
of the computations it needs itself. Who is no request waits to the end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from haru.store.stop import Stop, Stopped

if TYPE_CHECKING:
    from haru.stats.cache import Entry

T = TypeVar("T")
STEP = 1_000  # things that are done between two looks whether anyone still waits for them


class Waiter:
    """Someone who waits for answers and may leave."""

    def __init__(self, stop: Stop | None = None, asker: Hashable = None) -> None:
        """`stop` ends the wait; `asker` is whoever asks, of whom turns are given to one after the other."""
        self.stop = stop or Stop()
        self.asker = asker
        self._waiting = threading.Lock()
        self._flights: list[Flight] = []
        self.gone = False

    def leave(self) -> None:
        """The answers are not wanted any more. Does not block; may be called from any thread, and again."""
        with self._waiting:
            self.gone = True
            flights, self._flights = self._flights, []
        self.stop.cancel()
        for flight in flights:
            flight.lost()

    def check(self) -> None:
        """Raises `Stopped` for one who has left or has no time left."""
        self.stop.check()

    @contextlib.contextmanager
    def on(self, flight: Flight) -> Iterator[None]:
        """While waiting for a flight that was boarded."""
        with self._waiting:
            gone = self.gone
            if not gone:
                self._flights.append(flight)
        if gone:
            flight.lost()
        try:
            yield
        finally:
            with self._waiting, contextlib.suppress(ValueError):
                self._flights.remove(flight)

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Make it the current one while the block runs."""
        before = current.set(self)
        try:
            yield
        finally:
            current.reset(before)


current: ContextVar[Waiter | None] = ContextVar("haru_waiter", default=None)


def asks(asker: Hashable) -> None:
    """Tell who asks in this request, when it is one."""
    if (waiter := current.get()) is not None:
        waiter.asker = asker


def watched(things: Iterable[T]) -> Iterator[T]:
    """The same, as long as someone waits for what is made of them; raises `Stopped` when nobody does any more."""
    waiter = current.get()
    for number, thing in enumerate(things):
        if waiter is not None and number % STEP == 0:
            waiter.check()
        yield thing


@contextlib.contextmanager
def question(seconds: float) -> Iterator[Waiter]:
    """A question of whoever waits: all of its computations together may take so many seconds; 0 is no limit."""
    waiter = current.get()
    flight = Flight(0, seconds)
    flight.board()
    with waiter.on(flight) if waiter is not None else contextlib.nullcontext(), flight.waits():
        yield flight


class Flight(Waiter):
    """One computation under way, for all who ask for it meanwhile."""

    def __init__(self, generation: int, seconds: float = 0) -> None:
        """`generation` of the site when it began; it may take so many seconds and no longer than what it is for."""
        waiter = current.get()
        within = waiter.stop if waiter is not None else None
        super().__init__(Stop(seconds, within), waiter.asker if waiter is not None else None)
        self.generation = generation
        self.future: Future[Entry] = Future()
        self._boarding = threading.Lock()
        self._waiters = 0
        self.abandoned = False

    def board(self) -> bool:
        """One more waits; False when everyone has left already and it is being ended."""
        with self._boarding:
            if not self.abandoned:
                self._waiters += 1
            return not self.abandoned

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

    def lost(self) -> None:
        """One of those who wait has left."""
        with self._boarding:
            self._waiters -= 1
            self.abandoned = last = self._waiters == 0
        if last:
            self.leave()
