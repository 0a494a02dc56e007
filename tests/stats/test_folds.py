"""What is known of the folded rows of a period before they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from haru.stats.sql import folds
from haru.stats.sql.folds import LOOK, Folds
from haru.stats.vocabulary.periods import Period
from haru.store.protocol import Folding
from tests.stats.made import DAY, HOUR, MINUTE, filled, journey, ms

MIDNIGHT = ms("2026-05-20 00:00")
NOON = MIDNIGHT + 12 * HOUR
TODAY = Period(MIDNIGHT, MIDNIGHT + DAY)

WITHIN = journey(100, NOON, (0, "/"), (5, "/a"), visitor_id=1)
INTO = journey(200, MIDNIGHT - 10 * MINUTE, (0, "/in"), (20, "/a"), visitor_id=2)
OUT = journey(300, TODAY.end_ms - 5 * MINUTE, (0, "/"), (10, "/b"), (25, "/out"), visitor_id=3)


def look(events: list[dict[str, Any]], folded: int = 1_000, period: Period = TODAY, site: int = 1) -> Folds:
    """What is known of the period after the events up to this id were folded."""
    store = filled(events)
    assert isinstance(store, Folding)
    store.fold(folded)
    (row,) = store.fetch(LOOK, folds.parameters(site, period))
    return folds.known(period, row)


def test_where_no_visit_crosses_an_end_the_period_reaches_no_further() -> None:
    ends = Period(MIDNIGHT, MIDNIGHT), Period(TODAY.end_ms, TODAY.end_ms)
    assert look(WITHIN) == Folds(101, ends, TODAY, settled=True, low_ms=None, long=False, over=False)


def test_visits_that_cross_the_ends_are_within_its_reach() -> None:
    known = look([*WITHIN, *INTO, *OUT])
    assert known.edges == (
        Period(MIDNIGHT - 10 * MINUTE, MIDNIGHT + 10 * MINUTE + 1),
        Period(TODAY.end_ms - 5 * MINUTE, TODAY.end_ms + 20 * MINUTE + 1),
    )
    assert known.reach == Period(MIDNIGHT - 10 * MINUTE, TODAY.end_ms + 20 * MINUTE + 1)
    assert known.settled
    assert not known.over


def test_the_first_time_of_a_visitor_who_crosses_the_end_is_known() -> None:
    before = journey(50, MIDNIGHT - 3 * DAY, (0, "/"), visitor_id=3)
    assert look([*before, *OUT]).low_ms == MIDNIGHT - 3 * DAY
    assert look(OUT).low_ms == OUT[0]["at"]
    assert look(INTO).low_ms is None


@pytest.mark.parametrize(("shift", "settled"), [(0, False), (-3 * DAY, True), (3 * DAY, True)])
def test_a_period_is_settled_when_no_event_in_its_reach_waits_to_be_folded(shift: int, settled: bool) -> None:
    late = journey(900, NOON + shift, (0, "/"), visitor_id=9)
    known = look([*WITHIN, *late], folded=101)
    assert (known.last_id, known.settled) == (101, settled)


def test_a_visit_that_went_on_after_it_was_folded_reaches_as_far_as_it_went() -> None:
    grown = [OUT[0], *(event | {"id": 900 + place} for place, event in enumerate(OUT[1:]))]
    known = look([*WITHIN, *grown], folded=300)
    assert known.last_id == 300
    assert known.edges[1] == Period(TODAY.end_ms - 5 * MINUTE, TODAY.end_ms + 20 * MINUTE + 1)


def test_a_visit_over_both_ends_and_a_long_one_are_known() -> None:
    known = look(journey(1, MIDNIGHT - HOUR, *((minutes, "/") for minutes in range(0, 26 * 60, 30))))
    assert (known.over, known.long) == (True, True)
    an_hour = Period(NOON, NOON + HOUR)
    known = look(journey(1, NOON - 10 * MINUTE, (0, "/"), (25, "/"), (50, "/"), (75, "/")), period=an_hour)
    assert (known.over, known.long) == (True, False)


def test_another_sites_visits_are_not_known() -> None:
    assert look([*INTO, *OUT], site=2).reach == TODAY
