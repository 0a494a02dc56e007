"""What ends a question before its answer, and how much of an answer is taken at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from haru.stats import answers, asking, bounds
from haru.stats.answers import Reports
from haru.stats.asking import STEP, Waiter
from haru.stats.plan import StatsSite
from haru.stats.query import MAX_ROWS, QueryError, parse
from haru.stats.vocabulary import filters
from haru.store.stop import Stopped
from tests.stats.made import ENGINES, filled, journey, ms

NOON = ms("2026-05-20 12:00")
SITE = StatsSite(1, "UTC")
TODAY: dict[str, Any] = {"metrics": ["visitors"], "date_range": "day"}
PAGES = [event for v in range(1, 2 * STEP + 2) for event in journey(v, NOON, (0, f"/{v}"))]


def matching(*patterns: str) -> Any:
    return parse(TODAY | {"filters": [["matches", "event:page", list(patterns)]]})


def test_whoever_leaves_ends_the_matching_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    reports, waiter, looked = Reports(filled(PAGES)), Waiter(), []
    real = filters.accepting

    def leaving(leaf: filters.Leaf) -> Callable[[str], bool]:
        accepts = real(leaf)

        def look(value: str) -> bool:
            looked.append(value)
            waiter.leave()
            return accepts(value)

        return look

    monkeypatch.setattr(filters, "accepting", leaving)
    with waiter.waits(), pytest.raises(Stopped):
        reports.answer(SITE, matching("1"), NOON)
    assert len(looked) == STEP


def test_the_limit_is_of_the_whole_question_and_ends_the_matching_too(monkeypatch: pytest.MonkeyPatch) -> None:
    reports, looked = Reports(filled(PAGES), seconds=1), []

    def lasting(value: str) -> bool:
        looked.append(value)
        waiter = asking.current.get()
        while waiter is not None and not waiter.stop.over:
            pass
        return True

    monkeypatch.setattr(filters, "accepting", lambda leaf: lasting)
    with pytest.raises(Stopped, match="1 seconds"):
        reports.answer(SITE, matching("1"), NOON)
    assert len(looked) <= STEP


def test_whoever_leaves_ends_the_making_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    reports, waiter, made = Reports(filled(PAGES)), Waiter(), []
    real = answers._row

    def leaving(*given: Any) -> Any:
        made.append(given)
        waiter.leave()
        return real(*given)

    monkeypatch.setattr(answers, "_row", leaving)
    with waiter.waits(), pytest.raises(Stopped):
        reports.answer(SITE, parse(TODAY | {"dimensions": ["event:page"]}), NOON)
    assert len(made) == STEP


def test_whoever_leaves_while_waiting_for_a_turn_asks_the_store_nothing() -> None:
    reports, waiter = Reports(filled(PAGES)), Waiter()
    begun, go, ended = threading.Semaphore(0), threading.Event(), threading.Event()

    class Held:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def fetch(self, *given: Any) -> Any:
            begun.release()
            assert go.wait(60)
            return store.fetch(*given)

    store = reports.asking._store
    reports.asking._store = Held()  # type: ignore[assignment]
    names = ["visit:source", "visit:browser", "visit:os", "visit:device"]
    queries = [parse(TODAY | {"dimensions": [name]}) for name in names]
    threads = [threading.Thread(target=reports.answer, args=(SITE, query, NOON)) for query in queries]
    for thread in threads:
        thread.start()
        assert begun.acquire(timeout=60)

    def wait() -> None:
        with waiter.waits(), pytest.raises(Stopped):
            reports.answer(SITE, parse(TODAY), NOON)
        ended.set()

    threads.append(threading.Thread(target=wait))
    threads[-1].start()
    while not reports.asking._turns.waiting:
        pass
    waiter.leave()
    assert ended.wait(60)
    assert reports.asking.stopped == {"left": 1}
    go.set()
    for thread in threads:
        thread.join(60)
    assert begun.acquire(blocking=False) is False


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "keys",
    [
        {"metrics": ["bounce_rate"]},
        {"metrics": ["visitors"], "include": {"comparisons": {"mode": "previous_period"}}},
        {"metrics": ["visitors", "total_revenue"]},
        {"metrics": ["percentage"], "order_by": [["percentage", "asc"]]},
    ],
)
def test_no_more_rows_are_taken_as_a_whole_than_is_told(
    monkeypatch: pytest.MonkeyPatch, engine: str, keys: Any
) -> None:
    query = parse(TODAY | {"date_range": ["2026-05-19", "2026-05-20"], "dimensions": ["event:page"]} | keys)
    paid = {"revenue_currency": "EUR", "revenue_amount": "1"}
    events = [
        event
        for v in range(1, 30)
        for event in journey(v, NOON - 2 * 86_400_000 * (v % 2), (0, f"/{v}"), **paid)
        + journey(v + 100, NOON, (0, f"/{v}"), **paid)
    ]
    store = filled(events, engine)
    assert Reports(store).answer(SITE, query, NOON + 1).rows
    monkeypatch.setattr(bounds, "MAX_CELLS", 40)
    with pytest.raises(QueryError, match="more rows than can be sorted or compared"):
        Reports(store).answer(SITE, query, NOON + 1)


def test_no_more_values_are_looked_at_one_by_one_than_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(PAGES)
    monkeypatch.setattr(bounds, "MAX_VALUES", len(PAGES))
    assert Reports(store).answer(SITE, matching("."), NOON).rows[0].metrics == (len(PAGES),)
    monkeypatch.setattr(bounds, "MAX_VALUES", len(PAGES) - 1)
    with pytest.raises(QueryError, match="event:page has more than 500,000 values to look at one by one"):
        Reports(store).answer(SITE, matching("."), NOON)


def test_the_largest_page_of_an_answer_is_within_the_bounds() -> None:
    assert bounds.MAX_CELLS // (bounds.MAX_DIMENSIONS + 2 * bounds.MAX_METRICS + 1) > MAX_ROWS
