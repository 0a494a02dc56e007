"""The query: one shape for the dashboard and the API. `parse` reads it from JSON and names every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from haru.events.text import storable
from haru.patterns import BadPattern
from haru.stats import bounds
from haru.stats.vocabulary import dimensions, filters, periods
from haru.stats.vocabulary.dimensions import GOAL, PROPERTY, Level, of
from haru.stats.vocabulary.filters import Filter, Leaf
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


def parse(data: object, goals: Sequence[Goal] | None = None) -> Query:
    """The query in this decoded JSON; `site_id` is the caller's.

    With the `goals` of the site, one that it does not have is a fault here; without them `Reports.answer` finds it.
    Raises `QueryError` with every fault, named by its path.
    """
    return _Parser(goals).query(data)


def parse_filters(data: object, goals: Sequence[Goal] | None = None) -> tuple[Filter, ...]:
    """The filters in this decoded JSON, as `parse` reads those of a query. Raises `QueryError` with every fault."""
    parser = _Parser(goals)
    trees = parser.filters(data)
    if parser.faults:
        raise QueryError(parser.faults)
    return trees


def check_goals(query: Query, goals: Sequence[Goal]) -> None:
    """Raises `QueryError` when a filter names a goal that is not among these."""
    faults = [fault for path, leaf in filters.placed(query.filters) for fault in _unknown_goals(leaf, path, goals)]
    if faults:
        raise QueryError(faults)


def _unknown_goals(leaf: Leaf, path: str, goals: Sequence[Goal]) -> Iterable[str]:
    if leaf.dimension != GOAL or leaf.operator != "is":
        return
    unchanged = str if leaf.case_sensitive else str.lower
    names = {unchanged(goal.name) for goal in goals}
    known = ", ".join(_quoted(goal.name) for goal in goals[:20]) or "none"
    for index, clause in enumerate(leaf.clauses):
        if unchanged(clause) not in names:
            yield f"{path}/2/{index}: This site has no goal {_quoted(clause)}; it has {known}"


class _Parser:
    """Reads a query; what cannot be understood becomes a fault, and reading goes on."""

    def __init__(self, goals: Sequence[Goal] | None) -> None:
        self.faults: list[str] = []
        self.goals = goals
        self.given: list[Any] = []  # the metrics as they came
        self.leaves = 0
        self.clause_count = 0
        self.patterns = 0
        self.dones = 0
        self.doing = False  # inside of what a visit has done

    def fault(self, path: str, sentence: str) -> None:
        self.faults.append(f"{path}: {sentence}")

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

    def known_keys(self, path: str, data: Mapping[Any, Any], known: Iterable[str]) -> None:
        for key in data:
            if key not in known:
                self.fault(f"{path}/{_cut(str(key))}", f"Unknown key; known are {', '.join(known)}")

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

    def name(self, path: str, kind: str, given: object) -> str | None:
        """The name as the tables have it; None when it is in none, which is a fault."""
        name = storable(given) if isinstance(given, str) else ""
        if name in METRICS if kind == "metric" else dimensions.known(name):
            return name
        if kind == "dimension" and name.startswith(PROPERTY):
            longest = dimensions.MAX_KEY_BYTES
            self.fault(path, f"Invalid dimension {_quoted(given)}: a property has a key of 1 to {longest} bytes")
        else:
            self.fault(path, f"Invalid {kind} {_quoted(given)}")
        return None

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
            self.fault(path, f"Invalid date range {_quoted(data)}: give one of {names}, <n>d, <n>mo, or {custom}")
        else:
            self.fault(path, f"Invalid date range {_quoted(data)}: give {custom}")
        return "day"

    def custom_range(self, first: str, last: str, path: str) -> DateRange:
        ends = [_dated(first), _dated(last)]
        for end, text in zip(ends, (first, last), strict=True):
            if end is None:
                sentence = "give a date such as 2026-01-31 or an instant such as 2026-01-31T10:00:00+01:00"
                self.fault(path, f"Invalid date range, {_quoted(text)} is neither date nor instant: {sentence}")
            elif not periods.FIRST_YEAR < end.year < periods.LAST_YEAR:
                self.fault(path, f"Invalid date range, {_quoted(text)} is out of bounds")
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

    def filters(self, data: object) -> tuple[Filter, ...]:
        if not isinstance(data, list):
            self.fault("#/filters", 'Give a list of filters, such as [["is", "visit:source", ["Google"]]]')
            return ()
        trees = [self.filter(tree, f"#/filters/{index}", 1) for index, tree in enumerate(data)]
        for given, most, what in (
            (self.leaves, bounds.MAX_LEAVES, "comparisons"),
            (self.dones, bounds.MAX_DONE, "of has_done and has_not_done"),
            (self.clause_count, bounds.MAX_CLAUSES, "clauses in all"),
            (self.patterns, bounds.MAX_PATTERNS, "regular expressions in all"),
        ):
            if given > most:
                self.fault("#/filters", f"Give at most {most:,} {what}")
        return tuple(tree for tree in trees if tree is not None)

    def filter(self, data: object, path: str, depth: int) -> Filter | None:
        if not (isinstance(data, list) and data and data[0] in (*filters.JOINERS, *filters.DONE)):
            self.leaves += 1
        if self.leaves > bounds.MAX_LEAVES:  # which is said once, when all was looked at
            return None
        if depth > bounds.MAX_DEPTH:
            self.fault(path, f"Filters are nested more than {bounds.MAX_DEPTH} levels deep")
            return None
        if not isinstance(data, list) or not data:
            self.fault(path, f"Invalid filter {_quoted(data)}: give [operator, dimension, [clauses]]")
            return None
        operator = data[0]
        if not isinstance(operator, str) or operator not in {*filters.OPERATORS, *filters.JOINERS, *filters.DONE}:
            self.fault(f"{path}/0", f"Invalid operator {_quoted(operator)}")
            return None
        if operator in filters.DONE:
            return self.done(data, path, depth)
        return self.joined(data, path, depth) if operator in filters.JOINERS else self.leaf(data, path, depth)

    def done(self, data: list[Any], path: str, depth: int) -> Filter | None:
        operator = data[0]
        if self.doing:
            self.fault(f"{path}/0", f'"{operator}" cannot stand inside of has_done or has_not_done')
            return None
        if len(data) != 2:
            self.fault(path, f'Give "{operator}" one filter: ["{operator}", filter]')
            return None
        self.dones += 1
        self.doing = True
        inner = self.filter(data[1], f"{path}/1", depth + 1)
        self.doing = False
        return filters.Done(inner, operator == "has_not_done") if inner is not None else None

    def joined(self, data: list[Any], path: str, depth: int) -> Filter | None:
        operator = data[0]
        if operator == "not":
            if len(data) != 2:
                self.fault(path, 'Give "not" one filter: ["not", filter]')
                return None
            inner = self.filter(data[1], f"{path}/1", depth + 1)
            return filters.Not(inner) if inner is not None else None
        if len(data) != 2 or not isinstance(data[1], list) or not data[1]:
            self.fault(path, f'Give "{operator}" a list of filters: ["{operator}", [filter, ...]]')
            return None
        parts = [self.filter(part, f"{path}/1/{index}", depth + 1) for index, part in enumerate(data[1])]
        whole = tuple(part for part in parts if part is not None)
        return filters.And(whole) if operator == "and" else filters.Or(whole)

    def leaf(self, data: list[Any], path: str, depth: int) -> Filter | None:
        if len(data) not in {3, 4}:
            self.fault(path, f'Give "{data[0]}" a dimension and a list of clauses: ["{data[0]}", dimension, [clauses]]')
            return None
        operator = data[0]
        name = self.name(f"{path}/1", "dimension", data[1])
        good = name is not None and self.filterable(operator, name, path, depth)
        clauses = self.clauses(data[2], f"{path}/2", operator)
        case_sensitive = self.modifiers(data[3], f"{path}/3") if len(data) == 4 else True
        if name is None or not good:
            return None
        leaf = Leaf(operator, name, clauses, case_sensitive)
        if self.goals is not None:
            self.faults += _unknown_goals(leaf, path, self.goals)
        return leaf

    def filterable(self, operator: str, name: str, path: str, depth: int) -> bool:
        dimension = of(name)
        if dimension.level is Level.TIME:
            self.fault(f"{path}/1", f'The dimension "{name}" cannot be filtered by: give a date range')
        elif self.doing and not name.startswith("event:"):
            sentence = f'has_done and has_not_done speak of events, and "{name}" is of the visit: filter by it alone'
            self.fault(f"{path}/1", sentence)
        elif dimension.operators and operator not in dimension.operators:
            self.fault(f"{path}/0", f'The dimension "{name}" takes the operators {" and ".join(dimension.operators)}')
        elif name == GOAL and depth > 1 and not self.doing:
            self.fault(f"{path}/1", f'The dimension "{name}" can only be filtered by at the top level')
        else:
            return True
        return False

    def clauses(self, data: object, path: str, operator: str) -> tuple[str, ...]:
        if not isinstance(data, list) or not data:
            self.fault(path, "Give a list of at least one clause")
            return ()
        by_pattern = operator.startswith("matches")
        self.clause_count += len(data)
        self.patterns += len(data) if by_pattern else 0
        if self.clause_count > bounds.MAX_CLAUSES or self.patterns > bounds.MAX_PATTERNS:
            return ()  # which is said once, when all was looked at
        clauses = []
        for index, clause in enumerate(data):
            if isinstance(clause, bool) or not isinstance(clause, str | int):
                self.fault(f"{path}/{index}", f"Invalid clause {_quoted(clause)}: give a text")
                continue
            text = storable(_short(clause))
            if fault := _bad_pattern(text) if by_pattern else _bad_text(text):
                self.fault(f"{path}/{index}", fault)
            clauses.append(text)
        return tuple(clauses)

    def modifiers(self, data: object, path: str) -> bool:
        if not isinstance(data, dict) or not isinstance(data.get("case_sensitive", True), bool):
            self.fault(path, 'Give {"case_sensitive": false} or leave it off')
            return True
        self.known_keys(path, data, ("case_sensitive",))
        return bool(data.get("case_sensitive", True))

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
                self.fault(path, f'Invalid order {_quoted(key)}: give [metric or dimension, "asc" or "desc"]')
                continue
            name = storable(key[0])
            if name not in asked:
                self.fault(f"{path}/0", f"Invalid order {_quoted(key[0])}: it is not among the metrics and dimensions")
            if key[1] not in {"asc", "desc"}:
                self.fault(f"{path}/1", f"Invalid direction {_quoted(key[1])}: give asc or desc")
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


def _bad_text(text: str) -> str:
    """What is wrong with a clause; "" when nothing is."""
    return f"The clause has more than {bounds.MAX_CLAUSE:,} characters" if len(text) > bounds.MAX_CLAUSE else ""


def _bad_pattern(text: str) -> str:
    """What is wrong with a regular expression; "" when nothing is."""
    if len(text.encode()) > bounds.MAX_PATTERN_BYTES:
        return f"The regular expression {_quoted(text)} has more than {bounds.MAX_PATTERN_BYTES} bytes"
    try:
        filters.check_pattern(text)
    except BadPattern as error:
        return f"Invalid regular expression {_quoted(text)}: {error}"
    return ""


def _quoted(value: object) -> str:
    return f'"{_cut(value if isinstance(value, str) else _short(value))}"'


def _cut(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def _short(value: object) -> str:
    try:
        return str(value)
    except (RecursionError, ValueError):  # lists nested too deep, a number too long
        return "…"


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
