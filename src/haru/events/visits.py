"""The visit window: which visit an event belongs to, in the order of arrival.

The rules stand in docs/metrics.md under "Visits". The window holds the visits that are still alive; for an event so old
that its visit may have left the window (a late event, an import) the store is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from haru.clock import HOUR_MS, MINUTE_MS
from haru.events.event import ENGAGEMENT, Arrival, Event, Origin

VISIT_GAP_MS = 30 * MINUTE_MS  # the longest pause inside a visit
KEPT_MS = HOUR_MS  # how long after its last event a visit stays in memory: the gap, and as much for late events


class Visit(msgspec.Struct):
    """A visit as far as it is needed to place further events."""

    id: int  # id of the event that opened it
    site_id: int
    visitor_id: int
    first: int  # ms, the earliest event of any kind
    last: int  # ms, the latest event of any kind
    origin: Origin  # of the event that opened it

    def reaches(self, at: int) -> bool:
        """Whether an event at this moment belongs to the visit: inside it, or at most the gap before or after it."""
        return self.first - VISIT_GAP_MS <= at <= self.last + VISIT_GAP_MS


Lookup = Callable[[int, Iterable[int], int, int], list[Visit]]
Key = tuple[int, int]  # site id, visitor id


class Window:
    """The visits that events may still join."""

    def __init__(self, lookup: Lookup) -> None:
        """`lookup` asks the store for the visits of visitors of a site with an event between two instants."""
        self._lookup = lookup
        self._visits: dict[Key, list[Visit]] = {}
        # Every visit whose last event is at or after this moment is in memory; older ones may be in the store only.
        self._complete_since = 0

    def __len__(self) -> int:
        return sum(map(len, self._visits.values()))

    def restore(self, visits: Iterable[Visit], since: int) -> None:
        """Begin with these visits: all of those with an event at or after `since` (ms)."""
        self._visits.clear()
        for visit in visits:
            self._visits.setdefault((visit.site_id, visit.visitor_id), []).append(visit)
        self._complete_since = since

    def assign(self, arrivals: Sequence[Arrival]) -> list[Visit | None]:
        """The visit of each event, in order; None for an engagement without a live visit, which is not counted.

        Arrivals must come in the order of their ids, each once, and be in the store before `forget` is called.
        """
        self._recall(arrivals)
        return [self._place(arrival) for arrival in arrivals]

    def forget(self, now: int) -> None:
        """Let go of visits that ended long before `now` (ms). All events assigned so far must be in the store."""
        horizon = max(self._complete_since, now - KEPT_MS)
        for key in [key for key, visits in self._visits.items() if min(v.last for v in visits) < horizon]:
            kept = [visit for visit in self._visits[key] if visit.last >= horizon]
            if kept:
                self._visits[key] = kept
            else:
                del self._visits[key]
        self._complete_since = horizon

    def concerns(self, site_id: int, visitor_id: int, at: int) -> bool:
        """Whether what the store was given for this visitor at this moment must be known here, see `renew`."""
        return at >= self._complete_since or (site_id, visitor_id) in self._visits

    def renew(self, visits: Iterable[Visit]) -> None:
        """Take over visits as the store has them: those that came or grew there without being placed here."""
        for visit in visits:
            known = self._visits.setdefault((visit.site_id, visit.visitor_id), [])
            known[:] = [other for other in known if other.id != visit.id] + [visit]

    def forget_site(self, site_id: int) -> None:
        """Let go of every visit of a site that was deleted."""
        for key in [key for key in self._visits if key[0] == site_id]:
            del self._visits[key]

    def _recall(self, arrivals: Sequence[Arrival]) -> None:
        """Bring back from the store the visits that old events may join."""
        old: defaultdict[int, list[Event]] = defaultdict(list)
        for arrival in arrivals:
            if arrival.event.at - VISIT_GAP_MS < self._complete_since:
                old[arrival.event.site_id].append(arrival.event)
        for site_id, events in old.items():
            visitors = {event.visitor_id for event in events} | {event.visitor_before for event in events}
            since = min(event.at for event in events) - VISIT_GAP_MS
            until = max(event.at for event in events) + VISIT_GAP_MS
            for visit in self._lookup(site_id, visitors, since, until):
                known = self._visits.setdefault((site_id, visit.visitor_id), [])
                if all(visit.id != other.id for other in known):
                    known.append(visit)

    def _place(self, arrival: Arrival) -> Visit | None:
        event = arrival.event
        visit = self._alive(event)
        if visit is not None:
            visit.first = min(visit.first, event.at)
            visit.last = max(visit.last, event.at)
            return visit
        if event.name == ENGAGEMENT:
            return None
        visit = Visit(arrival.id, event.site_id, event.visitor_id, event.at, event.at, event.origin)
        self._visits.setdefault((event.site_id, event.visitor_id), []).append(visit)
        return visit

    def _alive(self, event: Event) -> Visit | None:
        """The visit that an event continues; of several the one that lasted longest, then the newest."""
        visits = self._visits.get((event.site_id, event.visitor_id))
        if event.visitor_before != event.visitor_id:
            before = self._visits.get((event.site_id, event.visitor_before))
            if before:
                visits = visits + before if visits else before
        if not visits:
            return None
        if len(visits) == 1:
            return visits[0] if visits[0].reaches(event.at) else None
        return max((v for v in visits if v.reaches(event.at)), key=lambda v: (v.last, v.id), default=None)
