"""Periods and buckets of time in a site's zone.

Everything is computed from Python's `zoneinfo`: a statement is given the instants at which the zone's offset changes,
so that no engine's own idea of a zone takes part.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from haru.clock import DAY_MS, HOUR_MS, MINUTE_MS

# Periods that roll: their unit, ms, and of how many buckets the running one is the last.
ROLLING = {"realtime": (MINUTE_MS, 30), "24h": (HOUR_MS, 24)}

UNITS = ("minute", "hour", "day", "week", "month")
FIRST_YEAR, LAST_YEAR = 1970, 2999
MAX_LABELS = 50_000

_EPOCH = datetime(1970, 1, 1)
_COUNTED = re.compile(r"([1-9][0-9]{0,3})(d|mo)")


@dataclass(frozen=True, slots=True)
class Dates:
    """A custom range of days, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Instants:
    """A custom range of instants, ms, both included."""

    first_ms: int
    last_ms: int


DateRange = str | Dates | Instants  # a name is one of NAMES, "<n>d" or "<n>mo"


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, start included and end not, ms; with its days when it is made of whole ones."""

    start_ms: int
    end_ms: int
    days: Dates | None = None

    def __contains__(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which a zone's offset does not change; `end_ms` is not part of it."""

    start_ms: int
    end_ms: int
    offset_ms: int


def moment(at_ms: int) -> datetime:
    """Milliseconds as a datetime in UTC without a zone, as the store keeps it."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def milliseconds(at: datetime) -> int:
    """The milliseconds of a datetime in UTC without a zone."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    """What the zone's clocks show more than UTC at this instant."""
    offset = moment(at_ms).replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def wall(zone: ZoneInfo, at_ms: int) -> datetime:
    """What the zone's clocks show at an instant."""
    return moment(at_ms + offset_ms(zone, at_ms))


def instant(zone: ZoneInfo, local: datetime) -> int:
    """The instant (ms) at which the zone's clocks show this; the earlier of two; when none does, the gap's end."""
    before, after = (
        milliseconds(local.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None)) for fold in (0, 1)
    )
    if before <= after:
        return before
    # The clocks skip this moment: the change lies between the two readings.
    return _change(zone, after, before)


def midnight(zone: ZoneInfo, day: date) -> int:
    """The first instant (ms) of a day."""
    return instant(zone, datetime.combine(day, time()))


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first instant in (low, high] with the offset of `high`; there is one change between them."""
    target = offset_ms(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_ms(zone, middle) == target:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """The instants of a UTC year at which the zone's offset changes."""
    start, end = milliseconds(datetime(year, 1, 1)), milliseconds(datetime(year + 1, 1, 1))
    found = []
    offset = offset_ms(zone, start - 1)
    for at in range(start, end, DAY_MS):
        last = min(at + DAY_MS, end) - 1
        if (now := offset_ms(zone, last)) != offset:
            found.append(_change(zone, at - 1, last))
            offset = now
    return tuple(found)


def stretches(zone: ZoneInfo, period: Period) -> tuple[Stretch, ...]:
    """The period cut where the zone's offset changes; at least one stretch, in order."""
    years = range(moment(period.start_ms).year, moment(max(period.start_ms, period.end_ms - 1)).year + 1)
    cuts = [at for year in years for at in _changes(zone, year) if period.start_ms < at < period.end_ms]
    starts = [period.start_ms, *cuts]
    return tuple(
        Stretch(start, end, offset_ms(zone, start)) for start, end in zip(starts, [*cuts, period.end_ms], strict=True)
    )


def is_name(text: str) -> bool:
    """Whether this is the name of a period."""
    return text in NAMES or _COUNTED.fullmatch(text) is not None


def is_rolling(range_: DateRange) -> bool:
    """Whether the period moves with every millisecond."""
    return range_ in ROLLING


def _add_months(day: date, months: int) -> date:
    """The same day some months later, or the month's last when it has none."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _days(first: date, last: date) -> Dates:
    return Dates(max(first, date(FIRST_YEAR, 1, 1)), last)


# Named periods of whole days, each from today's date; `all` and those that roll are in `resolve`.
_NAMED: dict[str, Callable[[date], Dates]] = {
    "day": lambda today: Dates(today, today),
    "yesterday": lambda today: Dates(today - timedelta(1), today - timedelta(1)),
    "month": lambda today: Dates(today.replace(day=1), _add_months(today.replace(day=1), 1) - timedelta(1)),
    "year": lambda today: Dates(date(today.year, 1, 1), date(today.year, 12, 31)),
}
NAMES: dict[str, str] = {
    "realtime": "the last 30 minutes, the running one included",
    "day": "today",
    "yesterday": "the day before today",
    "24h": "the last 24 hours, the running one included",
    "month": "the current calendar month, to its end",
    "year": "the current calendar year, to its end",
    "all": "from the day of the site's first event to today",
}


def resolve(range_: DateRange, zone: ZoneInfo, now_ms: int, first_event_ms: Callable[[], int | None]) -> Period:
    """The period that a range means now. `first_event_ms` is asked for `all` only; None when the site has no event."""
    if isinstance(range_, Instants):
        return Period(range_.first_ms, range_.last_ms + 1)
    if isinstance(range_, Dates):
        return _whole(zone, range_)
    if range_ in ROLLING:
        return Period(_since(zone, now_ms, *ROLLING[range_]), now_ms + 1)
    today = wall(zone, now_ms).date()
    if range_ == "all":
        first = first_event_ms()
        return _whole(zone, _days(min(wall(zone, first).date(), today) if first is not None else today, today))
    return _whole(zone, days(range_, today))


def _since(zone: ZoneInfo, at_ms: int, unit_ms: int, count: int) -> int:
    """The start of the first of so many buckets that end with that of an instant; what clocks show twice is one."""
    seen: set[int] = set()
    start = at_ms
    while True:
        offset = offset_ms(zone, at_ms)
        bucket = (at_ms + offset) // unit_ms
        if len(seen) == count and bucket not in seen:
            return start
        seen.add(bucket)
        start = bucket * unit_ms - offset
        if offset_ms(zone, start) != offset:  # clocks changed within it
            start = _change(zone, start, at_ms)
        at_ms = start - 1


def days(range_: str, today: date) -> Dates:
    """The days that the name of a period means on a day, which may be one that clocks skipped; not of `all`."""
    if range_ in _NAMED:
        return _NAMED[range_](today)
    counted = _COUNTED.fullmatch(range_)
    if counted is None:
        raise ValueError(f'"{range_}" is no period')
    count = int(counted[1])
    if counted[2] == "d":
        return _days(today - timedelta(count), today - timedelta(1))
    month = today.replace(day=1)
    since_first = 12 * (month.year - FIRST_YEAR) + month.month - 1
    return Dates(_add_months(month, -min(count, since_first)), month - timedelta(1))


def _whole(zone: ZoneInfo, days: Dates) -> Period:
    return Period(midnight(zone, days.first), midnight(zone, days.last + timedelta(1)), days)


def interval(range_: DateRange, period: Period, zone: ZoneInfo) -> str:
    """The unit that `time` stands for: by wall-clock length, so that a day of 25 hours is still one day."""
    if range_ == "realtime":
        return "minute"
    # An included last millisecond does not make a stretch longer than what a person calls it.
    last = max(period.start_ms, period.end_ms - 1)
    length = wall(zone, last) - wall(zone, period.start_ms)
    if period.days is not None:
        length = timedelta((period.days.last - period.days.first).days + 1)
    for unit, most in (("hour", timedelta(hours=48)), ("day", timedelta(40)), ("week", timedelta(366))):
        if length <= most:
            return unit
    return "month"


def floor(local: datetime, unit: str) -> datetime:
    """The start of the bucket of a wall-clock time: the same rule as the store's `date_trunc`."""
    if unit == "minute":
        return local.replace(second=0, microsecond=0)
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _next(bucket: datetime, unit: str) -> datetime:
    if unit == "month":
        return datetime.combine(_add_months(bucket.date(), 1), time())
    return bucket + {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "week": timedelta(7)}.get(
        unit, timedelta(1)
    )


def label(bucket: datetime, unit: str, first: datetime) -> str:
    """How a bucket is called. `first` is what clocks show at the period's start: a partial first week has its date."""
    if unit in {"minute", "hour"}:
        return f"{bucket:%Y-%m-%d %H:%M:%S}"
    if unit == "week":
        bucket = max(bucket, floor(first, "day"))
    return f"{bucket:%Y-%m-%d}"


def labels(zone: ZoneInfo, period: Period, unit: str) -> list[str]:
    """The labels of all buckets of a period, in order; what clocks skip has none and what they show twice has one.

    Raises ValueError for more than MAX_LABELS.
    """
    first = wall(zone, period.start_ms)
    buckets = dict.fromkeys(_buckets(zone, period, unit))
    return [label(bucket, unit, first) for bucket in sorted(buckets)]


def _buckets(zone: ZoneInfo, period: Period, unit: str) -> Iterator[datetime]:
    count = 0
    for stretch in stretches(zone, period):
        if stretch.start_ms >= stretch.end_ms:  # a day that clocks skip
            continue
        bucket = floor(moment(stretch.start_ms + stretch.offset_ms), unit)
        end = moment(stretch.end_ms + stretch.offset_ms)
        while bucket < end:
            count += 1
            if count > MAX_LABELS:
                raise ValueError(f"the period has more than {MAX_LABELS:,} labels by {unit}")
            yield bucket
            bucket = _next(bucket, unit)


def iso(zone: ZoneInfo, at_ms: int, *, exact: bool = False) -> str:
    """An instant as ISO 8601 text with the zone's offset, in seconds unless it has milliseconds or is to be `exact`."""
    local = moment(at_ms).replace(tzinfo=UTC).astimezone(zone)
    return local.isoformat(timespec="milliseconds" if exact or at_ms % 1000 else "seconds")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which period a period is compared with."""

    mode: str  # previous_period, year_over_year or custom
    date_range: Dates | Instants | None = None  # of mode custom
    match_day_of_week: bool = False  # begin on the same day of the week
    to_now: bool = False  # of a period that still runs: end where it is now


MODES = ("previous_period", "year_over_year", "custom")


def compared(range_: DateRange, period: Period, comparison: Comparison, zone: ZoneInfo) -> Period:
    """The period that the comparison means."""
    if comparison.mode == "custom":
        assert comparison.date_range is not None
        other = resolve(comparison.date_range, zone, 0, lambda: None)
    elif period.days is not None:
        other = _whole(zone, _compared_days(range_, period.days, comparison.mode))
    elif comparison.mode == "year_over_year":
        start, last = (_year_before(wall(zone, at)) for at in (period.start_ms, period.end_ms - 1))
        start_ms = instant(zone, start)
        other = Period(start_ms, max(start_ms, instant(zone, last)) + 1)
    elif isinstance(range_, str):  # it rolls: as many whole buckets
        other = Period(_since(zone, period.start_ms - 1, *ROLLING[range_]), period.start_ms)
    else:
        # Both ends of such a range are included, so the one before ends just where this one starts.
        other = Period(period.start_ms - (period.end_ms - period.start_ms), period.start_ms)
    return _same_weekday(zone, period, other, comparison.mode) if comparison.match_day_of_week else other


def until(zone: ZoneInfo, period: Period, other: Period, now_ms: int) -> Period:
    """The part of another period that has as many days, and as much of the last by the clocks, as one had by now."""
    first, other_first = (_first_wall(zone, each) for each in (period, other))
    then = instant(zone, other_first + (wall(zone, now_ms) - first))
    return Period(other.start_ms, max(other.start_ms, min(other.end_ms, then + 1)))


def _first_wall(zone: ZoneInfo, period: Period) -> datetime:
    """What clocks show at the start of a period, or should have shown: they may skip its midnight."""
    return wall(zone, period.start_ms) if period.days is None else datetime.combine(period.days.first, time())


def _year_before(local: datetime) -> datetime:
    return datetime.combine(_add_months(local.date(), -12), local.time())


def _compared_days(range_: DateRange, days: Dates, mode: str) -> Dates:
    if mode == "year_over_year":
        return Dates(_add_months(days.first, -12), _add_months(days.last, -12))
    if isinstance(range_, str) and (range_ in {"month", "year"} or range_.endswith("mo")):
        months = (days.last.year - days.first.year) * 12 + days.last.month - days.first.month + 1
        return Dates(_add_months(days.first, -months), days.first - timedelta(1))
    return Dates(days.first - (days.last - days.first) - timedelta(1), days.first - timedelta(1))


def _same_weekday(zone: ZoneInfo, period: Period, other: Period, mode: str) -> Period:
    """`other` moved to begin on the weekday that `period` begins on, as long as `period`.

    The previous period moves back, so that the two never overlap; else the nearest such day is taken.
    """
    start, other_start = wall(zone, period.start_ms), wall(zone, other.start_ms)
    if period.days is not None and other.days is not None:
        start, other_start = (datetime.combine(p.first, time()) for p in (period.days, other.days))
    back = (other_start.weekday() - start.weekday()) % 7
    if mode != "previous_period" and back > 3:
        back -= 7
    if period.days is not None and other.days is not None:
        first = other.days.first - timedelta(back)
        return _whole(zone, Dates(first, first + (period.days.last - period.days.first)))
    start_ms = instant(zone, other_start - timedelta(back))
    return Period(start_ms, start_ms + (period.end_ms - period.start_ms))
