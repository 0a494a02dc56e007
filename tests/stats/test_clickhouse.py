"""What ClickHouse could answer otherwise than the other engines, beyond what `test_parity` asks."""

from __future__ import annotations

import pytest

from haru.stats import bounds
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.vocabulary.dimensions import DIMENSIONS
from tests import reference
from tests.stats import made
from tests.stats.made import assert_same, journey, ms

NOON = ms("2026-05-20 12:00")
HOSTILE = [
    "'; DROP TABLE event; --",
    "\\'; DROP TABLE event; --",
    "\\",
    "''",
    '"`$tag$%s%(x)s{x:String}',
    "/* */ -- #",
    "\n\t\x01",
    "\U0001f600ü",
]


@pytest.mark.parametrize("operator", ["is", "is_not", "contains", "contains_not"])
def test_hostile_text_in_a_filter_stays_text(operator: str) -> None:
    # A column of the event's own, one with a dictionary, one without, and the name that decides what an event is.
    texts = [
        (name, DIMENSIONS[name].column) for name in ("event:page", "event:name", "visit:source", "visit:utm_content")
    ]
    events = []
    for number, hostile in enumerate(HOSTILE):
        stamps = {column: hostile for _, column in texts if column not in {"name", "path"}}
        events += journey(100 * (number + 1), NOON, (0, hostile), (1, f"/!{hostile}"), **stamps)
    reports = Reports(made.filled(events, "clickhouse"))
    for name, _ in texts:
        for hostile in HOSTILE:
            query = {
                "metrics": ["events", "bounce_rate"],
                "date_range": "day",
                "dimensions": [name, "visit:entry_page"] if name != "event:page" else [name],
                "filters": [[operator, name, [hostile, "x'"]]],
            }
            expected = reference.answer(events, query, "UTC", NOON)
            assert_same(reports.answer(StatsSite(1, "UTC"), parse(query), NOON), expected, query)
    assert len(made.filled(events, "clickhouse").recent_visits(0)) == len(HOSTILE)


def test_a_filter_may_hold_as_many_values_as_a_query_may_have() -> None:
    reports = Reports(made.filled(journey(100, NOON, (0, "/7")), "clickhouse"))
    many = [f"/{number}/{'x' * 1000}" for number in range(bounds.MAX_CLAUSES - 1)]
    query = parse({"metrics": ["visitors"], "date_range": "day", "filters": [["is", "event:page", [*many, "/7"]]]})
    assert reports.answer(StatsSite(1, "UTC"), query, NOON).rows[0].metrics == (1,)
