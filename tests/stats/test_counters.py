"""What is counted, told as visits: reading, exits and revenue. The second implementation must say the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select, select

from haru.stats.sql.counters import COUNTERS, EVENT, FACTS, VISIT_COUNTERS, Counter, E
from tests.stats.made import DAY, ask, euros, filled, journey, ms, paid, reading, rows, stored

NOON = ms("2026-05-20 12:00")

# One visit that views, reads, pays and signs up; one that opens a page and scrolls nowhere.
BUSY = [
    stored(1, NOON, 1, path="/in", hostname="a.example"),
    stored(2, NOON + 2_000, 1, path="/in", name="engagement", engaged_ms=700, scroll_depth=30),
    stored(3, NOON + 3_000, 1, path="/out", hostname="b.example"),
    stored(4, NOON + 3_000, 1, path="/last", hostname="c.example"),
    stored(5, NOON + 4_500, 1, name="buy", path="/x", revenue_currency="EUR", revenue_amount="0.10"),
    stored(6, NOON + 9_000, 1, name="engagement", engaged_ms=300, scroll_depth=-1),
    stored(7, NOON + 9_000, 1, name="engagement", engaged_ms=5, scroll_depth=80),
]
IDLE = [
    stored(8, NOON, 8, path="/in"),
    stored(9, NOON + 1_000, 8, path="/in", name="engagement", engaged_ms=1, scroll_depth=-1),
]
COUNTS = {  # of both, and of the second alone
    "visitors": (2, 1),
    "visits": (2, 1),
    "pageviews": (4, 1),
    "events": (5, 1),
    "engaged_ms": (1_006, 1),
    "engaged_visits": (2, 1),
    "deepest": (80, 0),
    "scrolled_visits": (1, 0),
    "revenue": (Decimal("0.10"), None),
    "payments": (1, 0),
}


def over_visits(counter: Counter) -> Select[Any]:
    """The counter over rows of visits, each of which holds its own numbers."""
    own = [each.of_visit(*each.part).label(name) for name, each in COUNTERS.items() if each.part]
    visits = select(E.visit_id, E.visitor_id, *own).group_by(E.visit_id, E.visitor_id).subquery()
    return select(counter.of_visits(visits.c)).select_from(visits)


@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter_is_the_same_number_over_events_and_over_visits(name: str) -> None:
    counter = COUNTERS[name]
    both, idle = COUNTS[name]
    for events, expected in ((BUSY + IDLE, both), (IDLE, idle)):
        store = filled(events)
        assert store.fetch(over_visits(counter)) == [(expected,)]
        if counter.of_events is not None:
            assert store.fetch(select(counter.of_events()).select_from(EVENT)) == [(expected,)]
        else:
            assert name == "deepest"  # the deepest of each visit first, then their sum


@pytest.mark.parametrize(
    ("name", "busy", "idle"),
    [
        ("viewed", 3, 1),
        ("bounced", 0, 1),
        ("lasted_ms", 4_500, 0),
        ("entry_page", "/in", "/in"),
        ("exit_page", "/last", "/in"),
        ("entry_hostname", "a.example", "example.com"),
        ("exit_hostname", "c.example", "example.com"),
    ],
)
def test_a_fact_is_told_by_all_events_of_the_visit(name: str, busy: Any, idle: Any) -> None:
    facts = select(FACTS[name].of_events()).group_by(E.visit_id).order_by(E.visit_id)
    assert filled(BUSY + IDLE).fetch(facts) == [(busy,), (idle,)]


def test_a_visit_without_pageviews_has_facts_too() -> None:
    facts = select(*(fact.of_events() for fact in FACTS.values())).select_from(EVENT)
    event = stored(1, NOON, 1, name="signup", interactive=False)
    assert filled([event]).fetch(facts) == [(0, 1, 0, "", "", "", "")]
    assert filled([event | {"interactive": True}]).fetch(facts) == [(0, 0, 0, "", "", "", "")]


def test_what_is_summed_over_visits_is_a_fact_and_speaks_of_a_page() -> None:
    assert {counter.fact for counter in VISIT_COUNTERS.values()} <= {"", *FACTS}
    assert {counter.page for counter in VISIT_COUNTERS.values()} == {"entry_page", "exit_page"}
    assert not COUNTERS.keys() & VISIT_COUNTERS.keys()


def test_time_on_page_is_the_mean_of_the_visits_that_read_there() -> None:
    events = [
        *reading(100, NOON, ("/a", 10_000, -1), ("/a", 5_000, -1), ("/b", 1_000, -1)),
        *reading(200, NOON, ("/a", 6_000, -1)),
        *journey(300, NOON, (0, "/a"), (1, "/c")),  # says nothing of how long it read
    ]
    answer = ask(events, NOON, metrics=["time_on_page", "visits"], dimensions=["event:page"])
    assert rows(answer) == [("/a", 10, 3), ("/b", 1, 1), ("/c", None, 1)]  # (15 + 6) / 2 = 10.5 → 10


def test_scroll_depth_is_the_deepest_of_each_visit_and_then_the_mean() -> None:
    events = [
        *reading(100, NOON, ("/a", 1, 80), ("/a", 1, 20), ("/b", 1, 100)),
        *reading(200, NOON, ("/a", 1, 25)),
        *reading(300, NOON, ("/a", 1, -1)),
        *reading(400, NOON, ("/c", 1, 0)),
    ]
    answer = ask(events, NOON, metrics=["scroll_depth"], dimensions=["event:page"])
    assert rows(answer) == [("/b", 100), ("/a", 52), ("/c", 0)]  # (80 + 25) / 2 = 52.5 → 52
    assert rows(ask(events, NOON, metrics=["scroll_depth"], filters=[["is", "event:page", ["/b", "/c"]]])) == [(50,)]


def test_without_data_reading_is_null_and_sorts_last() -> None:
    assert rows(ask([], NOON, metrics=["time_on_page", "scroll_depth"], filters=[["is", "event:page", ["/"]]])) == [
        (None, None)
    ]
    events = [*reading(100, NOON, ("/read", 0, 0)), *journey(200, NOON, (0, "/unread"))]
    metrics = ["scroll_depth", "time_on_page"]
    assert rows(ask(events, NOON, metrics=metrics, dimensions=["event:page"])) == [
        ("/read", 0, 0),
        ("/unread", None, None),
    ]
    upwards = ask(events, NOON, metrics=metrics, dimensions=["event:page"], order_by=[["time_on_page", "asc"]])
    assert rows(upwards) == [("/unread", None, None), ("/read", 0, 0)]


def test_what_was_not_there_to_compare_with_is_no_data() -> None:
    compare = {"comparisons": {"mode": "previous_period"}}
    (row,) = ask(
        reading(100, NOON, ("/a", 4_000, 40)),
        NOON,
        metrics=["time_on_page", "total_revenue", "visitors"],
        dimensions=["event:page"],
        include=compare,
    ).rows
    assert (row.metrics, row.comparison.metrics) == ((4, None, 1), (None, None, 0))


def test_exit_rate_is_visits_that_ended_on_a_page_by_pageviews_of_it() -> None:
    events = [
        *journey(100, NOON, (0, "/a"), (1, "/b"), (2, "/a")),
        *journey(200, NOON, (0, "/a"), (1, "/b"), (2, "/b!signup")),
        *journey(300, NOON, (0, "/b")),
    ]
    by_exit = [("/b", 66.7), ("/a", 33.3)]
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page"])) == by_exit
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["event:page"])) == by_exit
    only = [["is", "visit:exit_page", ["/b"]]]
    assert rows(ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page"], filters=only)) == [
        ("/b", 66.7)
    ]


def test_exit_rate_goes_with_other_dimensions_of_visits() -> None:
    events = [
        *journey(100, NOON, (0, "/a"), (1, "/b"), source="x"),
        *journey(200, NOON, (0, "/b"), (1, "/a"), source="y"),
        *journey(300, NOON, (0, "/b"), source="y"),
    ]
    answer = ask(events, NOON, metrics=["exit_rate"], dimensions=["visit:exit_page", "visit:source"])
    assert rows(answer) == [("/a", "y", 100.0), ("/b", "x", 100.0), ("/b", "y", 50.0)]


def test_revenue_is_a_list_ordered_by_currency_and_rounded_once() -> None:
    events = [
        *paid(100, NOON, ("USD", "0.005"), ("EUR", "10"), ("EUR", "-2.50")),
        *paid(200, NOON, ("USD", "0.01"), ("EUR", "0.000000001")),
        *paid(300, NOON),
    ]
    (row,) = ask(events, NOON, metrics=["total_revenue", "average_revenue"]).rows
    assert row.metrics == (
        [{"currency": "EUR", "value": 7.5}, {"currency": "USD", "value": 0.02}],  # 0.015 → 0.02
        [{"currency": "EUR", "value": 2.5}, {"currency": "USD", "value": 0.01}],
    )
    assert rows(ask([], NOON, metrics=["total_revenue", "average_revenue"])) == [(None, None)]


def test_amounts_are_exact_where_floats_are_not() -> None:
    amounts = [("EUR", "999999999999999.99"), *[("EUR", "0.1")] * 3, ("EUR", "-999999999999999.99"), ("EUR", "-0.295")]
    assert rows(ask(paid(100, NOON, *amounts), NOON, metrics=["total_revenue"])) == [(euros(0.0),)]  # 0.005 → 0.00


def test_rows_sort_by_revenue_and_those_without_come_first_upwards() -> None:
    events = [
        *paid(100, NOON, ("EUR", "5"), source="a"),
        *paid(200, NOON, ("EUR", "7"), source="b"),
        *paid(300, NOON, source="c"),
    ]
    metrics = ["total_revenue", "visitors"]
    answer = ask(events, NOON, metrics=metrics, dimensions=["visit:source"], pagination={"limit": 2})
    assert rows(answer) == [("b", euros(7.0), 1), ("a", euros(5.0), 1)]
    upwards = ask(events, NOON, metrics=metrics, dimensions=["visit:source"], order_by=[["total_revenue", "asc"]])
    assert [row[0] for row in rows(upwards)] == ["c", "a", "b"]


def test_revenue_counts_in_the_bucket_in_which_it_came() -> None:
    events = paid(100, NOON, ("EUR", "1"))
    events.append(stored(109, NOON - DAY, 100, name="buy", revenue_currency="EUR", revenue_amount="2"))
    answer = ask(
        events, NOON, metrics=["total_revenue"], dimensions=["time:day"], date_range=["2026-05-19", "2026-05-20"]
    )
    assert rows(answer) == [("2026-05-19", euros(2.0)), ("2026-05-20", euros(1.0))]
