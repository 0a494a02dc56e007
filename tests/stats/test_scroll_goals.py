"""Goals of scroll: reached by the visits whose deepest scroll on the page is at least the goal's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from haru.stats.answers import Answer, Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.sql import folded
from haru.stats.vocabulary.goals import Goal
from haru.store.protocol import Folding, Store
from tests import reference
from tests.stats.made import HOUR, MINUTE, assert_same, filled, journey, ms, stored

NOON = ms("2026-05-20 12:00")
GOALS = [
    Goal("Reads", page="/read", scroll=75),
    Goal("Reads any", page="/**", scroll=50),
    Goal("Opens", page="/read"),
    Goal("Signs up", event="signup"),
]
SITE = StatsSite(1, "UTC", tuple(GOALS))


def reading(visit: int, source: str, path: str, *depths: int) -> list[dict[str, Any]]:
    """A visit that opens a page and tells these depths of its scroll there."""
    events = journey(visit, NOON, (0, path), source=source)
    for number, depth in enumerate(depths, 1):
        at = NOON + number * MINUTE
        events.append(
            stored(visit + number, at, visit, name="engagement", path=path, scroll_depth=depth, source=source)
        )
    return events


EVENTS = [
    *reading(100, "Google", "/read", 20, 75),  # just so deep, told in two parts
    *reading(200, "Google", "/read", 74),  # not quite
    *reading(300, "Bing", "/read", 100, 30),  # a later part that tells less takes nothing back
    *reading(400, "Bing", "/other", 90),  # on another page
    *reading(500, "Bing", "/read", -1),  # a depth that is not known
    *journey(600, NOON, (0, "/read"), (1, "/!signup")),  # reads nothing at all
]  # fmt: skip


@pytest.fixture(scope="module", params=["duckdb", "postgresql", "clickhouse", "duckdb, folded"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    engine, _, how = request.param.partition(", ")
    made = filled(EVENTS, engine)
    if how:
        assert isinstance(made, Folding)
        assert made.fold(100_000) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "MANY", 0)
        yield made


def ask(store: Store, *metrics: str, **query: Any) -> Answer:
    asked = {"metrics": list(metrics), "date_range": "day", **query}
    answer = Reports(store).answer(SITE, parse(asked, GOALS), NOON + HOUR)
    assert_same(answer, reference.answer(EVENTS, asked, "UTC", NOON + HOUR, [asdict(goal) for goal in GOALS]), asked)
    return answer


def test_the_row_of_a_goal_counts_the_visits_that_scrolled_so_far_and_no_events(store: Store) -> None:
    answer = ask(store, "visitors", "visits", "events", "conversion_rate", dimensions=["event:goal"])
    assert [(*row.dimensions, *row.metrics) for row in answer.rows] == [
        ("Opens", 5, 5, 5, 83.33),
        ("Reads any", 4, 4, None, 66.67),
        ("Reads", 2, 2, None, 33.33),
        ("Signs up", 1, 1, 1, 16.67),
    ]


@pytest.mark.parametrize(
    ("names", "visitors", "events"),
    [
        (["Reads"], 2, None),
        (["Reads", "Reads any"], 4, None),
        (["Reads", "Signs up"], 3, 1),
        (["Opens"], 5, 5),
    ],
)
def test_a_filter_on_goals_chooses_their_visits(
    store: Store, names: list[str], visitors: int, events: int | None
) -> None:
    answer = ask(store, "visitors", "events", filters=[["is", "event:goal", names]])
    assert answer.rows[0].metrics == (visitors, events)


def test_who_reached_a_goal_is_broken_down(store: Store) -> None:
    answer = ask(
        store,
        "visitors",
        "events",
        "group_conversion_rate",
        "bounce_rate",
        dimensions=["visit:source"],
        filters=[["is", "event:goal", ["Reads"]]],
    )
    assert [(*row.dimensions, *row.metrics) for row in answer.rows] == [
        ("Bing", 1, None, 33.33, 100),
        ("Google", 1, None, 50.0, 100),
    ]


def test_what_a_visit_has_done_takes_goals_of_scroll_and_counts_its_events(store: Store) -> None:
    for operator, counts in (("has_done", (2, 2)), ("has_not_done", (4, 5))):
        answer = ask(store, "visitors", "events", filters=[[operator, ["is", "event:goal", ["Reads"]]]])
        assert answer.rows[0].metrics == counts


def test_a_comparison_has_no_events_either(store: Store) -> None:
    answer = ask(
        store,
        "visitors",
        "events",
        filters=[["is", "event:goal", ["Reads"]]],
        include={"comparisons": {"mode": "previous_period"}},
    )
    (row,) = answer.rows
    assert row.comparison is not None
    assert (row.metrics, row.comparison.metrics) == ((2, None), (0, None))


def test_what_is_scrolled_outside_of_the_period_does_not_count(store: Store) -> None:
    first = ["2026-05-20T12:00:00Z", "2026-05-20T12:01:59Z"]
    answer = ask(store, "visitors", filters=[["is", "event:goal", ["Reads"]]], date_range=first)
    assert answer.rows[0].metrics == (1,)
