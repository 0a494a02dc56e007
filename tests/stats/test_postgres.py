"""The same answers from PostgreSQL: random events and queries against the second implementation."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from haru.events.event import COLUMNS
from haru.events.postgres import PostgresStore
from haru.events.store import Progress
from haru.stats.filters import And, Leaf
from haru.stats.query import Query, parse
from haru.stats.report import Reports, StatsSite
from tests import reference
from tests.postgres import Cluster
from tests.stats.made import DAY, HOUR, assert_same, journey, ms
from tests.stats.test_parity import ODD, queries, visits


class Emptied:
    """A store that can be filled again and again."""

    def __init__(self, url: str) -> None:
        self.store = PostgresStore(url)
        self.store.open()
        self._connection = psycopg.connect(url, autocommit=True)

    def fill(self, events: list[dict[str, object]]) -> PostgresStore:
        self._connection.execute("TRUNCATE haru_events.event")
        self.store.load([tuple(event[name] for name, _ in COLUMNS) for event in events], Progress(1))
        return self.store

    def close(self) -> None:
        self.store.close()
        self._connection.close()


@pytest.fixture(scope="module")
def emptied(postgres: Cluster) -> Iterator[Emptied]:
    made = Emptied(postgres.database())
    yield made
    made.close()


@settings(
    max_examples=60, phases=(Phase.generate,), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(data=st.data())
def test_answers_are_those_of_the_second_implementation(emptied: Emptied, data: st.DataObject) -> None:
    timezone, moment = data.draw(st.sampled_from(ODD))
    centre = ms(moment)
    events = [e for number in range(1, data.draw(st.integers(1, 6)) + 1) for e in data.draw(visits(number, centre))]
    now = centre + data.draw(st.sampled_from([0, HOUR, DAY, 2 * DAY, 3 * DAY + 123]))
    reports = Reports(emptied.fill(events))
    for _ in range(3):
        query = data.draw(queries(now))
        expected = reference.answer(events, query, timezone, now)
        assert_same(reports.answer(StatsSite(1, timezone), parse(query), now), expected, query)


def test_ties_are_sorted_by_code_point_whatever_the_language_of_the_database(emptied: Emptied) -> None:
    day = ms("2026-03-01 00:00")
    names = ["a", "B", "é", "z", "_", "\U0001f600", "ﬁ", "Z", ""]
    cities = [5, 40, 300, 0]
    events = []
    for number, name in enumerate(names):
        events += journey(
            number * 10 + 1, day + number, (0, f"/{name}"), source=name, city=cities[number % len(cities)]
        )
    reports = Reports(emptied.fill(events))
    for dimension in ("event:page", "visit:source", "visit:city", "visit:entry_page"):
        for way in ("asc", "desc"):
            query = {
                "metrics": ["visitors"],
                "date_range": "day",
                "dimensions": [dimension],
                "order_by": [[dimension, way]],
            }
            answer = reports.answer(StatsSite(1, "UTC"), parse(query), day + HOUR)
            assert_same(answer, reference.answer(events, query, "UTC", day + HOUR), query)


def test_a_filter_of_more_values_than_the_protocol_has_parameters_is_answered(emptied: Emptied) -> None:
    day = ms("2026-03-01 00:00")
    events = journey(1, day, (0, "/50%'s"), (1, "/b"))
    reports = Reports(emptied.fill(events))
    clauses = tuple(f"/{number}%'s" for number in range(70_000))
    query = Query(metrics=("pageviews",), date_range="day", filters=(And((Leaf("is", "event:page", clauses),)),))
    assert reports.answer(StatsSite(1, "UTC"), query, day + HOUR).rows[0].metrics == (1,)
