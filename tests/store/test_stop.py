from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from haru.stats.asking import Computation, Waiter
from haru.store.stop import Stop, Stopped


def broken() -> None:
    raise RuntimeError("can't start new thread")


def test_nothing_is_interrupted_whose_block_has_ended() -> None:
    stop = Stop()
    running, end, ended = threading.Event(), threading.Event(), threading.Event()
    interrupted_when_ended: list[bool] = []

    def query() -> None:
        with stop.watching(lambda: interrupted_when_ended.append(ended.is_set())):
            running.set()
            assert end.wait(30)

    def queried() -> None:
        try:
            query()
        finally:
            ended.set()

    def first() -> None:
        end.set()
        ended.wait(0.5)  # a chance for the other block to end in the midst of `cancel`

    with ThreadPoolExecutor(1) as threads, pytest.raises(Stopped), stop.watching(first):
        other = threads.submit(queried)
        assert running.wait(30)
        stop.cancel()
        with pytest.raises(Stopped):
            other.result(30)
    assert interrupted_when_ended == [False]


def test_an_interrupt_that_fails_leaves_the_others_to_be_ended() -> None:
    stop, interrupted = Stop(), threading.Event()
    with pytest.raises(Stopped), stop.watching(broken), stop.watching(interrupted.set):
        stop.cancel()
    assert interrupted.is_set()


def test_whoever_leaves_has_left_their_computations_whatever_fails() -> None:
    waiter, computation = Waiter(), Computation(0)
    assert computation.join()
    with pytest.raises(Stopped), waiter.waits_for(computation), waiter.stop.watching(broken):
        waiter.leave()
    assert computation.abandoned
