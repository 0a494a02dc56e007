"""What the visits that are folded, in part folded or cut by the period come to: the same as from the events."""

from __future__ import annotations

from typing import Any

import pytest

from haru.events.duckdb import DuckStore
from haru.stats.query import parse
from haru.stats.report import Reports, StatsSite
from tests import reference
from tests.stats.made import DAY, HOUR, MINUTE, assert_same, filled, journey, ms

NOON = ms("2026-05-20 12:00")
MIDNIGHT = ms("2026-05-20 00:00")
FACTS = ["visitors", "visits", "pageviews", "bounce_rate", "visit_duration", "views_per_visit"]

# A visit with all of its events folded, one that goes on, a visitor who comes again, two visits over midnights.
FOLDED = [
    *journey(100, NOON, (0, "/"), (2, "/a"), visitor_id=1),
    *journey(200, NOON, (0, "/"), visitor_id=2),
    *journey(300, NOON, (0, "/a"), visitor_id=3),
    *journey(400, MIDNIGHT - 5 * MINUTE, (0, "/in"), (10, "/a"), visitor_id=4),
    *journey(500, MIDNIGHT + DAY - 5 * MINUTE, (0, "/b"), (10, "/out"), visitor_id=5),
]
LATER = [
    *journey(200, NOON, (0, "/"), (20, "/c"), visitor_id=2)[1:],
    *journey(700, NOON + HOUR, (0, "/c"), visitor_id=3),
]
LATER = [event | {"id": 600 + place} for place, event in enumerate(LATER)]


class Watched(DuckStore):
    """A store that keeps what it is asked."""

    asked: list[str]

    def fetch(self, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
        self.asked.append(str(statement))
        return super().fetch(statement, parameters, stop)


def half_folded() -> Watched:
    """The first events folded, the later ones not."""
    store = filled(FOLDED + LATER)
    assert isinstance(store, DuckStore)
    store.__class__ = Watched
    assert isinstance(store, Watched)
    store.asked = []
    assert store.fold(599) == len(LATER)
    return store


@pytest.mark.parametrize("dimensions", [[], ["visit:entry_page"], ["visit:exit_page", "visit:source"]])
def test_answers_are_those_of_the_events(dimensions: list[str]) -> None:
    store = half_folded()
    query = {"metrics": FACTS, "date_range": ["2026-05-20", "2026-05-20"], "dimensions": dimensions}
    answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY)
    assert_same(answer, reference.answer(FOLDED + LATER, query, "UTC", NOON + 3 * DAY), query)
    assert any("FROM visit" in asked for asked in store.asked)


def test_a_visitor_who_was_alone_and_came_again_is_one() -> None:
    query = {"metrics": ["visitors", "bounce_rate"], "date_range": ["2026-05-20", "2026-05-20"]}
    (row,) = Reports(half_folded()).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY).rows
    assert row.metrics[0] == 5  # with six visits


@pytest.mark.parametrize(
    "query",
    [
        {"metrics": ["visitors"], "dimensions": ["visit:source"]},
        {"metrics": ["bounce_rate"], "dimensions": ["event:page"]},
        {"metrics": ["bounce_rate"], "filters": [["is", "event:page", ["/a"]]]},
        {"metrics": ["bounce_rate"], "filters": [["has_done", ["is", "event:page", ["/a"]]]]},
        {"metrics": ["visitors", "bounce_rate"], "dimensions": ["time:day"]},
    ],
)
def test_what_folded_visits_do_not_hold_is_asked_of_the_events(query: dict[str, Any]) -> None:
    store = half_folded()
    query = {"date_range": ["2026-05-20", "2026-05-20"], **query}
    answer = Reports(store).answer(StatsSite(1, "UTC"), parse(query), NOON + 3 * DAY)
    assert_same(answer, reference.answer(FOLDED + LATER, query, "UTC", NOON + 3 * DAY), query)
    assert not any("FROM visit" in asked and "alone" in asked for asked in store.asked)
