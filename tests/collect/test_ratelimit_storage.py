from __future__ import annotations

import subprocess
import sys

import pytest

from haru.collect import ratelimit_storage
from haru.collect.ratelimit_storage import WAYS, RateLimitStorage, shared_storage

NOW = 1_767_268_800.0  # the beginning of a minute
MINUTE = 60


class Clock:
    """Seconds, as told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(clock: Clock) -> RateLimitStorage:
    return RateLimitStorage(clock=clock)


def test_requests_are_counted_until_the_limit_and_a_refused_one_is_not(storage: RateLimitStorage) -> None:
    assert [storage.acquire_sliding_window_entry("a", 2, MINUTE) for _ in range(4)] == [True, True, False, False]
    assert storage.get_sliding_window("a", MINUTE) == (0, MINUTE, 2, 2 * MINUTE)
    assert storage.get("a") == 2
    assert storage.get("b") == 0


def test_the_window_before_weighs_by_what_of_it_still_counts(storage: RateLimitStorage, clock: Clock) -> None:
    for _ in range(4):
        storage.incr("a", MINUTE)
    clock.now += 75
    assert storage.get_sliding_window("a", MINUTE) == (4, 45, 0, 105)
    assert [storage.acquire_sliding_window_entry("a", 5, MINUTE) for _ in range(3)] == [True, True, False]
    clock.now += 120
    assert storage.get_sliding_window("a", MINUTE)[::2] == (0, 0)


def test_a_clock_that_went_back_a_little_goes_on_in_its_window(storage: RateLimitStorage, clock: Clock) -> None:
    storage.incr("a", MINUTE)
    clock.now -= 1
    assert storage.get_sliding_window("a", MINUTE)[2] == 1
    clock.now -= 3600
    assert storage.get_sliding_window("a", MINUTE)[2] == 0


def test_a_full_bucket_forgets_whoever_was_heard_of_longest_ago(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(ratelimit_storage, "BUCKETS", 1)
    storage = RateLimitStorage(clock=clock)
    for number in range(WAYS):
        storage.incr(str(number), MINUTE)
        clock.now += MINUTE
    storage.incr("0", MINUTE)
    storage.incr("new", MINUTE)
    assert [storage.get(key) for key in ("0", "1", "2", "3", "new")] == [1, 0, 1, 1, 1]


def test_a_sender_is_forgotten_and_everyone_is(storage: RateLimitStorage) -> None:
    for key in ("a", "b", "c"):
        storage.incr(key, MINUTE)
    storage.clear_sliding_window("a", MINUTE)
    storage.clear("nobody")
    assert [storage.get(key) for key in ("a", "b", "c")] == [0, 1, 1]
    storage.reset()
    assert [storage.get(key) for key in ("b", "c")] == [0, 0]
    assert storage.check()


def test_no_sender_can_be_read_in_the_table(storage: RateLimitStorage) -> None:
    storage.incr("1/cb007109", MINUTE)
    held = bytes(storage._memory)
    assert held.strip(b"\0")
    assert b"1/cb007109" not in held
    assert bytes.fromhex("cb007109") not in held


def test_two_processes_share_what_they_count() -> None:
    table = shared_storage()
    program = (
        "import sys; from haru.collect.ratelimit_storage import RateLimitStorage, SharedStorage;"
        "storage = RateLimitStorage(SharedStorage(int(sys.argv[1]), bytes.fromhex(sys.argv[2])), clock=lambda: 0.0);"
        "print(sum(storage.acquire_sliding_window_entry('a', 10, 60) for _ in range(7)))"
    )
    command = [sys.executable, "-c", program, str(table.descriptor), table.key.hex()]
    allowed = [int(subprocess.check_output(command, pass_fds=(table.descriptor,))) for _ in range(2)]
    assert allowed == [7, 3]
