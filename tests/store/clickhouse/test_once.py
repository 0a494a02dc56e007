from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from sqlalchemy import column, select, table

from haru.events.event import ENGAGEMENT
from haru.events.ledger import RefusalCount
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Body, Spool, Spools
from haru.store import loader as loader_module
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.loader import Loader
from haru.store.protocol import Progress, StoreHeld, StoreMoved, StoreUnavailable
from tests import embedded
from tests.events.made import MINUTE, NOON, event, rows
from tests.rounds import examples

SEARCH = examples(4, 40, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=True)
WAYS = ["before", "after", "late"]


class Killed(BaseException):
    """SIGKILL: nothing in the program sees it."""


class Faults:
    """Makes one step of a store fail: the answer is lost before or after the work, or the work is done much later."""

    def __init__(self, store: ClickHouseStore, step: int, way: str, raised: Callable[[], BaseException]) -> None:
        self.left = step
        self.late: list[Callable[[], None]] = []
        for name in ("insert", "query", "command"):
            setattr(store._client, name, self._faulty(getattr(store._client, name), way, raised, name == "insert"))

    def _faulty(self, work: Callable[..., Any], way: str, raised: Callable[[], BaseException], writes: bool) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left != 0:
                return work(*arguments, **named)
            if way == "after":
                work(*arguments, **named)
            elif way == "late" and writes:
                self.late.append(lambda: work(*arguments, **named))
            raise raised()

        return step


def unavailable() -> BaseException:
    return StoreUnavailable("no answer")


def spooled(folder: Path, name: str, parts: int) -> tuple[list[str], int]:
    """Events of a few visitors in a spool, in some commits, each with refusals; their paths, and how many refusals."""
    spool = Spool(folder / f"spool-{name}.sqlite3")
    paths = []
    for part in range(parts):
        events = [
            event(NOON + part * MINUTE + n, visitor=n, path=f"/{name}/{part}/{n}", visitor_before=n) for n in range(3)
        ]
        paths += [each.path for each in events]
        lost = event(NOON, visitor=99, name=ENGAGEMENT, path=f"/{name}/{part}/lost")
        with spool.transaction() as transaction:
            transaction.append_body(Body([*events, lost], [], [RefusalCount(1, NOON, "bot", "", 2)]))
    spool.close()
    return paths, parts


def loader_of(folder: Path, store: ClickHouseStore) -> Loader:
    return Loader(Spools(folder), store, IdempotencyKeys(folder))


def assert_each_once(store: ClickHouseStore, paths: list[str], parts: int) -> None:
    found = store.fetch(select(column("id"), column("visit_id"), column("path")).select_from(table("event")))
    assert Counter(path for _, _, path in found) == Counter(paths)
    ids = {id for id, _, _ in found}
    assert len(ids) == len(found)
    assert {visit for _, visit, _ in found} <= ids
    assert max(ids) <= store.progress().last_id
    counted = store.refusal_counts(1, 0, NOON * 2)
    assert counted == [
        RefusalCount(1, NOON, "bot", "", 2 * parts),
        RefusalCount(1, NOON, "no_visit_for_engagement", "", parts),
    ]


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda most: monkeypatch.setattr(loader_module, "MAX_EVENTS", most)


@SEARCH
@given(
    deaths=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(WAYS), st.sampled_from([4, 8, 100])), max_size=3),
)
def test_whatever_step_a_process_dies_at_each_event_is_there_once(
    deaths: list[tuple[int, str, int]], cut: Callable[[int], None]
) -> None:
    address = embedded.address()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, parts = spooled(folder, "a", 3)
        late: list[Callable[[], None]] = []
        for step, way, most in deaths:
            cut(most)  # what was cut off is cut differently the next time
            store = ClickHouseStore(address)
            faults = Faults(store, step, way, Killed)
            try:
                for _ in loader_of(folder, store).drain(NOON):
                    pass
            except Killed:
                pass
            for insert in late:
                insert()  # sent by the process before the one that has just died
            late = faults.late
        cut(8)
        store = ClickHouseStore(address)
        loader = loader_of(folder, store)
        loader.step(NOON)
        for insert in late:
            insert()
        store._remove_left_over()
        for _ in loader.drain(NOON):
            pass
        assert_each_once(store, paths, parts)
        assert Spools(folder).depth() == 0
        store.close()


@SEARCH
@given(faults=st.lists(st.tuples(st.integers(1, 25), st.sampled_from(WAYS)), min_size=1, max_size=3))
def test_whatever_answer_is_lost_each_event_is_there_once(faults: list[tuple[int, str]]) -> None:
    address = embedded.address()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths, parts = spooled(folder, "a", 3)
        store = ClickHouseStore(address)
        loader = loader_of(folder, store)
        for step, way in faults:
            fault = Faults(store, step, way, unavailable)
            for _ in range(2):
                try:
                    loader.step(NOON)
                except StoreUnavailable:
                    continue
            for insert in fault.late:
                insert()
            fault.left = 0
        for _ in loader.drain(NOON):
            pass
        store._remove_left_over()
        assert_each_once(store, paths, parts)
        assert Spools(folder).depth() == 0
        store.close()


@SEARCH
@given(step=st.integers(1, 40), way=st.sampled_from(["before", "after"]), back=st.booleans())
def test_wherever_a_second_loader_takes_over_the_first_begins_anew(step: int, way: str, back: bool) -> None:
    address = embedded.address()
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = Path(name, "ours"), Path(name, "theirs")
        ours.mkdir()
        theirs.mkdir()
        paths, parts = spooled(ours, "a", 3)
        others, other_parts = spooled(theirs, "b", 2)
        first, second = ClickHouseStore(address), ClickHouseStore(address)
        loader, rival = loader_of(ours, first), loader_of(theirs, second)
        left = step

        def interrupted(work: Callable[..., Any]) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and way == "before":
                    rival.step(NOON)
                answer = work(*arguments, **named)
                if left == 0 and way == "after":
                    rival.step(NOON)
                return answer

            return call

        for method in ("insert", "query", "command"):
            setattr(first._client, method, interrupted(getattr(first._client, method)))
        for turn in range(12):
            for each in (loader, rival) if back or turn > 5 else (loader,):
                try:
                    for _ in each.drain(NOON):
                        pass
                except (StoreMoved, StoreHeld):
                    continue
        assert_each_once(first, paths + others, parts + other_parts)
        assert Spools(ours).depth() == Spools(theirs).depth() == 0
        first.close()
        second.close()


def test_the_same_batch_again_is_loaded_once() -> None:
    store = embedded.store()
    faults = Faults(store, 10**9, "after", unavailable)
    store.acquire()
    faults.left = 2  # the events are in, the answer is lost
    with pytest.raises(StoreUnavailable):
        store.load(rows(event()), Progress(1), [RefusalCount(1, NOON, "bot", "", 1)])
    for step in (4, 5):  # the refusals are in, then the commit
        faults.left = step
        with pytest.raises(StoreUnavailable):
            store.load(rows(event()), Progress(1), [RefusalCount(1, NOON, "bot", "", 1)])
    store.load(rows(event()), Progress(1), [RefusalCount(1, NOON, "bot", "", 1)])
    assert store.fetch(select(column("id")).select_from(table("event"))) == [(1,)]
    assert store.refusal_counts(1, 0, NOON * 2) == [RefusalCount(1, NOON, "bot", "", 1)]
    store.close()


def test_another_batch_in_the_place_of_one_that_failed_leaves_nothing_of_it() -> None:
    store = embedded.store()
    store.load(rows(event(path="/0")), Progress(1))
    faults = Faults(store, 1, "after", unavailable)
    with pytest.raises(StoreUnavailable):
        store.load(rows(event(path="/a"), event(path="/b")), Progress(3))
    assert faults.left == 0
    store.load(rows(event(path="/a")), Progress(2))
    found = store.fetch(select(column("path")).select_from(table("event")).order_by(column("path")))
    assert found == [("/0",), ("/a",)]
    store.close()
