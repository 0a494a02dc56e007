"""The address of a dashboard: read, validated, and written again."""

from datetime import date

import pytest

from haru.stats.vocabulary.periods import Dates
from haru.web.dashboard.state import KEYS, PERIODS, State, read


def test_an_address_says_what_differs_from_the_first_look():
    state = read({"period": "7d", "metric": "visits", "sources": "channels"}, "30d")
    assert state.address() == "?period=7d&metric=visits&sources=channels"
    assert state.address(metric="visitors", sources="sources") == "?period=7d"


@pytest.mark.parametrize("usual", ["day", "30d"])
def test_without_a_period_the_usual_one_is_shown(usual):
    assert read({}, usual).date_range == usual


@pytest.mark.parametrize("period", PERIODS)
def test_every_period_survives_its_address(period):
    assert read({"period": period}, "30d").period == period


@pytest.mark.parametrize(
    "rubbish",
    [
        {"period": "fortnight"},
        {"period": "custom"},
        {"period": "custom", "from": "2026-02-30", "to": "2026-03-01"},
        {"period": "custom", "from": "2026-02-01"},
        {"period": "custom", "from": "0001-01-01", "to": "9999-12-31"},
        {"metric": "money", "interval": "second", "compare": "x", "sources": "pages", "details": "../etc"},
        {"from": "\x00", "to": "١"},
    ],
)
def test_what_cannot_be_used_is_left_aside(rubbish):
    assert read(rubbish, "30d") == State(period="30d")


def test_a_custom_period_has_both_its_days_and_may_be_typed_in_either_order():
    state = read({"from": "2026-01-31", "to": "2026-01-01"}, "30d")
    assert state.date_range == Dates(date(2026, 1, 1), date(2026, 1, 31))
    assert state.address() == "?period=custom&from=2026-01-01&to=2026-01-31"


def test_one_day_can_be_named():
    state = read({"period": "day", "date": "2026-01-05"}, "30d")
    assert state.date_range == Dates(date(2026, 1, 5), date(2026, 1, 5))
    assert state.address() == "?period=day&date=2026-01-05"


def test_all_time_is_compared_with_nothing():
    assert read({"period": "all"}, "30d").comparison is None
    assert read({"period": "7d", "compare": "none"}, "30d").comparison is None
    assert read({"period": "7d", "compare": "year"}, "30d").comparison.mode == "year_over_year"


def test_each_key_leads_to_one_period() -> None:
    assert set(KEYS) <= set(PERIODS)
    assert len(set(KEYS.values())) == len(KEYS)
