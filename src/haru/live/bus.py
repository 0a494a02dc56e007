"""Publish and subscribe by site: who watches a site hears that it has news."""

from __future__ import annotations

import asyncio
import threading


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


class Bus:
    """The watchers of each site. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[int, set[Subscription]] = {}

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
