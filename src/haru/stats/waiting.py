"""Who waits for an answer. When the last one has left, what was computed for them is ended.

A request makes its `Waiter` the current one of its context; each computation it waits for (`Flight`) is a waiter too,
of the computations it needs itself. Who is no request, such as the refresh in the background, waits to the end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING

from haru.events.stop import Stop, Stopped

if TYPE_CHECKING:
    from haru.stats.cache import Entry


class Waiter:
    """Someone who waits for answers and may leave."""

    def __init__(self) -> None:
        self._waiting = threading.Lock()
        self._flights: list[Flight] = []
        self.gone = False

    def leave(self) -> None:
        """The answers are not wanted any more. Does not block; may be called from any thread, and again."""
        with self._waiting:
            self.gone = True
            flights, self._flights = self._flights, []
        for flight in flights:
            flight.lost()

    def check(self) -> None:
        """Raises `Stopped` for one who has left."""
        if self.gone:
            raise Stopped("Nobody waits for the answer any more.")

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


current: ContextVar[Waiter | None] = ContextVar("haru_waiter", default=None)


class Flight(Waiter):
    """One computation under way, for all who ask for it meanwhile."""

    def __init__(self, generation: int, seconds: float = 0) -> None:
        """`generation` of the site when it began; one query of it may take so many seconds, 0 is no limit."""
        super().__init__()
        self.generation = generation
        self.future: Future[Entry] = Future()
        self.stop = Stop(seconds)
        self._boarding = threading.Lock()
        self._waiters = 0
        self.abandoned = False

    def board(self) -> bool:
        """One more waits; False when everyone has left already and it is being ended."""
        with self._boarding:
            if not self.abandoned:
                self._waiters += 1
            return not self.abandoned

    def lost(self) -> None:
        """One of those who wait has left."""
        with self._boarding:
            self._waiters -= 1
            self.abandoned = last = self._waiters == 0
        if last:
            self.stop.cancel()
            self.leave()
