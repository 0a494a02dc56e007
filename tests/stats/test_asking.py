from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from haru.stats.asking import HOT_MS, Asking, Cache, Computation, Waiter, current
from haru.stats.turns import Crowded
from haru.store.protocol import StoreOutOfMemory
from haru.store.stop import Stop, Stopped


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
    cache = Cache(max_entries=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, 1, 0, lambda key=key: key)
    assert len(cache) == 2
    assert cache.get("a", 1, 0, lambda: "again").value == "a"
    assert cache.get("b", 1, 0, lambda: "again").value == "again"


def test_what_is_kept_is_bounded_by_its_size_too() -> None:
    cache = Cache(cells=len, max_cells=100)
    for key in range(50):
        cache.get(key, 1, 0, lambda: "x" * 20)
    cache.get(49, 1, 61_000, lambda: "y" * 10)  # takes the place of the one before
    assert len(cache) == 5
    assert cache.get(46, 1, 1, lambda: "again").value == "x" * 20
    cache.get("in the room that is left", 1, 0, lambda: "x" * 10)
    assert len(cache) == 6


def test_an_answer_of_more_than_a_quarter_of_all_is_given_and_not_kept() -> None:
    cache = Cache(cells=len, max_cells=100)
    cache.get("small", 1, 0, lambda: "x" * 25)
    assert cache.get("q", 1, 0, lambda: "x").value == "x"
    assert cache.get("q", 1, 61_000, lambda: "x" * 26).value == "x" * 26
    assert cache.get("q", 1, 61_001, lambda: "again").value == "again"
    assert cache.get("small", 1, 0, lambda: "again").value == "x" * 25


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


def asked(waiter: Waiter, cache: Cache, compute):
    """What `get` gives to this waiter."""
    before = current.set(waiter)
    try:
        return cache.get("q", 1, 0, compute).value
    finally:
        current.reset(before)


class Endless:
    """A computation that runs until it is ended, as a query does."""

    def __init__(self) -> None:
        self.started, self.ended = threading.Event(), threading.Event()
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        computation = current.get()
        assert isinstance(computation, Computation)
        with computation.stop.watching(self.ended.set):
            self.started.set()
            assert self.ended.wait(10)
        return "answer"


def test_a_computation_ends_when_everyone_who_waits_has_left() -> None:
    cache, endless, two = Cache(), Endless(), [Waiter(), Waiter()]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(asked, two[0], cache, endless)
        assert endless.started.wait(10)
        second = threads.submit(asked, two[1], cache, endless)
        while not two[1]._computations:
            pass
        two[0].leave()
        assert not endless.ended.is_set()
        two[1].leave()
        with pytest.raises(Stopped):
            first.result(10)
        with pytest.raises(Stopped):
            second.result(10)
    assert endless.count == 1
    assert cache.get("q", 1, 0, lambda: "again").value == "again"


def test_whoever_comes_when_all_others_have_left_gets_a_computation_of_their_own() -> None:
    cache, leaving, go = Cache(), Waiter(), threading.Event()
    started = threading.Event()

    def slow_to_end() -> None:
        computation = current.get()
        assert isinstance(computation, Computation)
        started.set()
        assert go.wait(10)
        computation.stop.check()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(asked, leaving, cache, slow_to_end)
        assert started.wait(10)
        leaving.leave()
        second = threads.submit(asked, Waiter(), cache, lambda: "mine")
        go.set()
        assert second.result(10) == "mine"
        with pytest.raises(Stopped):
            first.result(10)


def test_what_a_computation_waits_for_itself_ends_with_it() -> None:
    cache, endless, waiter = Cache(), Endless(), Waiter()
    with ThreadPoolExecutor(1) as threads:
        outer = threads.submit(asked, waiter, cache, lambda: cache.get("part", 1, 0, endless).value)
        assert endless.started.wait(10)
        waiter.leave()
        with pytest.raises(Stopped):
            outer.result(10)
    assert endless.ended.is_set()


def test_whoever_has_left_asks_nothing_more() -> None:
    waiter = Waiter()
    waiter.leave()
    with pytest.raises(Stopped):
        asked(waiter, Cache(), lambda: "answer")


def test_whoever_is_nobody_in_particular_waits_to_the_end() -> None:
    cache, leaving = Cache(), Waiter()
    started, go = threading.Event(), threading.Event()

    def compute() -> str:
        started.set()
        assert go.wait(10)
        return "answer"

    with ThreadPoolExecutor(2) as threads:
        background = threads.submit(cache.get, "q", 1, 0, compute)
        assert started.wait(10)
        other = threads.submit(asked, leaving, cache, compute)
        while not leaving._computations:
            pass
        leaving.leave()
        with pytest.raises(Stopped):
            other.result(10)
        go.set()
        assert background.result(10).value == "answer"


def test_whoever_has_no_time_left_waits_for_nobody_else_and_nobody_goes_on_for_them() -> None:
    cache, endless, patient = Cache(), Endless(), Waiter()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(asked, patient, cache, endless)
        assert endless.started.wait(10)
        second = threads.submit(asked, Waiter(Stop(0.05)), cache, endless)
        with pytest.raises(Stopped, match=r"limit of 0\.05 seconds"):
            second.result(5)
        assert not endless.ended.is_set()
        patient.leave()
        with pytest.raises(Stopped):
            first.result(5)
    assert endless.count == 1


class Telling:
    """A store that tells what it was asked, and answers as it is told."""

    def __init__(self, answer: Callable[[Any, Stop], list[Any]] = lambda statement, stop: [(1,)]) -> None:
        self.asked: list[Any] = []
        self._answer = answer

    def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> list[Any]:
        self.asked.append((statement, parameters))
        return self._answer(statement, stop)


def test_a_statement_is_asked_within_the_limit_of_a_question_whoever_asks() -> None:
    store = Telling(lambda statement, stop: [(stop.seconds,)])
    asking = Asking(store, 3)
    assert asking.rows("one", {"site": 1}) == [(3,)]
    with asking.limited():
        assert asking.rows("two") == [(3,)]
    assert store.asked == [("one", {"site": 1}), ("two", None)]
    assert (asking.running, asking.stopped, sum(asking.query_seconds.counts)) == (0, {}, 2)


def test_a_statement_that_was_ended_is_counted_by_what_ended_it() -> None:
    def endless(statement: Any, stop: Stop) -> list[Any]:
        while not stop.over:
            pass
        stop.check()
        return []

    asking, waiter = Asking(Telling(endless), 0.01), Waiter()
    with pytest.raises(Stopped, match=r"limit of 0\.01 seconds"):
        asking.rows("long")
    with waiter.waits(), pytest.raises(Stopped):
        waiter.leave()
        asking.rows("unwanted")
    assert asking.stopped == {"limit": 1, "left": 1}


def test_what_was_asked_last_is_answered_again_first_and_only_where_someone_looks() -> None:
    asking, answered = Asking(Telling()), []
    for key, site_id, at in [("old", 1, 0), ("a", 1, HOT_MS), ("b", 2, HOT_MS), ("c", 1, HOT_MS), ("a", 1, HOT_MS + 1)]:
        with asking.question(key, site_id, at, lambda now_ms, key=key: answered.append((key, now_ms))):
            pass
    asking.refresh(HOT_MS + 2, [1])
    assert answered == [("a", HOT_MS + 2), ("c", HOT_MS + 2)]


def test_answering_again_gives_way_to_those_who_ask_now_and_lets_go_of_what_takes_too_much() -> None:
    asking, answered = Asking(Telling()), []

    def raising(key: str, error: Exception | None) -> Callable[[int], None]:
        def answer(now_ms: int) -> None:
            answered.append(key)
            if error is not None:
                raise error

        return answer

    for key, error in [("never", None), ("crowded", Crowded()), ("greedy", StoreOutOfMemory("much")), ("well", None)]:
        with asking.question(key, 1, 0, raising(key, error)):
            pass
    asking.refresh(1, [1])
    assert answered == ["well", "greedy", "crowded"]
    asking.refresh(1, [1])
    assert answered[3:] == ["well", "crowded"]
