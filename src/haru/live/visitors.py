"""Who is on a site right now: current visitors, in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from haru.clock import MINUTE_MS

COUNT_MS = 250  # how long a count may hold while nobody comes or goes: all who watch a site share one
CURRENT_MS = 5 * MINUTE_MS  # a visitor is current for this long after an event


class CurrentVisitors:
    """Who is current on each site. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, dict[int, int]] = {}  # site id → visitor id → moment of the last event, oldest first
        self._counted: dict[int, tuple[int, int, int]] = {}  # site id → (from, until, current visitors)

    def seen(self, entries: Iterable[tuple[int, int, int]], now: int) -> None:
        """Take in events as (site id, visitor id, moment in ms). Those from outside the window change nothing."""
        oldest = now - CURRENT_MS
        with self._lock:
            for site_id, visitor_id, at in entries:
                if at <= oldest:
                    continue
                self._counted.pop(site_id, None)
                visitors = self._seen.setdefault(site_id, {})
                latest = max(at, visitors.pop(visitor_id, 0))
                visitors[visitor_id] = latest

    def count(self, site_id: int, now: int) -> int:
        """Distinct visitors with an event in the five minutes up to `now` (ms)."""
        oldest = now - CURRENT_MS
        with self._lock:
            since, until, count = self._counted.get(site_id, (0, 0, 0))
            if since <= now < until:
                return count
            visitors = self._seen.get(site_id)
            if visitors is None:
                return 0
            for visitor_id in [visitor_id for visitor_id, at in visitors.items() if at <= oldest]:
                del visitors[visitor_id]
            if not visitors:
                del self._seen[site_id]
                self._counted.pop(site_id, None)
                return 0
            count = sum(1 for at in visitors.values() if at <= now + CURRENT_MS)
            self._counted[site_id] = now, min(now + COUNT_MS, min(visitors.values()) + CURRENT_MS), count
            return count

    def prune(self, now: int) -> None:
        """Let go of visitors who left; keeps memory bounded on sites that nobody watches."""
        for site_id in list(self._seen):
            self.count(site_id, now)
