"""Moments and lengths of time in milliseconds, as events have them: since 1970, in UTC."""

from __future__ import annotations

import time

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS  # a day of UTC; one of a time zone may be longer or shorter: `haru.stats.vocabulary.periods`
LATEST_MS = 253_402_300_800_000  # the year 10000, from which on no calendar here has a date


def now_ms() -> int:
    """This moment. Whatever depends on it is given it, so that a test can say when it is."""
    return time.time_ns() // 1_000_000


def hour_of(at: int) -> int:
    """The start of the UTC hour of a moment."""
    return at - at % HOUR_MS
