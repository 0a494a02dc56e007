"""What PostgreSQL could answer otherwise than the other engines, beyond what `test_parity` asks."""

from __future__ import annotations

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Query, parse
from haru.stats.vocabulary.filters import And, Leaf
from tests import reference
from tests.stats.made import HOUR, assert_same, filled, journey, ms


def test_ties_are_sorted_by_code_point_whatever_the_language_of_the_database() -> None:
    day = ms("2026-03-01 00:00")
    names = ["a", "B", "é", "z", "_", "\U0001f600", "ﬁ", "Z", ""]
    cities = [5, 40, 300, 0]
    events = []
    for number, name in enumerate(names):
        events += journey(
            number * 10 + 1, day + number, (0, f"/{name}"), source=name, city=cities[number % len(cities)]
        )
    reports = Reports(filled(events, "postgresql"))
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


def test_a_filter_of_more_values_than_the_protocol_has_parameters_is_answered() -> None:
    day = ms("2026-03-01 00:00")
    events = journey(1, day, (0, "/50%'s"), (1, "/b"))
    reports = Reports(filled(events, "postgresql"))
    clauses = tuple(f"/{number}%'s" for number in range(70_000))
    query = Query(metrics=("pageviews",), date_range="day", filters=(And((Leaf("is", "event:page", clauses),)),))
    assert reports.answer(StatsSite(1, "UTC"), query, day + HOUR).rows[0].metrics == (1,)
