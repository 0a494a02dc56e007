"""Who is on a site right now, and who wants to hear of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

from haru.clock import MINUTE_MS

COUNT_MS = 250  # how long a count may hold while nobody comes or goes: all who watch a site share one
CURRENT_MS = 5 * MINUTE_MS  # a visitor is current for this long after an event


class Subscription:
    """One watcher of a site. It holds one flag, not a queue: news it hasn't read yet is the same news."""

    def __init__(self, site_id: int, loop: asyncio.AbstractEventLoop) -> None:
        self.site_id = site_id
        self._loop = loop
        self._news = asyncio.Event()

    async def news(self, timeout: float) -> bool:
        """Wait until the site has news; false when there was none for `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def wake(self) -> None:
        """Tell of news; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._news.set)


class Live:
    """Current visitors by site, and the watchers to tell. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, dict[int, int]] = {}  # site id → visitor id → moment of the last event, oldest first
        self._counted: dict[int, tuple[int, int, int]] = {}  # site id → (from, until, current visitors)
        self._watchers: dict[int, set[Subscription]] = {}

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

    def current_visitors(self, site_id: int, now: int) -> int:
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
            self.current_visitors(site_id, now)

    def publish(self, site_id: int) -> None:
        """Tell the watchers of a site that there is news."""
        with self._lock:
            watchers = list(self._watchers.get(site_id, ()))
        for watcher in watchers:
            watcher.wake()

    def subscribe(self, site_id: int) -> Subscription:
        """Begin to watch a site; call on the event loop, and `unsubscribe` at the end."""
        subscription = Subscription(site_id, asyncio.get_running_loop())
        with self._lock:
            self._watchers.setdefault(site_id, set()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop watching."""
        with self._lock:
            watchers = self._watchers.get(subscription.site_id, set())
            watchers.discard(subscription)
            if not watchers:
                self._watchers.pop(subscription.site_id, None)

    def watchers(self) -> int:
        """How many watch, over all sites."""
        with self._lock:
            return sum(map(len, self._watchers.values()))

    def watched(self) -> list[int]:
        """Ids of the sites that someone watches."""
        with self._lock:
            return list(self._watchers)
