"""The parameters of the older reads below /api/v1/stats, turned into a query.

They are those of Plausible's Stats API v1. What a name of a period, a metric or a property means is what it means in a
query: the two are answered by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from haru.stats.query import Query, QueryError, parse
from haru.stats.vocabulary import periods
from haru.web.api.endpoint import Faulty, texts

DEFAULT_PERIOD = "30d"
DEFAULT_ROWS, MAX_ROWS = 100, 1000
MAX_PAGE = 2**31
INTERVALS = ("date", "day", "hour", "minute", "month", "week")
UNANCHORED = ("all", "realtime", "24h")  # periods that a date says nothing about
EVERYWHERE = ("period", "date", "metrics", "filters", "with_imported")

_FILTER = re.compile(r"(?P<property>[^=!~]+)(?P<operator>==|!=|!~|~)(?P<value>.*)", re.DOTALL)
_OPERATORS = {"==": "is", "!=": "is_not", "~": "contains", "!~": "contains_not"}
_PLACE = ["is", "event:name", ["pageview"]]  # takes the place of a faulty filter, so that those after it keep theirs
_PATTERNS = {"is": "matches", "is_not": "matches_not"}
_PATHS = {"#/dimensions/0": "#/property", "#/dimensions": "#/property", "#/date_range": "#/date"}


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """What the parameters ask."""

    site_id: str
    period: str
    date: date | None  # that the period is counted from; None for today
    interval: str  # "" for what suits the period
    query: Query

    @property
    def dated(self) -> Query:
        """The query, with its period counted from the date."""
        if self.date is None:
            return self.query
        assert isinstance(self.query.date_range, str)
        return replace(self.query, date_range=periods.days(self.query.date_range, self.date))


def read(parameters: Mapping[str, str], known: tuple[str, ...], required: tuple[str, ...] = ()) -> StatsRequest:
    """The question; `known` are the parameters of this read beside those of all. Raises `Faulty` with every fault."""
    values, faults = texts(parameters, ("site_id", *required), (*EVERYWHERE, *known))
    data: dict[str, Any] = {"date_range": DEFAULT_PERIOD, "metrics": values.get("metrics", "visitors").split(",")}
    period, day = _period(values, data, faults)
    interval = values.get("interval", "")
    if interval and interval not in INTERVALS:
        faults.append(f'#/interval: Invalid interval "{interval[:100]}": give one of {", ".join(INTERVALS)}')
    if values.get("with_imported", "false") not in {"true", "false"}:
        faults.append("#/with_imported: Give true or false")
    if "compare" in values:
        _compare(values["compare"], period, data, faults)
    if "property" in values:
        data["dimensions"] = [values["property"]]
        if values["property"].startswith("time"):
            faults.append("#/property: Ask /api/v1/stats/timeseries for numbers over time")
        data["pagination"] = _pagination(values, faults)
    data["filters"] = _filters(values.get("filters", ""), faults)
    try:
        query = parse(data)
    except QueryError as error:
        raise Faulty(faults + [_moved(fault) for fault in error.faults]) from None
    if faults:
        raise Faulty(faults)
    return StatsRequest(values["site_id"], period, day, "day" if interval == "date" else interval, query)


def unit(request: StatsRequest) -> str:
    """The dimension of time that the interval means: months for some months and a year, hours for a day, else days."""
    if request.interval:
        return f"time:{request.interval}"
    if request.period in {"day", "yesterday", "realtime", "24h", "all"}:
        return "time"
    by_month = request.period == "year" or (request.period.endswith("mo") and request.period != "1mo")
    return "time:month" if by_month else "time:day"


def label(property: str) -> str:
    """The key of a property in an answer: `visit:source` → `source`, `event:props:plan` → `plan`."""
    return property.removeprefix("event:props:") if property.startswith("event:props:") else property.partition(":")[2]


def _moved(fault: str) -> str:
    """The fault of a query at the place where the parameters have it."""
    path, _, sentence = fault.partition(": ")
    return f"{_PATHS.get(path, path)}: {sentence}"


def _period(values: dict[str, str], data: dict[str, Any], faults: list[str]) -> tuple[str, date | None]:
    period, given = values.get("period", DEFAULT_PERIOD), values.get("date", "")
    if period == "custom":
        first, _, last = (part.strip() for part in given.partition(","))
        ends = (_date(first), _date(last))
        if not given or None in ends:
            faults.append("#/date: The period custom needs its first and its last day, such as 2026-01-01,2026-01-31")
        else:
            data["date_range"] = [first, last]
        return period, None
    if not periods.is_name(period):
        names = ", ".join(periods.NAMES)
        faults.append(f'#/period: Invalid period "{period[:100]}": give one of {names}, custom, <n>d or <n>mo')
        return period, None
    data["date_range"] = period
    if not given or given == "today":
        return period, None
    if period in UNANCHORED:
        faults.append(f"#/date: The period {period} takes no date")
        return period, None
    day = _date(given)
    if day is None or not periods.FIRST_YEAR < day.year < periods.LAST_YEAR:
        faults.append(f'#/date: "{given[:100]}" is not a date: give one such as 2026-01-31')
        return period, None
    return period, day


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _compare(value: str, period: str, data: dict[str, Any], faults: list[str]) -> None:
    if value != "previous_period":
        faults.append(f'#/compare: Invalid comparison "{value[:100]}": give previous_period')
    elif period == "all":
        faults.append("#/compare: There is nothing before all time")
    else:
        data["include"] = {"comparisons": {"mode": value}}


def _pagination(values: dict[str, str], faults: list[str]) -> dict[str, int]:
    limit, page = (_whole(values.get(name, usual)) for name, usual in (("limit", str(DEFAULT_ROWS)), ("page", "1")))
    if not 1 <= limit <= MAX_ROWS:
        faults.append(f"#/limit: Give a whole number from 1 to {MAX_ROWS}")
    if not 1 <= page <= MAX_PAGE:
        faults.append("#/page: Give the number of a page, from 1")
    return {"limit": max(1, min(limit, MAX_ROWS)), "offset": max(0, page - 1) * limit if 1 <= page <= MAX_PAGE else 0}


def _whole(text: str) -> int:
    """The number, or -1 when it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1


def _filters(text: str, faults: list[str]) -> list[list[Any]]:
    """`event:page==/x**;visit:source==A|B` as filters of a query."""
    found = []
    for index, part in enumerate(_split(text, ";") if text else []):
        match = _FILTER.fullmatch(part.strip())
        if match is None:
            shown = part if len(part) <= 100 else part[:99] + "…"
            sentence = f'"{shown}" is no filter: write property==value, or with !=, ~ (contains) or !~'
            faults.append(f"#/filters/{index}: {sentence}")
            found.append(_PLACE)
            continue
        found.append(_leaf(match["property"].strip(), _OPERATORS[match["operator"]], _split(match["value"], "|")))
    return found


def _leaf(property: str, operator: str, values: list[str]) -> list[Any]:
    # A goal is known by its name, and the name of one that stands for pages may have stars in it.
    stars = operator in _PATTERNS and property != "event:goal" and any(_has_star(value) for value in values)
    if not stars:
        return [operator, property, [_plain(value) for value in values]]
    return [_PATTERNS[operator], property, [_pattern(value) for value in values]]


def _split(text: str, mark: str) -> list[str]:
    r"""The text cut at each mark before which no backslash stands; other backslashes stay: `a\|b|c` → `a\|b`, `c`."""
    parts, current, escaped = [], "", False
    for sign in text:
        if sign == mark and not escaped:
            parts.append(current)
            current = ""
        else:
            current += sign
        escaped = sign == "\\" and not escaped
    return [*parts, current]


_ESCAPED = re.compile(r"\\([\\|;*])")
_STARS = re.compile(r"(\\[\\|;*])|\*+")


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value)


def _has_star(value: str) -> bool:
    return any(found[1] is None for found in _STARS.finditer(value))


def _pattern(value: str) -> str:
    """A regular expression of RE2 for the whole text, in which a star, or several, stand for any text."""
    pieces, end = [], 0
    for found in _STARS.finditer(value):
        pieces.append(_quoted(value[end : found.start()]) + (".*" if found[1] is None else _quoted(found[1][1:])))
        end = found.end()
    return f"(?s)\\A{''.join(pieces)}{_quoted(value[end:])}\\z"


def _quoted(text: str) -> str:
    """The text as a regular expression that matches just it: signs of ASCII that are no word characters are escaped."""
    return re.sub(r"([^\w])", lambda sign: f"\\{sign[1]}" if sign[1].isascii() else sign[1], text)
