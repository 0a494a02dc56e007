"""The chart of a dashboard: one metric over time, its counterpart of the period before, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from haru.clock import DAY_MS
from haru.stats.answers import Answer, Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import metrics, periods
from haru.stats.vocabulary.metrics import Number
from haru.stats.vocabulary.periods import Period
from haru.web.dashboard.breakdowns.panels import cost
from haru.web.dashboard.state import INTERVALS, METRICS, State
from haru.web.templatetags.numbers import FORMATS, day, days, exact_value_of

# The most days of a period for which an interval gives a chart that can be read, and the fewest.
_READABLE = {"minute": (0, 0), "hour": (0, 40), "day": (2, 400), "week": (14, 3000), "month": (60, 100_000)}


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


def chart(reports: Reports, site: StatsSite, state: State, period: Period, now_ms: int) -> Chart:
    """The chart of the state's metric. Raises `StoreUnavailable`."""
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
    return Chart(
        state.metric,
        METRICS[state.metric],
        FORMATS.get(state.metric, "count"),
        unit,
        tuple(dict.fromkeys((*choices, unit))),
        named(zone, answer.period, today, now_ms),
        named(zone, before.period, today) if before else "",
        _points(zone, answer, state.metric, unit, now_ms),
        cost(answer),
        answer.computed_at_ms,
    )


def unit_of(zone: ZoneInfo, state: State, period: Period) -> str:
    """The interval that was chosen, or what suits the period."""
    chosen = state.interval in intervals(zone, state, period)
    return state.interval if chosen else periods.interval(state.date_range, period, zone)


def intervals(zone: ZoneInfo, state: State, period: Period) -> tuple[str, ...]:
    """The intervals that make a readable chart of this period."""
    if state.period == "realtime":
        return ("minute",)
    length = max(timedelta(days=1), periods.wall(zone, period.end_ms) - periods.wall(zone, period.start_ms)).days
    return tuple(unit for unit in INTERVALS if _READABLE[unit][0] <= length <= _READABLE[unit][1])


def _points(zone: ZoneInfo, answer: Answer, metric: str, unit: str, now_ms: int) -> tuple[Point, ...]:
    labels = answer.labels or []
    first = periods.wall(zone, answer.period[0])
    now = periods.label(periods.floor(periods.wall(zone, now_ms), unit), unit, first)
    running = answer.period[0] <= now_ms < answer.period[1]
    values = {str(row.dimensions[0]): row.metrics[0] for row in answer.rows}
    other = answer.comparison
    pairs = other.labels or [] if other else []
    befores = {str(row.dimensions[0]): row.metrics[0] for row in other.rows} if other else {}
    nothing = metrics.nothing(metric)
    points = []
    for place, label in enumerate(labels):
        to_come = running and label > now
        value = None if to_come else values.get(label, nothing)
        paired = place < len(pairs)
        before = befores.get(pairs[place], nothing) if paired else None
        short, title = spoken(label, unit, len(labels))
        text = "" if to_come else exact_value_of(value, metric)
        before_text = exact_value_of(before, metric) if paired else ""
        points.append(Point(short, title, value, text, before, before_text, running and label == now))
    return tuple(points)


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
    first, last = (periods.wall(zone, at) for at in (period[0], period[1] - 1))
    if period[1] - period[0] <= DAY_MS + 1 and first.time() != datetime.min.time():
        end = "now" if period[0] <= now_ms < period[1] else f"{last:%H:%M}"
        return f"{day(first.date(), today=today)}, {first:%H:%M} – {end}"
    name = days(first.date(), last.date(), today=today)
    return f"{name}, to yesterday" if now_ms and last.date() == today - timedelta(days=1) != first.date() else name
