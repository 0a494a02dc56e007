"""How numbers, durations and dates are written on a page."""

from __future__ import annotations

from datetime import date

from django import template

from haru.stats.vocabulary.metrics import Value
from haru.web.api.cells import amount

register = template.Library()

EXACT_BELOW = 10_000
NO_DATA = "–"
FORMATS = {
    "views_per_visit": "decimal",
    "bounce_rate": "percent",
    "percentage": "share",
    "visit_duration": "duration",
    "time_on_page": "duration",
    "scroll_depth": "percent",
    "exit_rate": "share",
    "conversion_rate": "share",
    "total_revenue": "money",
    "average_revenue": "money",
}


@register.filter
def short(number: int) -> str:
    """A count as it is below 10,000 (`8,240`), and in three or four digits above (`15.3k`, `1.2M`)."""
    if abs(number) < EXACT_BELOW:
        return f"{number:,}"
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if round(abs(number) / size, 1) < 1_000 or unit == "G":
            return f"{number / size:,.1f}{unit}"
    raise AssertionError("unreachable")


@register.filter
def full(number: int | float) -> str:
    """Every digit: `15,312`."""
    return f"{number:,}"


@register.filter
def duration(seconds: int) -> str:
    """`34s`, `2m 34s`, `1h 02m`."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes == 0:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


@register.filter
def value_of(number: Value, metric: str) -> str:
    """A metric's value as it stands in a table; a dash where there is no data."""
    if number is None:
        return NO_DATA
    match FORMATS.get(metric, "count"):
        case "decimal":
            return f"{number:.2f}"
        case "percent":
            return f"{number:.0f}%"
        case "share":
            return f"{number:.1f}%"
        case "duration":
            return duration(int(number))
        case "money":
            return ", ".join(amount(**each)["short"] for each in number)
    return short(int(number))


@register.filter
def exact_value_of(number: Value, metric: str) -> str:
    """A metric's value with every digit, for titles and for those who listen."""
    if isinstance(number, list):
        return ", ".join(amount(**each)["long"] for each in number)
    return full(int(number)) if number is not None and metric not in FORMATS else value_of(number, metric)


def day(when: date, *, today: date) -> str:
    """`Nov 11`, with the year when it is another: `Nov 11, 2025`."""
    text = f"{when:%b} {when.day}"
    return text if when.year == today.year else f"{text}, {when.year}"


def days(first: date, last: date, *, today: date) -> str:
    """`Oct 25 – Nov 23`; one day alone is just that."""
    return day(first, today=today) if first == last else f"{day(first, today=today)} – {day(last, today=today)}"
