"""The rate limit: so many requests a minute for each site and address, by a sliding window in bounded memory.

The window is the `limits` package's sliding-window counter: two counts for each sender, this minute's and the last
one's, of which the last weighs in by the share of it that still lies inside the window.
"""

from __future__ import annotations

from functools import lru_cache

from limits import RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from haru.collect.ratelimit_storage import RateLimitStorage

WINDOW = 60  # seconds


class RateLimit:
    """Counts requests."""

    def __init__(self, per_minute: int, table: RateLimitStorage | None = None) -> None:
        """`per_minute` is the limit where a site has none of its own; 0 switches it off."""
        self._per_minute = per_minute
        self._table = table or RateLimitStorage()
        self._limiter = SlidingWindowCounterRateLimiter(self._table)

    def hit(self, site_id: int, address: bytes, limit: int | None) -> int:
        """Count a request; 0 when allowed, else the seconds to wait. A refused one is not counted.

        `limit` is the site's own limit a minute, None for the installation's.
        """
        most = self._per_minute if limit is None else limit
        if not most:
            return 0
        item, sender = _item(most), _sender(site_id, address)
        if self._limiter.hit(item, sender):
            return 0
        before, left, within, _ = self._table.get_sliding_window(item.key_for(sender), WINDOW)
        return _wait(before, within, most, WINDOW - left)


@lru_cache(maxsize=256)
def _item(per_minute: int) -> RateLimitItemPerMinute:
    # The limit is no part of a sender's key, so that a limit that changes finds the counts there are.
    return _Item(per_minute)


class _Item(RateLimitItemPerMinute):
    def key_for(self, *identifiers: bytes | str | float) -> str:
        return str(identifiers[0])


@lru_cache(maxsize=16_384)
def _sender(site_id: int, address: bytes) -> str:
    return f"{site_id}/{address.hex()}"


def _wait(before: int, within: int, most: int, share: float) -> int:
    """Seconds until one more request would be allowed, if none is made meanwhile; `share` seconds into the window."""
    if within + 1 > most:  # this window is full: it must slide out in part first
        return int(WINDOW - share + WINDOW * (1 - (most - 1) / within)) + 1
    if not before:
        return 1
    return max(1, int(WINDOW * (1 - (most - within - 1) / before) - share) + 1)
