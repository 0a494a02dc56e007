from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator

import pytest

from haru.stats import turns
from haru.stats.turns import ONE_FOR_GUESTS, Crowded, Guest, Turns
from haru.store.stop import Stop, Stopped


class Queue:
    """People who ask for turns, each in a thread of its own; whoever has one holds it until it is told to go on."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.served: list[Hashable] = []
        self._came = threading.Condition()
        self._done: dict[Hashable, threading.Event] = {}
        self.threads: list[threading.Thread] = []

    def comes(self, asker: Hashable, name: str, stop: Stop | None = None) -> None:
        """Someone comes, and has been given a turn or waits when this returns."""
        self._done[name] = threading.Event()
        before = self.turns.waiting + len(self.served)

        def wait() -> None:
            with self.turns.turn(asker, stop or Stop()):
                with self._came:
                    self.served.append(name)
                    self._came.notify_all()
                assert self._done[name].wait(60)

        self.threads.append(threading.Thread(target=wait, daemon=True))
        self.threads[-1].start()
        self.until(lambda: self.turns.waiting + len(self.served) == before + 1)

    def goes(self, name: str) -> None:
        """Someone's turn ends; the next has been given theirs when this returns."""
        expected = len(self.served) + (1 if self.turns.waiting else 0)
        self._done[name].set()
        self.until(lambda: len(self.served) == expected)

    def end(self) -> None:
        """All go, those who wait too, each when they have had their turn."""
        for done in self._done.values():
            done.set()
        for thread in self.threads:
            thread.join(60)

    def until(self, true: Callable[[], bool]) -> None:
        with self._came:
            while not true():
                self._came.wait(0.01)


@pytest.fixture
def queue_of() -> Iterator[Callable[[int], Queue]]:
    """Makes a queue for so many turns; nobody is left in it after the test."""
    queues: list[Queue] = []

    def make(most: int) -> Queue:
        queues.append(Queue(most))
        return queues[-1]

    yield make
    for queue in queues:
        queue.end()


def test_whoever_had_a_turn_longest_ago_is_next_however_many_another_asks_for(queue_of: Callable[[int], Queue]) -> None:
    queue = queue_of(1)
    for number in range(4):
        queue.comes("busy", f"busy {number}")
    queue.comes("owner", "owner 0")
    queue.comes("owner", "owner 1")
    queue.comes("late", "late 0")
    while queue.turns.waiting:
        queue.goes(str(queue.served[-1]))
    assert queue.served == ["busy 0", "owner 0", "late 0", "busy 1", "owner 1", "busy 2", "busy 3"]


def test_no_more_go_on_at_once_than_there_are_turns(queue_of: Callable[[int], Queue]) -> None:
    queue = queue_of(2)
    for name in "abc":
        queue.comes(name, name)
    assert queue.served == ["a", "b"]
    queue.goes("b")
    assert queue.served == ["a", "b", "c"]


def test_who_leaves_while_waiting_is_passed_over() -> None:
    turns_, stop = Turns(1), Stop()
    with turns_.turn("first", Stop()):
        ended = threading.Event()

        def wait() -> None:
            with pytest.raises(Stopped), turns_.turn("second", stop):
                raise AssertionError("nobody was to come in here")
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        while not turns_.waiting:
            pass
        stop.cancel()
        assert ended.wait(60)
        assert turns_.waiting == 0
    with turns_.turn("third", Stop()):
        pass


def test_waiting_takes_no_longer_than_the_limit() -> None:
    queue = Turns(1)
    with queue.turn("first", Stop()), pytest.raises(Stopped, match=r"0\.05 seconds"), queue.turn("second", Stop(0.05)):
        pass
    with pytest.raises(Stopped), queue.turn("third", Stop(1e-9)):
        pass
    with queue.turn("fourth", Stop()):
        assert queue.waiting == 0


def test_a_turn_ends_with_an_error_too() -> None:
    queue = Turns(1)
    with pytest.raises(ZeroDivisionError), queue.turn("a", Stop()):
        raise ZeroDivisionError
    with queue.turn("a", Stop()):
        pass


def test_no_more_wait_than_can_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 0)
    queue = Turns(1)
    with queue.turn("a", Stop()), pytest.raises(Crowded), queue.turn("b", Stop()):
        pass


def test_people_go_before_guests_who_came_earlier(queue_of: Callable[[int], Queue]) -> None:
    queue = queue_of(1)
    queue.comes(("user", 1), "held")
    for site_id in (1, 2):
        queue.comes(Guest(site_id, site_id, b"a"), f"guest of {site_id}")
    queue.comes(("user", 1), "again")
    queue.comes(("key", 1), "key")
    while queue.turns.waiting:
        queue.goes(str(queue.served[-1]))
    assert queue.served == ["held", "key", "again", "guest of 1", "guest of 2"]


def test_one_turn_in_five_is_a_guests_however_many_people_wait(queue_of: Callable[[int], Queue]) -> None:
    queue = queue_of(1)
    queue.comes(("user", 1), "held")
    for number in range(2 * ONE_FOR_GUESTS):
        queue.comes(Guest(1, 1, b"a"), f"guest {number}")
        queue.comes(("user", number), f"user {number}")
    while queue.turns.waiting > ONE_FOR_GUESTS:
        queue.goes(str(queue.served[-1]))
    contested = queue.served[1 : 1 + 2 * ONE_FOR_GUESTS]
    assert [number for number, name in enumerate(contested, 1) if str(name).startswith("guest")] == [5, 10]


def test_guests_of_one_site_hold_one_turn_and_leave_the_others_to_those_of_other_sites(
    queue_of: Callable[[int], Queue],
) -> None:
    queue = queue_of(2)
    queue.comes(Guest(1, 1, b"a"), "slow")
    queue.comes(Guest(1, 2, b"b"), "of the same site")
    queue.comes(Guest(2, 3, b"a"), "of another")
    assert queue.served == ["slow", "of another"]
    queue.goes("slow")
    assert queue.served == ["slow", "of another", "of the same site"]


def test_people_of_a_site_hold_as_many_turns_as_there_are(queue_of: Callable[[int], Queue]) -> None:
    queue = queue_of(3)
    for number in range(3):
        queue.comes(("user", 1), f"user {number}")
    assert len(queue.served) == 3


def test_guests_who_wait_leave_room_for_those_of_other_sites(
    queue_of: Callable[[int], Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_GUESTS", 1)
    queue = queue_of(2)
    queue.comes(Guest(1, 1, b"a"), "held")
    queue.comes(Guest(1, 1, b"b"), "waits")
    with pytest.raises(Crowded), queue.turns.turn(Guest(1, 2, b"c"), Stop(60)):
        pass
    with queue.turns.turn(Guest(2, 3, b"a"), Stop(60)):
        assert queue.turns.waiting == 1
    queue.goes("held")
    assert queue.served == ["held", "waits"]


def test_whoever_asks_for_very_many_leaves_room_for_others(
    queue_of: Callable[[int], Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_EACH", 2)
    queue = queue_of(1)
    for number in range(3):  # one goes on, two wait
        queue.comes("busy", f"busy {number}")
    with pytest.raises(Crowded), queue.turns.turn("busy", Stop()):
        pass
    queue.comes("owner", "owner 0")
    queue.goes("busy 0")
    assert queue.served == ["busy 0", "owner 0"]
