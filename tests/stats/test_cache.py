from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from haru.stats.cache import Cache


class Clock:
    """Seconds that pass as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def numbered(clock: Clock | None = None, cost: float = 0.0):
    """A computation that gives 1, 2, 3 ... and takes its time."""
    count = 0

    def compute() -> int:
        nonlocal count
        count += 1
        if clock is not None:
            clock.now += cost
        return count

    return compute


def test_an_answer_lives_a_minute() -> None:
    cache, compute = Cache(), numbered()
    assert cache.get("q", 1, 1_000, compute).value == 1
    assert cache.get("q", 1, 60_999, compute).value == 1
    assert cache.get("q", 1, 61_000, compute).value == 2


def test_a_stale_answer_is_served_for_five_times_its_cost() -> None:
    clock = Clock()
    cache, compute = Cache(clock=clock), numbered(clock, cost=0.1)
    assert cache.get("q", 1, 0, compute).cost_ms == pytest.approx(100)
    cache.invalidate([1])
    assert cache.get("q", 1, 499, compute).value == 1
    assert cache.get("q", 1, 501, compute).value == 2


def test_fresh_is_never_stale() -> None:
    clock = Clock()
    cache, compute = Cache(clock=clock), numbered(clock, cost=0.1)
    cache.get("q", 1, 0, compute)
    assert cache.get("q", 1, 1, compute, fresh=True).value == 1
    cache.invalidate([1])
    assert cache.get("q", 1, 1, compute, fresh=True).value == 2


def test_another_sites_events_leave_an_answer_as_it_is() -> None:
    cache, compute = Cache(), numbered()
    cache.get("q", 1, 0, compute)
    cache.invalidate([2])
    assert cache.get("q", 1, 1, compute, fresh=True).value == 1


def test_the_answer_asked_longest_ago_goes_first() -> None:
    cache = Cache(most=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, 1, 0, lambda key=key: key)
    assert len(cache) == 2
    assert cache.get("a", 1, 0, lambda: "again").value == "a"
    assert cache.get("b", 1, 0, lambda: "again").value == "again"


def test_many_who_ask_wait_for_one_computation() -> None:
    cache = Cache()
    started, go = threading.Event(), threading.Event()
    computed = []

    def compute() -> str:
        started.set()
        assert go.wait(10)
        computed.append(1)
        return "answer"

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(cache.get, "q", 1, 0, compute) for _ in range(8)]
        assert started.wait(10)
        go.set()
        assert {answer.result().value for answer in answers} == {"answer"}
    assert computed == [1]


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    cache = Cache()

    def fail() -> None:
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            cache.get("q", 1, 0, fail)
    assert cache.get("q", 1, 0, lambda: "mended").value == "mended"


def test_fresh_does_not_take_a_computation_that_began_before_the_change() -> None:
    cache = Cache()
    started, go = threading.Event(), threading.Event()

    def old() -> str:
        started.set()
        assert go.wait(10)
        return "old"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get, "q", 1, 0, old)
        assert started.wait(10)
        cache.invalidate([1])
        second = threads.submit(cache.get, "q", 1, 0, lambda: "new", fresh=True)
        go.set()
        assert first.result().value == "old"
        assert second.result().value == "new"


def test_what_changed_during_a_computation_makes_it_stale() -> None:
    cache = Cache()

    def compute() -> str:
        cache.invalidate([1])
        return "old"

    cache.get("q", 1, 0, compute)
    assert cache.get("q", 1, 0, lambda: "new", fresh=True).value == "new"
