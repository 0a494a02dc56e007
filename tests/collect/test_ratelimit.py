from __future__ import annotations

import resource
import time

import pytest

from haru.collect.ratelimit import RateLimit
from haru.collect.ratelimit_storage import RateLimitStorage
from tests.rounds import long, rounds

NOW = 1_767_268_800.0  # the beginning of a minute
ME, YOU = b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"


class Limit:
    """A rate limit whose clock is told."""

    def __init__(self, per_minute: int) -> None:
        self.now = NOW
        self.limit = RateLimit(per_minute, RateLimitStorage(clock=lambda: self.now))

    def hit(self, site_id: int, address: bytes, now: float, limit: int | None) -> int:
        self.now = now
        return self.limit.hit(site_id, address, limit)


def test_the_limit_holds_for_each_site_and_address() -> None:
    limit = Limit(3)
    assert [limit.hit(1, ME, NOW, None) > 0 for _ in range(5)] == [False, False, False, True, True]
    assert limit.hit(1, YOU, NOW, None) == 0
    assert limit.hit(2, ME, NOW, None) == 0


def test_the_window_slides() -> None:
    limit = Limit(60)
    assert all(limit.hit(1, ME, NOW, None) == 0 for _ in range(60))
    # Half a minute into the next window half of the last one still counts.
    assert sum(limit.hit(1, ME, NOW + 90, None) == 0 for _ in range(60)) == 30
    assert all(limit.hit(1, ME, NOW + 240, None) == 0 for _ in range(60))


@pytest.mark.parametrize("sent", [1, 2, 5])
def test_who_waits_as_told_is_let_in(sent: int) -> None:
    limit = Limit(sent)
    for second in range(sent):
        assert limit.hit(1, ME, NOW + second, None) == 0
    wait = limit.hit(1, ME, NOW + sent, None)
    assert 0 < wait <= 120
    assert limit.hit(1, ME, NOW + sent + wait, None) == 0


def test_a_sender_at_an_even_pace_below_the_limit_is_never_refused() -> None:
    limit = Limit(60)
    assert all(limit.hit(1, ME, NOW + second * 1.05, None) == 0 for second in range(600))


def test_a_site_may_have_a_limit_of_its_own_and_zero_switches_it_off() -> None:
    limit = Limit(1)
    assert [limit.hit(1, ME, NOW, 2) > 0 for _ in range(3)] == [False, False, True]
    assert all(limit.hit(2, ME, NOW, 0) == 0 for _ in range(50))
    assert all(Limit(0).hit(1, ME, NOW, None) == 0 for _ in range(50))


@long
def test_very_many_addresses_take_bounded_memory() -> None:
    limit, many = Limit(5), rounds(200_000, 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(many):
        limit.hit(1, number.to_bytes(4, "big"), NOW, None)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000  # kilobytes: the table of 20 MB and the senders' hashes that are remembered
    # Those heard of last are still known.
    last = (many - 1).to_bytes(4, "big")
    assert [limit.hit(1, last, NOW, None) > 0 for _ in range(5)] == [False] * 4 + [True]


def test_a_change_of_the_limit_finds_the_counts_there_are() -> None:
    limit = Limit(100)
    assert all(limit.hit(1, ME, NOW, 50) == 0 for _ in range(50))
    assert limit.hit(1, ME, NOW, 50) > 0
    assert limit.hit(1, ME, NOW, 60) == 0


def test_a_table_of_its_own_takes_the_time_from_the_machine() -> None:
    limit = RateLimit(1)
    assert limit.hit(1, ME, None) == 0
    if time.time() % 60 < 59:
        assert limit.hit(1, ME, None) > 0


def test_a_clock_that_jumps_back_refuses_no_one_for_long() -> None:
    limit = Limit(2)
    limit.hit(1, ME, NOW + 3600, None)
    assert limit.hit(1, ME, NOW, None) == 0
