"""Turns: a few may go on at the same time, and of those who wait the next is whoever had a turn longest ago."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator

from haru.events.stop import Stop

MAX_WAITING = 500  # each waits in a thread of its own
MAX_REMEMBERED = 10_000  # askers, of whom it is known when they had their turn


class Crowded(Exception):
    """So many wait already that one more would not be served in time."""


class _Place:
    """Someone who waits."""

    def __init__(self, asker: Hashable) -> None:
        self.asker = asker
        self.admitted = False
        self.woken = threading.Event()


class Turns:
    """Shares out turns. Safe to use from any thread."""

    def __init__(self, most: int) -> None:
        """`most` go on at the same time."""
        self._free = most
        self._lock = threading.Lock()
        self._waiting: list[_Place] = []  # in the order in which they came
        self._numbers = itertools.count(1)
        self._served: OrderedDict[Hashable, int] = OrderedDict()  # asker → the number of their last turn

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def turn(self, asker: Hashable, stop: Stop) -> Iterator[None]:
        """Wait for a turn and hold it. Raises `Stopped` when `stop` ends the wait, and `Crowded`."""
        stop.check()
        place = _Place(asker)
        with self._lock:
            if not self._free and len(self._waiting) >= MAX_WAITING:
                raise Crowded
            self._waiting.append(place)
            self._admit()
        try:
            if not place.admitted:
                with stop.watching(place.woken.set):
                    place.woken.wait()
            yield
        finally:
            with self._lock:
                if place.admitted:
                    self._free += 1
                else:
                    self._waiting.remove(place)
                self._admit()

    def _admit(self) -> None:
        """Give away the turns that are free; the lock is held."""
        while self._free and self._waiting:
            place = min(self._waiting, key=lambda place: self._served.get(place.asker, 0))
            self._waiting.remove(place)
            self._free -= 1
            self._served[place.asker] = next(self._numbers)
            self._served.move_to_end(place.asker)
            while len(self._served) > MAX_REMEMBERED:
                self._served.popitem(last=False)
            place.admitted = True
            place.woken.set()
