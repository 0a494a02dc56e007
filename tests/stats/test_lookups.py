"""What only the store can tell of a plan, looked up once however many plans lack it."""

from __future__ import annotations

from typing import Any

import pytest

from haru.stats import bounds
from haru.stats.asking import Asking
from haru.stats.lookups import Lookups
from haru.stats.plan import Plan, StatsSite, make
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import filled, journey, ms

NOW = ms("2026-03-02 12:00")
GOAL = Goal("Docs", page="/docs/**")
EVENTS = [
    *journey(10, ms("2026-03-01 23:50"), (0, "/docs/a"), (20, "/b")),  # crosses the beginning of the day
    *journey(20, ms("2026-03-02 09:00"), (0, "/docs/b/c"), (1, "/B")),
    *journey(30, ms("2026-03-05 09:00"), (0, "/later")),
]


class Counted(Asking):
    """Counts what the store is asked."""

    asked = 0

    def rows(self, *arguments: Any) -> list[Any]:
        self.asked += 1
        return super().rows(*arguments)


@pytest.fixture(params=["duckdb", "clickhouse"])
def lookups(request: pytest.FixtureRequest) -> Lookups:
    store = filled(EVENTS, request.param)
    return Lookups(store, Counted(store))


def plan(goals: tuple[Goal, ...] = (), **query: Any) -> Plan:
    parsed = parse({"metrics": ["visits"], "date_range": "day", **query}, goals)
    return make(StatsSite(1, "UTC", goals), parsed, NOW, lambda: None)


def test_the_first_event_of_a_site_is_its_own(lookups: Lookups) -> None:
    assert lookups.first_event(1, NOW) == ms("2026-03-01 23:50")
    assert lookups.first_event(2, NOW) is None
    asked = lookups._asking.asked
    assert lookups.first_event(1, NOW) == ms("2026-03-01 23:50")
    assert lookups._asking.asked == asked  # it is kept


def test_where_facts_of_visits_are_asked_for_the_plan_reaches_to_the_first_event_of_one_that_crosses_an_end(
    lookups: Lookups,
) -> None:
    found = lookups.resolve(plan(metrics=["bounce_rate"]), NOW)
    assert found.period.start_ms == ms("2026-03-02 00:00")
    assert found.reach.start_ms == ms("2026-03-01 23:50")
    assert found.reach.end_ms == found.period.end_ms


def test_a_filter_by_value_is_told_the_values_that_it_accepts(lookups: Lookups) -> None:
    leaf = ["contains", "event:page", ["B"], {"case_sensitive": False}]
    found = lookups.resolve(plan(filters=[leaf]), NOW)
    (accepted,) = found.values.values()
    assert accepted == {"/docs/b/c", "/b", "/B"}


def test_the_paths_of_a_goal_of_a_pattern_are_told_where_goals_are_asked_for(lookups: Lookups) -> None:
    goals = (GOAL, Goal("Exact", page="/b"))
    assert lookups.resolve(plan(goals, dimensions=["event:goal"]), NOW).paths == {GOAL: {"/docs/b/c"}}
    assert lookups.resolve(plan(goals), NOW).paths == {}


def test_more_values_than_can_be_looked_at_are_refused(lookups: Lookups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_VALUES", 1)
    with pytest.raises(QueryError, match="more than"):
        lookups.resolve(plan(filters=[["matches", "event:page", ["B$"]]]), NOW)
    with pytest.raises(QueryError, match="event:page"):
        lookups.resolve(plan((GOAL,), dimensions=["event:goal"]), NOW)
