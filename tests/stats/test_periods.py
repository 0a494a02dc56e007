from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import Comparison, Dates, Instants, Period
from tests.stats.made import DAY, HOUR, MINUTE, ask, journey, ms

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
NOON = ms("2026-05-20 12:00")  # a Wednesday


def days(name, now=NOON, zone=UTC, first_event=None):
    return periods.resolve(name, zone, now, lambda: first_event).days


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("day", "2026-05-20", "2026-05-20"),
        ("yesterday", "2026-05-19", "2026-05-19"),
        ("7d", "2026-05-13", "2026-05-19"),
        ("28d", "2026-04-22", "2026-05-19"),
        ("30d", "2026-04-20", "2026-05-19"),
        ("91d", "2026-02-18", "2026-05-19"),
        ("3d", "2026-05-17", "2026-05-19"),
        ("month", "2026-05-01", "2026-05-31"),
        ("year", "2026-01-01", "2026-12-31"),
        ("6mo", "2025-11-01", "2026-04-30"),
        ("12mo", "2025-05-01", "2026-04-30"),
        ("1mo", "2026-04-01", "2026-04-30"),
    ],
)
def test_a_named_period_has_its_days(name, first, last) -> None:
    assert days(name) == Dates(date.fromisoformat(first), date.fromisoformat(last))


def test_a_day_begins_and_ends_at_the_sites_midnight() -> None:
    period = periods.resolve("day", BERLIN, NOON, lambda: None)
    assert (period.start_ms, period.end_ms) == (ms("2026-05-19 22:00"), ms("2026-05-20 22:00"))


def test_today_is_that_of_the_sites_zone() -> None:
    late = ms("2026-05-20 22:30")
    assert days("day", late, BERLIN) == Dates(date(2026, 5, 21), date(2026, 5, 21))


def rolling(name, now, zone="Europe/Berlin"):
    """The rolling period and the labels of its buckets."""
    period = periods.resolve(name, ZoneInfo(zone), now, lambda: None)
    return period, periods.labels(ZoneInfo(zone), period, {"24h": "hour", "realtime": "minute"}[name])


def test_rolling_periods_end_now_with_now_included_in_their_last_bucket() -> None:
    now = NOON + 31 * MINUTE + 4_005
    day, hours = rolling("24h", now)
    assert (day.start_ms, day.end_ms) == (NOON - 23 * HOUR, now + 1)
    assert (len(hours), hours[0], hours[-1]) == (24, "2026-05-19 15:00:00", "2026-05-20 14:00:00")
    half_hour, minutes = rolling("realtime", now)
    assert (half_hour.start_ms, half_hour.end_ms) == (NOON + 2 * MINUTE, now + 1)
    assert (len(minutes), minutes[0], minutes[-1]) == (30, "2026-05-20 14:02:00", "2026-05-20 14:31:00")


@pytest.mark.parametrize("second", [0, 1, 59_999])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", "2026-03-29 01:00"),  # an hour forward
        ("Europe/Berlin", "2026-10-25 01:00"),  # an hour back
        ("Australia/Lord_Howe", "2026-10-03 15:30"),  # half an hour forward
        ("Australia/Lord_Howe", "2026-04-04 15:00"),  # half an hour back
        ("Asia/Kathmandu", "2026-05-20 12:00"),
        ("Pacific/Apia", "2011-12-30 10:00"),  # a day forward
    ],
)
def test_rolling_periods_have_as_many_buckets_wherever_clocks_change(zone, change, second) -> None:
    for minutes in range(-70, 26 * 60, 25):
        now = ms(change) + minutes * MINUTE + second
        for name, count in (("24h", 24), ("realtime", 30)):
            period, labels = rolling(name, now, zone)
            assert len(labels) == count
            before = periods.wall(ZoneInfo(zone), period.start_ms - 1)
            assert (
                periods.label(periods.floor(before, "hour" if count == 24 else "minute"), "hour", before) not in labels
            )


def test_all_begins_on_the_day_of_the_first_event() -> None:
    assert days("all", first_event=ms("2025-12-24 23:30"), zone=BERLIN) == Dates(date(2025, 12, 25), date(2026, 5, 20))
    assert days("all") == Dates(date(2026, 5, 20), date(2026, 5, 20))


def test_no_period_begins_before_1970() -> None:
    assert days("9999d", ms("1990-01-01 00:00")).first == date(1970, 1, 1)
    assert days("9999mo").first == date(1970, 1, 1)


def test_a_range_of_instants_includes_its_end() -> None:
    period = periods.resolve(Instants(5, 9), UTC, NOON, lambda: None)
    assert (period.start_ms, period.end_ms) == (5, 10)
    assert 9 in period
    assert 10 not in period


def test_a_skipped_midnight_is_the_next_instant_that_exists() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    assert periods.midnight(cairo, date(2026, 4, 24)) == ms("2026-04-23 22:00")
    assert periods.wall(cairo, ms("2026-04-23 22:00")) == datetime(2026, 4, 24, 1)


def test_a_midnight_inside_a_gap_is_the_gaps_end() -> None:
    toronto = ZoneInfo("America/Toronto")  # 30 March 1919, 23:30 → 00:30
    start = periods.midnight(toronto, date(1919, 3, 31))
    assert periods.wall(toronto, start) == datetime(1919, 3, 31, 0, 30)
    assert periods.wall(toronto, start - 1) < datetime(1919, 3, 30, 23, 30)


def test_a_midnight_that_happens_twice_is_the_first() -> None:
    havana = ZoneInfo("America/Havana")
    assert periods.midnight(havana, date(2026, 11, 1)) == ms("2026-11-01 04:00")


def test_a_day_that_a_zone_skips_is_empty() -> None:
    apia = ZoneInfo("Pacific/Apia")
    period = periods.resolve(Dates(date(2011, 12, 30), date(2011, 12, 30)), apia, NOON, lambda: None)
    assert period.start_ms == period.end_ms
    assert periods.labels(apia, period, "day") == []


def test_days_of_23_and_25_hours_keep_their_length() -> None:
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25)):
        period = periods.resolve(Dates(day, day), BERLIN, NOON, lambda: None)
        assert period.end_ms - period.start_ms == hours * HOUR


def test_a_skipped_hour_has_no_label_and_a_repeated_one_has_one() -> None:
    spring = periods.resolve(Dates(date(2026, 3, 29), date(2026, 3, 29)), BERLIN, NOON, lambda: None)
    labels = periods.labels(BERLIN, spring, "hour")
    assert len(labels) == 23
    assert "2026-03-29 02:00:00" not in labels
    autumn = periods.resolve(Dates(date(2026, 10, 25), date(2026, 10, 25)), BERLIN, NOON, lambda: None)
    labels = periods.labels(BERLIN, autumn, "hour")
    assert len(labels) == 24
    assert labels.count("2026-10-25 02:00:00") == 1


def test_half_an_hour_is_skipped_on_lord_howe() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    day = periods.resolve(Dates(date(2026, 10, 4), date(2026, 10, 4)), zone, NOON, lambda: None)
    minutes = periods.labels(zone, day, "minute")
    assert len(minutes) == 24 * 60 - 30
    assert "2026-10-04 02:30:00" in minutes
    assert "2026-10-04 02:15:00" not in minutes
    assert len(periods.labels(zone, day, "hour")) == 24


def test_a_first_partial_week_is_called_by_the_first_date() -> None:
    period = periods.resolve(Dates(date(2026, 5, 6), date(2026, 5, 20)), UTC, NOON, lambda: None)
    assert periods.labels(UTC, period, "week") == ["2026-05-06", "2026-05-11", "2026-05-18"]
    assert periods.labels(UTC, period, "month") == ["2026-05-01"]


def test_more_labels_than_can_be_answered_are_refused() -> None:
    with pytest.raises(ValueError, match="50,000 labels by minute"):
        periods.labels(UTC, periods.resolve("year", UTC, NOON, lambda: None), "minute")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("realtime", "minute"),
        ("24h", "hour"),
        ("day", "hour"),
        ("2d", "hour"),
        ("3d", "day"),
        ("40d", "day"),
        ("41d", "week"),
        ("year", "week"),
        ("366d", "week"),
        ("367d", "month"),
    ],
)
def test_time_without_a_unit_suits_the_period(name, unit) -> None:
    period = periods.resolve(name, UTC, NOON, lambda: None)
    assert periods.interval(name, period, UTC) == unit


def test_two_days_with_a_repeated_hour_are_still_shown_by_the_hour() -> None:
    dates = Dates(date(2026, 10, 24), date(2026, 10, 25))
    assert periods.interval(dates, periods.resolve(dates, BERLIN, NOON, lambda: None), BERLIN) == "hour"


def compared(name, mode, match=False, custom=None, zone=UTC):
    period = periods.resolve(name, zone, NOON, lambda: None)
    return periods.compared(name, period, Comparison(mode, custom, match), zone)


@pytest.mark.parametrize(
    ("name", "mode", "first", "last"),
    [
        ("7d", "previous_period", "2026-05-06", "2026-05-12"),
        ("month", "previous_period", "2026-04-01", "2026-04-30"),
        ("year", "previous_period", "2025-01-01", "2025-12-31"),
        ("6mo", "previous_period", "2025-05-01", "2025-10-31"),
        ("7d", "year_over_year", "2025-05-13", "2025-05-19"),
        (Dates(date(2024, 2, 29), date(2024, 2, 29)), "year_over_year", "2023-02-28", "2023-02-28"),
    ],
)
def test_days_are_compared_with_days(name, mode, first, last) -> None:
    assert compared(name, mode).days == Dates(date.fromisoformat(first), date.fromisoformat(last))


def test_rolling_periods_are_compared_with_as_many_buckets_just_before() -> None:
    other = compared("24h", "previous_period")
    assert (other.start_ms, other.end_ms) == (NOON - 47 * HOUR, NOON - 23 * HOUR)
    other = compared("realtime", "previous_period")
    assert (other.start_ms, other.end_ms) == (NOON - 59 * MINUTE, NOON - 29 * MINUTE)


@pytest.mark.parametrize(
    ("name", "mode", "now", "last"),
    [
        ("day", "previous_period", "2026-05-20 07:32", "2026-05-19 09:32"),
        ("day", "year_over_year", "2026-05-20 07:32", "2025-05-20 09:32"),
        ("24h", "previous_period", "2026-05-20 07:32", "2026-05-19 09:32"),
        ("realtime", "previous_period", "2026-05-20 07:32", "2026-05-20 09:02"),
        ("month", "previous_period", "2026-05-20 07:32", "2026-04-20 09:32"),
        ("year", "previous_period", "2026-05-20 07:32", "2025-05-20 09:32"),
        ("month", "previous_period", "2026-03-31 07:32", "2026-02-28 23:59"),  # it has no more days
        ("day", "previous_period", "2026-03-30 07:32", "2026-03-29 09:32"),  # of 23 hours
        ("day", "previous_period", "2026-10-26 07:32", "2026-10-25 08:32"),  # of 25 hours
    ],
)
def test_a_running_period_is_compared_with_the_same_part_by_the_clocks(name, mode, now, last) -> None:
    period = periods.resolve(name, BERLIN, ms(now), lambda: None)
    other = periods.compared(name, period, Comparison(mode), BERLIN)
    part = periods.until(BERLIN, period, other, ms(now))
    assert part.start_ms == other.start_ms
    assert f"{periods.wall(BERLIN, part.end_ms - 1):%Y-%m-%d %H:%M}" == last


def test_matching_the_weekday_moves_the_previous_period_back_and_others_to_the_nearest() -> None:
    three = Dates(date(2026, 5, 18), date(2026, 5, 20))  # from a Monday
    assert compared(three, "previous_period", match=True).days == Dates(date(2026, 5, 11), date(2026, 5, 13))
    assert compared(three, "year_over_year", match=True).days == Dates(date(2025, 5, 19), date(2025, 5, 21))
    custom = Dates(date(2026, 1, 1), date(2026, 1, 1))
    assert compared(three, "custom", match=True, custom=custom).days == Dates(date(2025, 12, 29), date(2025, 12, 31))


def test_instants_read_back_mean_the_same() -> None:
    assert periods.iso(BERLIN, ms("2026-05-20 12:00")) == "2026-05-20T14:00:00+02:00"
    assert periods.iso(UTC, 1) == "1970-01-01T00:00:00.001+00:00"


def test_every_change_of_a_zone_is_found() -> None:
    zone = ZoneInfo("Africa/Casablanca")  # changes around Ramadan, besides
    period = Period(ms("2026-01-01 00:00"), ms("2027-01-01 00:00"))
    cuts = periods.stretches(zone, period)
    assert [cut.offset_ms // HOUR for cut in cuts] == [1, 0, 1]
    assert cuts[0].start_ms == period.start_ms
    assert cuts[-1].end_ms == period.end_ms
    for before, after in pairwise(cuts):
        assert before.end_ms == after.start_ms
        assert periods.offset_ms(zone, after.start_ms - 1) == before.offset_ms


def test_the_last_24_hours_and_the_last_30_minutes_have_so_many_buckets() -> None:
    now = NOON + 31 * MINUTE + 4_005
    events = [
        *journey(100, now - DAY, (0, "/")),  # in the hour before the first
        *journey(200, NOON - 23 * HOUR, (0, "/"), (2, "/a")),
        *journey(300, now - 30 * MINUTE, (0, "/")),  # in the minute before the first
        *journey(400, NOON + 2 * MINUTE, (0, "/")),
        *journey(500, now, (0, "/")),
        *journey(600, now + 1, (0, "/")),
    ]
    for name, buckets, last in (("24h", 24, (3, 100)), ("realtime", 30, (1, 100))):
        asked: dict[str, Any] = {"metrics": ["visitors", "bounce_rate"], "dimensions": ["time"]}
        answer = ask(events, now, date_range=name, include={"time_labels": True}, **asked)
        assert answer.labels is not None
        assert len(answer.labels) == buckets
        assert [row.dimensions[0] for row in answer.rows] == [answer.labels[0], answer.labels[-1]]
        assert [row.metrics for row in answer.rows] == [(1, 0 if name == "24h" else 100), last]
        compared = ask(events, now, date_range=name, include={"comparisons": {"mode": "previous_period"}}, **asked)
        assert [row.metrics for row in compared.rows[1:-1]] == [(0, None)] * (buckets - 2)
