from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from haru.stats import answers
from haru.stats.answers import Reports
from haru.stats.lookups import Lookups
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from haru.stats.sql import statement
from haru.store.protocol import Folding, Progress, StoreOutOfMemory
from haru.store.stop import Stopped
from tests.stats.made import DAY, HOUR, MINUTE, ask, filled, journey, ms, rows

NOON = ms("2026-05-20 12:00")
SITE = StatsSite(1, "UTC")
TODAY = parse({"metrics": ["visitors"], "date_range": "day"})


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._store = filled(events)
        self.asked = 0

    def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
        self.asked += 1
        return self._store.fetch(statement, parameters, stop)

    def add(self, events: list[dict[str, Any]]) -> None:
        from haru.events.columns import COLUMNS

        self._store.load([tuple(event[name] for name, _ in COLUMNS) for event in events], Progress(1))


def test_a_question_is_computed_once_and_again_when_events_came() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    for _ in range(3):
        assert reports.answer(SITE, TODAY, NOON).rows[0].metrics == (1,)
    assert store.asked == 1
    store.add(journey(200, NOON, (0, "/")))
    assert reports.answer(SITE, TODAY, NOON, fresh=True).rows[0].metrics == (1,)
    reports.asking.invalidate([1])
    assert reports.answer(SITE, TODAY, NOON, fresh=True).rows[0].metrics == (2,)
    assert store.asked == 2


def test_what_is_made_whole_to_be_compared_is_not_kept_when_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Counting(journey(100, NOON, *((number, f"/{number}") for number in range(30))))
    reports = Reports(store)
    monkeypatch.setattr(reports.asking.cache, "_max_cells", 400)
    small = {"metrics": ["visitors"], "date_range": "day", "dimensions": ["event:page"], "pagination": {"limit": 5}}
    large = {**small, "metrics": ["visitors", "pageviews"], "include": {"comparisons": {"mode": "previous_period"}}}
    for query, statements in [(small, 1), (small, 1), (large, 3), (large, 4), (small, 4)]:  # the other period is empty
        assert len(reports.answer(SITE, parse(query), NOON).rows) == 5
        assert store.asked == statements


def test_sites_and_their_zones_have_answers_of_their_own() -> None:
    reports = Reports(filled(journey(100, ms("2026-05-20 23:30"), (0, "/"))))
    assert reports.answer(SITE, TODAY, NOON).rows[0].metrics == (1,)
    assert reports.answer(StatsSite(2, "UTC"), TODAY, NOON).rows[0].metrics == (0,)
    assert reports.answer(StatsSite(1, "Europe/Berlin"), TODAY, NOON).rows[0].metrics == (0,)


def test_the_next_day_is_another_question() -> None:
    reports = Reports(filled(journey(100, NOON, (0, "/"))))
    last = ms("2026-05-20 23:59") + 59_999
    assert reports.answer(SITE, TODAY, last).rows[0].metrics == (1,)
    assert reports.answer(SITE, TODAY, last + 1).rows[0].metrics == (0,)


def test_a_rolling_period_is_kept_as_long_as_others() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    rolling = parse({"metrics": ["visitors"], "date_range": "realtime"})
    for later in (0, 1, 59_999):
        reports.answer(SITE, rolling, NOON + later)
    assert store.asked == 1
    assert reports.answer(SITE, rolling, NOON + 31 * MINUTE).rows[0].metrics == (0,)


def test_breakdowns_share_the_whole_that_percentage_divides_by() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    for dimension in ("visit:source", "visit:os"):
        query = {"metrics": ["percentage"], "date_range": "day", "dimensions": [dimension]}
        reports.answer(SITE, parse(query), NOON)
    assert store.asked == 3


def test_what_a_rolling_period_is_compared_with_is_another_question_for_each_comparison() -> None:
    events = [
        *journey(100, NOON, (0, "/"), visitor_id=1),
        *journey(200, NOON - DAY - HOUR, (0, "/"), visitor_id=2),
        *journey(300, NOON - DAY - HOUR, (0, "/"), visitor_id=3),
        *[event for n in range(3) for event in journey(400 + n, ms("2025-05-20 08:00"), (0, "/"), visitor_id=n)],
    ]
    reports = Reports(filled(events))
    found = []
    for mode in ("previous_period", "year_over_year"):
        include = {"comparisons": {"mode": mode}}
        query = {"metrics": ["visitors", "percentage"], "date_range": "24h", "include": include}
        (row,) = reports.answer(SITE, parse(query), NOON).rows
        found.append((row.metrics, row.comparison.metrics))
    assert found == [((1, 100.0), (2, 100.0)), ((1, 100.0), (3, 100.0))]


def test_the_part_compared_with_is_kept_as_long_as_other_answers_and_apart_from_the_whole() -> None:
    store = Counting([*journey(100, NOON, (0, "/")), *journey(200, NOON - DAY + HOUR, (0, "/"))])
    reports = Reports(store)
    found = []
    for to_now, later in ((True, 0), (False, 0), (True, 1), (True, 59_999)):
        include = {"comparisons": {"mode": "previous_period", "to_now": to_now}}
        query = parse({"metrics": ["visitors"], "date_range": "day", "include": include})
        (row,) = reports.answer(SITE, query, NOON + later).rows
        found.append(row.comparison.metrics[0] if row.comparison else None)
    assert found == [0, 1, 0, 0]
    assert store.asked == 3


def test_hot_questions_are_answered_before_someone_waits() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    reports.answer(SITE, TODAY, NOON)
    reports.asking.refresh(NOON + 1, [1])
    assert store.asked == 1  # neither old nor stale
    reports.asking.refresh(NOON + 60_000, [1])
    assert store.asked == 2
    reports.answer(SITE, TODAY, NOON + 61_000)
    assert store.asked == 2
    reports.asking.invalidate([1])
    reports.asking.refresh(NOON + 62_000, [1])
    assert store.asked == 3
    reports.asking.refresh(NOON + 4 * MINUTE, [1])
    assert store.asked == 3  # nobody asked in the last minutes


def test_what_nobody_looks_at_any_more_is_not_answered_again() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    reports.answer(SITE, TODAY, NOON)
    reports.asking.refresh(NOON + 60_000, [])
    reports.asking.refresh(NOON + 60_000, [2])
    assert store.asked == 1
    reports.asking.refresh(NOON + 60_000, [1])
    assert store.asked == 2


def test_answering_again_keeps_to_its_time_and_begins_with_what_was_asked_last() -> None:
    class Lasting(Counting):
        def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
            found = super().fetch(statement, parameters, stop)
            while lasting and not stop.over:
                pass
            stop.check()
            return found

    lasting: list[bool] = []
    store = Lasting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    for dimension in ("visit:source", "visit:browser", "visit:os"):
        query = parse({"metrics": ["visitors"], "date_range": "day", "dimensions": [dimension]})
        reports.answer(SITE, query, NOON)
    lasting.append(True)
    asked = store.asked
    reports.asking.refresh(NOON + 60_000, [1], 0.05)
    assert store.asked == asked + 1
    lasting.clear()
    reports.asking.refresh(NOON + 60_000, [1])
    assert store.asked == asked + 3  # but for the one that took too long, which waits until someone asks
    reports.answer(SITE, query, NOON + 60_000)
    assert store.asked == asked + 4


def test_one_question_that_fails_does_not_keep_the_others_cold() -> None:
    store = Counting(journey(100, NOON, (0, "/")))
    reports = Reports(store)
    labels = {"time_labels": True}
    minutes = parse({"metrics": ["visitors"], "date_range": "year", "dimensions": ["time:minute"], "include": labels})
    with pytest.raises(QueryError):
        reports.answer(SITE, minutes, NOON)
    reports.answer(SITE, TODAY, NOON)
    asked = store.asked
    reports.asking.refresh(NOON + 60_000, [1])
    assert store.asked == asked + 1


def test_more_labels_than_can_be_answered_are_a_fault_of_the_query() -> None:
    with pytest.raises(QueryError, match="#/dimensions: the period has more than 50,000 labels by minute"):
        ask([], NOON, date_range="year", dimensions=["time:minute"], include={"time_labels": True})


def test_an_answer_tells_its_circumstances() -> None:
    answer = ask(journey(100, NOON, (0, "/")), NOON, date_range="7d", dimensions=["time"])
    assert answer.period == (ms("2026-05-13 00:00"), ms("2026-05-20 00:00"))
    assert answer.interval == "day"
    assert answer.computed_at_ms == NOON
    assert answer.cost_ms > 0
    assert answer.labels is None
    assert ask([], NOON, dimensions=["time"], include={"time_labels": True}).labels[:2] == [
        "2026-05-20 00:00:00",
        "2026-05-20 01:00:00",
    ]


def test_a_change_of_the_clocks_shifts_no_event_to_another_hour() -> None:
    spring = ms("2026-03-29 00:59")  # 01:59 in Berlin; a minute later clocks show 03:00
    events = [*journey(100, spring, (0, "/")), *journey(200, spring + MINUTE, (0, "/"))]
    answer = ask(events, spring + 3 * HOUR, timezone="Europe/Berlin", dimensions=["time"])
    assert rows(answer) == [("2026-03-29 01:00:00", 1), ("2026-03-29 03:00:00", 1)]


def test_a_question_that_takes_longer_than_the_limit_is_ended_counted_and_not_asked_again_by_itself() -> None:
    class Slow(Counting):
        def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
            self.asked += 1
            assert stop.seconds == 3
            raise Stopped("The query took longer than the limit of 3 seconds.")

    store = Slow([])
    reports = Reports(store, 3)
    with pytest.raises(Stopped, match="3 seconds"):
        reports.answer(SITE, TODAY, NOON)
    assert reports.asking.stopped == {"limit": 1}
    reports.asking.refresh(NOON + 1, [1])
    reports.asking.refresh(NOON + 2, [1])
    assert store.asked == 2


def test_a_question_that_needs_too_much_memory_is_not_asked_again_by_itself_and_keeps_no_other_from_it() -> None:
    class Greedy(Counting):
        def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
            self.asked += 1
            raise StoreOutOfMemory("too little")

    store = Greedy([])
    reports = Reports(store)
    other = parse({"metrics": ["pageviews"], "date_range": "day"})
    for question in (TODAY, other):
        with pytest.raises(StoreOutOfMemory):
            reports.answer(SITE, question, NOON)
    reports.asking.refresh(NOON + 1, [1])
    reports.asking.refresh(NOON + 2, [1])
    assert store.asked == 4


def test_a_statement_is_made_once_for_all_sites_and_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        *journey(100, NOON, (0, "/"), (1, "/a"), visitor_id=1),
        *journey(200, NOON - DAY, (0, "/a"), visitor_id=2),
        *journey(300, NOON, (0, "/b"), visitor_id=3, site_id=2),
    ]
    reports, made = Reports(filled(events)), []
    build = statement.build
    monkeypatch.setattr(statement, "build", lambda *given, **named: made.append(given) or build(*given, **named))

    def ask(site_id: int, day: str, **more: Any) -> list[tuple[Any, ...]]:
        query = {"metrics": ["visitors"], "dimensions": ["event:page"], "date_range": [day, day], **more}
        return rows(reports.answer(StatsSite(site_id, "UTC"), parse(query), NOON + DAY))

    today, before = (str(datetime.fromtimestamp(at / 1000, UTC).date()) for at in (NOON, NOON - DAY))
    assert ask(1, today) == [("/", 1), ("/a", 1)]
    assert ask(1, before) == [("/a", 1)]
    assert ask(2, today) == [("/b", 1)]
    assert len(made) == 1
    assert ask(1, today, filters=[["is", "event:page", ["/"]]]) == [("/", 1)]
    assert ask(1, today, filters=[["is", "event:page", ["/a"]]]) == [("/a", 1)]
    assert ask(1, today, pagination={"limit": 1}) == [("/", 1)]
    assert len(made) == 4


def test_no_more_statements_are_kept_than_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_STATEMENTS", 3)
    reports = Reports(filled(journey(100, NOON, (0, "/"))))
    for limit in range(1, 8):
        query = {"metrics": ["visitors"], "date_range": "day", "pagination": {"limit": limit}}
        assert rows(reports.answer(StatsSite(1, "UTC"), parse(query), NOON)) == [(1,)]
    assert len(reports._statements) == 3


def test_what_was_folded_since_the_question_was_made_is_asked_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of the folded rows may not be so any more: their rows with the old knowledge would be wrong."""
    store = filled([*journey(100, NOON, (0, "/")), *journey(200, NOON + 5 * HOUR, (0, "/a"), visitor_id=2)])
    assert isinstance(store, Folding)
    store.fold(150)
    reports = Reports(store)
    resolve = Lookups.resolve

    def slow(*given: Any) -> Any:
        plan = resolve(*given)
        assert plan.folds is not None
        store.fold()
        return plan

    monkeypatch.setattr(Lookups, "resolve", slow)
    asked: list[Any] = []
    fetch = store.fetch
    monkeypatch.setattr(
        store, "fetch", lambda statement, *more: asked.append(str(statement)) or fetch(statement, *more)
    )
    query = {"metrics": ["visitors", "bounce_rate"], "date_range": "day"}
    assert rows(reports.answer(StatsSite(1, "UTC"), parse(query), NOON + 6 * HOUR)) == [(2, 100)]
    assert ["FROM visit \n" in text for text in asked[-2:]] == [True, False]
