"""The statements on ClickHouse: the same answers as those of the second implementation, to the last digit."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from haru.stats.dimensions import DIMENSIONS
from haru.stats.query import parse
from haru.stats.report import Reports, StatsSite
from tests import reference
from tests.embedded import filled
from tests.stats import test_statement
from tests.stats.made import DAY, HOUR, assert_same, journey, ms
from tests.stats.test_parity import ODD, queries, visits

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


@settings(
    max_examples=40, phases=(Phase.generate,), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.data())
def test_answers_are_those_of_the_second_implementation(data: st.DataObject) -> None:
    timezone, moment = data.draw(st.sampled_from(ODD))
    centre = ms(moment)
    events = [e for number in range(1, data.draw(st.integers(1, 6)) + 1) for e in data.draw(visits(number, centre))]
    now = centre + data.draw(st.sampled_from([0, HOUR, DAY, 2 * DAY, 3 * DAY + 123]))
    reports = Reports(filled(events))
    for _ in range(4):
        query = data.draw(queries(now))
        expected = reference.answer(events, query, timezone, now)
        assert_same(reports.answer(StatsSite(1, timezone), parse(query), now), expected, query)


STORIES = [
    name
    for name, case in vars(test_statement).items()
    if name.startswith("test_") and not inspect.signature(case).parameters
]


@pytest.mark.parametrize("name", STORIES)
def test_what_the_numbers_mean_does_not_depend_on_the_engine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.stats.made.filled", filled)
    getattr(test_statement, name)()


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
    reports = Reports(filled(events))
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
    assert len(filled(events).recent_visits(0)) == len(HOSTILE)


def test_a_filter_may_hold_thousands_of_values() -> None:
    reports = Reports(filled(journey(100, NOON, (0, "/7"))))
    many = [f"/{number}/{'x' * 40}" for number in range(10_000)]
    query = parse({"metrics": ["visitors"], "date_range": "day", "filters": [["is", "event:page", [*many, "/7"]]]})
    assert reports.answer(StatsSite(1, "UTC"), query, NOON).rows[0].metrics == (1,)
