"""Turns: a few may go on at the same time, and the others wait.

Guests of shared links go after all others, but one turn in five is a guest's when both wait; the guests of one site
hold one turn at most; and among equals the next is whoever had a turn longest ago.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from haru.store.stop import Stop

ONE_FOR_GUESTS = 5  # of so many turns given away while guests and others wait, one is a guest's
MAX_WAITING = 500  # each waits in a thread of its own
MAX_EACH = 50  # of one asker that wait: they must leave room for others
MAX_GUESTS = 100  # of one site that wait: they must leave room for those of others
MAX_REMEMBERED = 10_000  # askers, of whom it is known when they had their turn


class Crowded(Exception):
    """So many wait already that one more would not be served in time."""


@dataclass(frozen=True, slots=True)
class Guest:
    """An asker who has no more than a shared link."""

    site_id: int
    link_id: int
    network: bytes


class _Place:
    """Someone who waits."""

    def __init__(self, asker: Hashable) -> None:
        self.asker = asker
        self.site = asker.site_id if isinstance(asker, Guest) else None  # whose guest it is
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
        self._guested: set[int | None] = set()  # sites of which a guest has a turn
        self._contested = 0  # turns given away while guests and others waited

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
            if self._crowded(place):
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
                    self._guested.discard(place.site)
                else:
                    self._waiting.remove(place)
                self._admit()

    def _crowded(self, place: _Place) -> bool:
        """Whether too many wait for one more; the lock is held."""
        if sum(other.asker == place.asker for other in self._waiting) >= MAX_EACH:
            return True
        if place.site is not None and sum(other.site == place.site for other in self._waiting) >= MAX_GUESTS:
            return True
        return not self._free and len(self._waiting) >= MAX_WAITING

    def _admit(self) -> None:
        """Give away the turns that are free; the lock is held."""
        while self._free and (places := self._first()):
            place = min(places, key=lambda place: self._served.get(place.asker, 0))
            self._waiting.remove(place)
            self._free -= 1
            if place.site is not None:
                self._guested.add(place.site)
            self._served[place.asker] = next(self._numbers)
            self._served.move_to_end(place.asker)
            while len(self._served) > MAX_REMEMBERED:
                self._served.popitem(last=False)
            place.admitted = True
            place.woken.set()

    def _first(self) -> list[_Place]:
        """Those of whom one is next: the guests who may have a turn, or all others; the lock is held."""
        guests = [place for place in self._waiting if place.site is not None and place.site not in self._guested]
        others = [place for place in self._waiting if place.site is None]
        if not guests or not others:
            return guests or others
        self._contested += 1
        return others if self._contested % ONE_FOR_GUESTS else guests
