"""The chart of a dashboard: one metric over time, its counterpart of the period before, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from haru.clock import DAY_MS, MINUTE_MS
from haru.stats.answers import Answer, Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import metrics, periods
from haru.stats.vocabulary.metrics import Number
from haru.stats.vocabulary.periods import Period
from haru.web.dashboard.breakdowns.panels import cost
from haru.web.dashboard.state import METRICS, State, minute_text
from haru.web.templatetags.numbers import FORMATS, day, days, exact_value_of

# The most days of a period for which an interval gives a chart that can be read, and the fewest.
_READABLE = {"hour": (0, 40), "day": (2, 400), "week": (14, 3000), "month": (60, 100_000)}
_MINUTES, _MINUTES_ONLY = timedelta(hours=12), timedelta(hours=3)  # periods for minutes too, and for nothing else
_WEEKENDS = timedelta(days=2)  # a longer chart marks them


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket."""

    label: str  # of the axis
    title: str  # in full
    value: Number | None  # None: no data, or this time has not come yet
    text: str  # "" for what has not come yet
    before: Number | None
    before_text: str
    unfinished: bool  # the time that the bucket stands for is not over
    weekend: bool = False  # it is of a Saturday or Sunday, in a chart in which these can be told from other days
    first: str = ""  # its start and its end as addresses have them, both included: days, or minutes in UTC
    last: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template shows of the chart."""

    metric: str
    label: str  # of the metric
    format: str
    interval: str
    intervals: tuple[str, ...]  # to choose from
    name: str  # of the period: Oct 25 – Nov 23
    before_name: str  # of the period compared with; "" for none
    points: tuple[Point, ...]
    cost_ms: float
    computed_at_ms: int


def chart(
    reports: Reports, site: StatsSite, state: State, period: Period, first_event: int | None, now_ms: int
) -> Chart:
    """The chart of the state's metric; the other line begins with the site (`first_event`, ms). Raises
    `StoreUnavailable`.
    """
    zone = ZoneInfo(site.timezone)
    choices = intervals(zone, state, period)
    unit = unit_of(zone, state, period)
    # The line of the other period is shown whole.
    comparison = replace(state.comparison, to_now=False) if state.comparison else None
    query = Query(
        (state.metric,),
        state.date_range,
        (f"time:{unit}",),
        state.filters,
        include=Include(time_labels=True, comparisons=comparison),
    )
    answer = reports.answer(site, query, now_ms)
    today = periods.wall(zone, now_ms).date()
    before = answer.comparison
    if before and first_event is not None and before.period[1] <= first_event:
        before = None
    return Chart(
        state.metric,
        METRICS[state.metric],
        FORMATS.get(state.metric, "count"),
        unit,
        tuple(dict.fromkeys((*choices, unit))),
        named(zone, answer.period, today, now_ms),
        named(zone, before.period, today) if before else "",
        _points(zone, replace(answer, comparison=before), state.metric, unit, first_event, now_ms),
        cost(answer),
        answer.computed_at_ms,
    )


def unit_of(zone: ZoneInfo, state: State, period: Period) -> str:
    """The interval that was chosen, or what suits the period."""
    choices = intervals(zone, state, period)
    if state.interval in choices:
        return state.interval
    return choices[0] if choices == ("minute",) else periods.interval(state.date_range, period, zone)


def intervals(zone: ZoneInfo, state: State, period: Period) -> tuple[str, ...]:
    """The intervals that make a readable chart of this period."""
    length = periods.wall(zone, period.end_ms) - periods.wall(zone, period.start_ms)
    if state.period == "realtime" or length <= _MINUTES_ONLY:
        return ("minute",)
    days = max(timedelta(days=1), length).days
    units = tuple(unit for unit, (fewest, most) in _READABLE.items() if fewest <= days <= most)
    return ("minute", *units) if length <= _MINUTES else units


def _points(
    zone: ZoneInfo, answer: Answer, metric: str, unit: str, first_event: int | None, now_ms: int
) -> tuple[Point, ...]:
    labels = answer.labels or []
    first = periods.wall(zone, answer.period[0])
    now = periods.label(periods.floor(periods.wall(zone, now_ms), unit), unit, first)
    running = answer.period[0] <= now_ms < answer.period[1]
    values = {str(row.dimensions[0]): row.metrics[0] for row in answer.rows}
    befores = _befores(zone, answer.comparison, metric, unit, first_event)
    nothing = metrics.nothing(metric)
    ends = _ends(zone, answer.period, labels, unit)
    weekends = unit in {"hour", "day"} and timedelta(milliseconds=answer.period[1] - answer.period[0]) > _WEEKENDS
    points = []
    for place, label in enumerate(labels):
        to_come = running and label > now
        value = None if to_come else values.get(label, nothing)
        before, before_text = befores[place] if place < len(befores) else (None, "")
        short, title = spoken(label, unit, len(labels))
        text = "" if to_come else exact_value_of(value, metric)
        weekend = weekends and datetime.fromisoformat(label).weekday() >= 5
        unfinished = running and label == now
        points.append(Point(short, title, value, text, before, before_text, unfinished, weekend, *ends[place]))
    return tuple(points)


def _befores(
    zone: ZoneInfo, other: Answer | None, metric: str, unit: str, first_event: int | None
) -> list[tuple[Number | None, str]]:
    """The values of the other line with their texts; none for the time before the site existed."""
    if other is None or other.labels is None:
        return []
    values = {str(row.dimensions[0]): row.metrics[0] for row in other.rows}
    start = periods.wall(zone, other.period[0])
    begun = ""
    if first_event is not None and first_event >= other.period[0]:
        begun = periods.label(periods.floor(periods.wall(zone, first_event), unit), unit, start)
    found = ((values.get(label, metrics.nothing(metric)), label >= begun) for label in other.labels)
    return [(value, exact_value_of(value, metric)) if there else (None, "") for value, there in found]


def _ends(zone: ZoneInfo, period: tuple[int, int], labels: list[str], unit: str) -> list[tuple[str, str]]:
    """Where each bucket starts and ends, as an address names them."""
    starts = [max(period[0], periods.instant(zone, datetime.fromisoformat(label))) for label in labels]
    lasts = [after - 1 for after in (*starts[1:], period[1])]
    if unit in {"minute", "hour"}:
        return [(minute_text(first), minute_text(last)) for first, last in zip(starts, lasts, strict=True)]
    return [
        (periods.wall(zone, first).date().isoformat(), periods.wall(zone, last).date().isoformat())
        for first, last in zip(starts, lasts, strict=True)
    ]


def spoken(label: str, unit: str, count: int) -> tuple[str, str]:
    """A label of the store as the axis and as the title have it."""
    at = datetime.fromisoformat(label)
    date_text = day(at.date(), today=at.date())
    if unit in {"minute", "hour"}:
        clock = f"{at:%H:%M}"
        return (clock if count <= 50 else date_text), f"{at:%a}, {date_text}, {clock}"
    if unit == "month":
        return f"{at:%b %Y}", f"{at:%B %Y}"
    return date_text, f"Week of {date_text}, {at.year}" if unit == "week" else f"{at:%a}, {date_text}, {at.year}"


def named(zone: ZoneInfo, period: tuple[int, int], today: date, now_ms: int = 0) -> str:
    """A period (ms, the end not included) as the legend has it; of one that ends about `now_ms` it says so."""
    first, last, end = (periods.wall(zone, at) for at in (period[0], period[1] - 1, period[1]))
    if first.time() == end.time() == time():
        name = days(first.date(), last.date(), today=today)
        yesterday = now_ms and last.date() == today - timedelta(days=1) != first.date()
        return f"{name}, to yesterday" if yesterday else name
    start = f"{day(first.date(), today=today)}, {first:%H:%M}"
    if period[0] <= now_ms < period[1] + MINUTE_MS:  # an answer may be that old
        return f"{start} – now"
    short = period[1] - period[0] <= DAY_MS + 1
    return f"{start} – {last:%H:%M}" if short else f"{start} – {day(last.date(), today=today)}, {last:%H:%M}"
