"""The query: one shape for the dashboard and the API. `parse` reads it from JSON and names every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from haru.events.text import storable
from haru.stats import bounds
from haru.stats.trees import Reader, Segments, no_segments, quoted
from haru.stats.vocabulary import filters, periods
from haru.stats.vocabulary.dimensions import Level, of
from haru.stats.vocabulary.filters import Filter
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS, MetricUse
from haru.stats.vocabulary.periods import Comparison, DateRange, Dates, Instants

MAX_ROWS = 10_000

KEYS = {
    "site_id": "the site's domain",
    "metrics": "what is counted",
    "date_range": "when",
    "dimensions": "what it is broken down by",
    "filters": "which events and visits count",
    "order_by": "how the rows are sorted",
    "include": "what else is answered",
    "pagination": "which rows are answered",
}


class QueryError(Exception):
    """The query cannot be answered; `faults` holds a sentence for each fault, see `bounds.shortened`."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = bounds.shortened(faults)
        super().__init__("; ".join(self.faults))


@dataclass(frozen=True, slots=True)
class Include:
    """What an answer holds beside its rows."""

    time_labels: bool = False
    total_rows: bool = False
    imports: bool = False
    comparisons: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One question, without its site. A value that did not come from `parse` is taken at its word."""

    metrics: tuple[str, ...]
    date_range: DateRange
    dimensions: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    order_by: tuple[tuple[str, str], ...] = ()  # metric or dimension, and asc or desc
    include: Include = Include()
    limit: int = MAX_ROWS
    offset: int = 0


def parse(data: object, goals: Sequence[Goal] | None = None, segments: Segments = no_segments) -> Query:
    """The query in this decoded JSON; `site_id` is the caller's. What a segment holds is in it in the segment's place.

    With the `goals` of the site, one that it does not have is a fault here; without them `Reports.answer` finds it.
    Raises `QueryError` with every fault, named by its path.
    """
    return _Parser(goals, segments).query(data)


def parse_filters(
    data: object, goals: Sequence[Goal] | None = None, segments: Segments = no_segments
) -> tuple[Filter, ...]:
    """The filters in this decoded JSON, as `parse` reads those of a query. Raises `QueryError` with every fault."""
    return _read_filters(Reader(goals, segments), data)


def parse_segment(data: object, goals: Sequence[Goal]) -> tuple[Filter, ...]:
    """The filters of a segment, at least one, as `parse_filters` reads them; none of them may be a segment."""
    if data == []:
        raise QueryError(["#/filters: Give at least one filter"])
    return _read_filters(Reader(goals, in_segment=True), data)


def _read_filters(reader: Reader, data: object) -> tuple[Filter, ...]:
    trees = reader.filters(data)
    if reader.faults:
        raise QueryError(reader.faults)
    return trees


class _Parser(Reader):
    """Reads a query; what cannot be understood becomes a fault, and reading goes on."""

    def __init__(self, goals: Sequence[Goal] | None, segments: Segments) -> None:
        super().__init__(goals, segments)
        self.given: list[Any] = []  # the metrics as they came

    def query(self, data: object) -> Query:
        if not isinstance(data, dict):
            raise QueryError(["#: The query must be a JSON object"])
        self.known_keys("#", data, KEYS)
        for key in ("metrics", "date_range"):
            if key not in data:
                self.fault(f"#/{key}", "This key is required")
        metric_names = self.metrics(data["metrics"]) if "metrics" in data else ()
        self.given = data["metrics"] if metric_names else []
        date_range = self.date_range(data["date_range"]) if "date_range" in data else "day"
        dimension_names = self.dimensions(data.get("dimensions", []))
        dimensions_read = "metrics" in data and not any(fault.startswith("#/dimensions") for fault in self.faults)
        filter_trees = self.filters(data.get("filters", []))
        whole = dimensions_read and not any(fault.startswith("#/filters") for fault in self.faults)
        self.sensible(metric_names, MetricUse(dimension_names, _filtered(filter_trees)), whole)
        order_by = self.order_by(data.get("order_by", []), {*metric_names, *dimension_names})
        include = self.include(data.get("include", {}), dimension_names)
        limit, offset = self.pagination(data.get("pagination", {}))
        if self.faults:
            raise QueryError(self.faults)
        return Query(metric_names, date_range, dimension_names, filter_trees, order_by, include, limit, offset)

    def metrics(self, data: object) -> tuple[str, ...]:
        if not isinstance(data, list) or not data:
            self.fault("#/metrics", 'Give a list of at least one metric, such as ["visitors"]')
            return ()
        return self.names("metric", data)

    def dimensions(self, data: object) -> tuple[str, ...]:
        if not isinstance(data, list):
            self.fault("#/dimensions", 'Give a list of dimensions, such as ["visit:source"]')
            return ()
        names = self.names("dimension", data)
        if sum(of(name).level is Level.TIME for name in names) > 1:
            self.fault("#/dimensions", "Give at most one dimension of time")
        return names

    def names(self, kind: str, data: list[Any]) -> tuple[str, ...]:
        most = bounds.MAX_METRICS if kind == "metric" else bounds.MAX_DIMENSIONS
        if len(data) > most:
            self.fault(f"#/{kind}s", f"Give at most {most} {kind}s")
            return ()
        names: list[str] = []
        for index, given in enumerate(data):
            path = f"#/{kind}s/{index}"
            name = self.name(path, kind, given)
            if name is None:
                continue
            if name in names:
                self.fault(path, f'The {kind} "{name}" is given twice')
            else:
                names.append(name)
        return tuple(names)

    def sensible(self, metric_names: tuple[str, ...], use: MetricUse, whole: bool) -> None:
        """Whether each metric has an answer. Unless the query was understood as a `whole`, nothing is lacking in it."""
        for name in metric_names:
            for rule in METRICS[name].rules:
                if (whole or not rule.lacking) and rule.broken(use):
                    self.fault(f"#/metrics/{self.given.index(name)}", f"{name} {rule.sentence}")

    def date_range(self, data: object, path: str = "#/date_range", named: bool = True) -> DateRange:
        if named and isinstance(data, str) and periods.is_name(data):
            return data
        if isinstance(data, list) and len(data) == 2 and all(isinstance(end, str) for end in data):
            return self.custom_range(data[0], data[1], path)
        custom = 'two dates such as ["2026-01-01", "2026-01-31"], or two instants with their offset'
        if named:
            names = ", ".join(periods.NAMES)
            self.fault(path, f"Invalid date range {quoted(data)}: give one of {names}, <n>d, <n>mo, or {custom}")
        else:
            self.fault(path, f"Invalid date range {quoted(data)}: give {custom}")
        return "day"

    def custom_range(self, first: str, last: str, path: str) -> DateRange:
        ends = [_dated(first), _dated(last)]
        for end, text in zip(ends, (first, last), strict=True):
            if end is None:
                sentence = "give a date such as 2026-01-31 or an instant such as 2026-01-31T10:00:00+01:00"
                self.fault(path, f"Invalid date range, {quoted(text)} is neither date nor instant: {sentence}")
            elif not periods.FIRST_YEAR < end.year < periods.LAST_YEAR:
                self.fault(path, f"Invalid date range, {quoted(text)} is out of bounds")
                return "day"
        start, end = ends
        if start is None or end is None:
            return "day"
        if isinstance(start, datetime) != isinstance(end, datetime):
            self.fault(path, "Invalid date range: give two dates or two instants, not one of each")
            return "day"
        if not isinstance(start, datetime) or not isinstance(end, datetime):
            if end < start:
                self.fault(path, f'Invalid date range: it ends before it begins ("{first}" is after "{last}")')
            return Dates(start, end)
        if end < start:
            self.fault(path, f'Invalid date range: it ends before it begins ("{first}" is after "{last}")')
        # The end is included: what is written in whole seconds means all of its last second.
        return Instants(_milliseconds(start), _milliseconds(end) + (0 if "." in last or "," in last else 999))

    def order_by(self, data: object, asked: set[str]) -> tuple[tuple[str, str], ...]:
        if not isinstance(data, list):
            self.fault("#/order_by", 'Give a list such as [["visitors", "desc"]]')
            return ()
        if len(data) > bounds.MAX_ORDERS:
            self.fault("#/order_by", f"Give at most {bounds.MAX_ORDERS} metrics and dimensions to sort by")
            return ()
        keys = []
        for index, key in enumerate(data):
            path = f"#/order_by/{index}"
            if not isinstance(key, list) or len(key) != 2 or not all(isinstance(part, str) for part in key):
                self.fault(path, f'Invalid order {quoted(key)}: give [metric or dimension, "asc" or "desc"]')
                continue
            name = storable(key[0])
            if name not in asked:
                self.fault(f"{path}/0", f"Invalid order {quoted(key[0])}: it is not among the metrics and dimensions")
            if key[1] not in {"asc", "desc"}:
                self.fault(f"{path}/1", f"Invalid direction {quoted(key[1])}: give asc or desc")
            keys.append((name, key[1]))
        return tuple(keys)

    def include(self, data: object, dimension_names: tuple[str, ...]) -> Include:
        if not isinstance(data, dict):
            self.fault("#/include", "Give an object")
            return Include()
        flags = {}
        self.known_keys("#/include", data, ("imports", "time_labels", "total_rows", "comparisons"))
        for key in ("imports", "time_labels", "total_rows"):
            flags[key] = data.get(key, False)
            if not isinstance(flags[key], bool):
                self.fault(f"#/include/{key}", "Give true or false")
        by_time = any(of(name).level is Level.TIME for name in dimension_names)
        if flags["time_labels"] is True and not by_time:
            self.fault("#/include/time_labels", "Time labels need a dimension of time")
        wanted = data.get("comparisons")
        comparison = self.comparison(wanted) if wanted is not None and wanted is not False else None
        return Include(**flags, comparisons=comparison)

    def comparison(self, data: object) -> Comparison | None:
        path = "#/include/comparisons"
        if not isinstance(data, dict) or data.get("mode") not in periods.MODES:
            self.fault(path, f'Give {{"mode": ...}} with one of {", ".join(periods.MODES)}')
            return None
        self.known_keys(path, data, ("mode", "date_range", "match_day_of_week", "to_now"))
        flags = {name: data.get(name, False) for name in ("match_day_of_week", "to_now")}
        for name, value in flags.items():
            if not isinstance(value, bool):
                self.fault(f"{path}/{name}", "Give true or false")
        other = None
        if data["mode"] == "custom":
            other = self.date_range(data.get("date_range"), f"{path}/date_range", named=False)
        elif "date_range" in data:
            self.fault(f"{path}/date_range", "Only the mode custom takes a date range")
        return Comparison(data["mode"], None if isinstance(other, str) else other, **flags)

    def pagination(self, data: object) -> tuple[int, int]:
        if not isinstance(data, dict):
            self.fault("#/pagination", 'Give an object such as {"limit": 100, "offset": 0}')
            return MAX_ROWS, 0
        self.known_keys("#/pagination", data, ("limit", "offset"))
        limit, offset = data.get("limit", MAX_ROWS), data.get("offset", 0)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_ROWS:
            self.fault("#/pagination/limit", f"Give a whole number from 1 to {MAX_ROWS}")
        if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset < 2**53:
            self.fault("#/pagination/offset", "Give a whole number of at least 0")
        return limit, offset


def _filtered(trees: Iterable[Filter]) -> frozenset[str]:
    return frozenset(leaf.dimension for leaf in filters.leaves(trees, done=False))


def _dated(text: str) -> date | datetime | None:
    """The date or the instant that a text means; None for neither, and for an instant without an offset."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _milliseconds(at: datetime) -> int:
    return (at - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(milliseconds=1)
