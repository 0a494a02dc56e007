from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from haru.clock import DAY_MS, HOUR_MS, LATEST_MS, MINUTE_MS, hour_of, now_ms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_lengths_of_time_are_in_milliseconds() -> None:
    lengths = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
    assert [length / timedelta(milliseconds=1) for length in lengths] == [MINUTE_MS, HOUR_MS, DAY_MS]


def test_this_moment_is_that_of_the_system() -> None:
    before = time.time()
    now = now_ms()
    assert int(before * 1000) <= now <= time.time() * 1000


@given(st.integers(0, LATEST_MS - 1))
def test_an_hour_begins_where_the_clock_of_utc_has_no_minutes(at: int) -> None:
    moment = EPOCH + timedelta(milliseconds=at)
    begin = moment.replace(minute=0, second=0, microsecond=0)
    assert EPOCH + timedelta(milliseconds=hour_of(at)) == begin


def test_the_last_moment_is_the_last_that_python_can_write() -> None:
    assert EPOCH + timedelta(milliseconds=LATEST_MS - 1) <= datetime.max.replace(tzinfo=UTC)
    assert (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1) == LATEST_MS - 1
