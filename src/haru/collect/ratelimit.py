"""The rate limit: so many requests a minute for each site and address, by a sliding window in bounded memory.

A sliding-window counter: two counts for each sender, this minute's and the last one's, of which the last weighs in by
the share of it that still lies inside the window. It is exact for senders who send evenly, and keeps two numbers where
a list of moments would keep as many as the limit allows. (The in-memory storage of the usual library sweeps all senders
from a timer thread a hundred times a second, and takes its own clock.)
"""

from __future__ import annotations

from collections import OrderedDict

WINDOW = 60.0  # seconds
MOST_SENDERS = 200_000  # about 40 MB; beyond them the one heard of longest ago is forgotten

Key = tuple[int, bytes]


class RateLimit:
    """Counts requests. Belongs to one event loop."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute` is the limit where a site has none of its own; 0 switches it off."""
        self._per_minute = per_minute
        self._counts: OrderedDict[Key, tuple[int, int, int]] = OrderedDict()  # sender → (window, before, within)

    def __len__(self) -> int:
        return len(self._counts)

    def hit(self, site_id: int, address: bytes, now: float, limit: int | None) -> int:
        """Count a request at `now` (seconds); 0 when allowed, else the seconds to wait. A refused one is not counted.

        `limit` is the site's own limit a minute, None for the installation's.
        """
        most = self._per_minute if limit is None else limit
        if not most:
            return 0
        key = (site_id, address)
        window, share = divmod(now, WINDOW)
        at, before, within = self._counts.get(key, (int(window), 0, 0))
        if int(window) > at:
            before, within = (within, 0) if int(window) == at + 1 else (0, 0)
            at = int(window)
        left = 1 - share / WINDOW  # how much of the window before still counts
        if before * left + within + 1 > most:
            return self._wait(before, within, most, share)
        self._counts[key] = (at, before, within + 1)
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_SENDERS:
            self._counts.popitem(last=False)
        return 0

    @staticmethod
    def _wait(before: int, within: int, most: int, share: float) -> int:
        """Seconds until one more request would be allowed, if none is made meanwhile."""
        if within + 1 > most:  # this window is full: it must slide out in part first
            return int(WINDOW - share + WINDOW * (1 - (most - 1) / within)) + 1
        return int(WINDOW * (1 - (most - within - 1) / before) - share) + 1
