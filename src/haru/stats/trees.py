"""Filters from JSON: trees of comparisons, each fault of them with its path. What a segment holds takes its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from haru.events.text import storable
from haru.patterns import BadPattern
from haru.stats import bounds
from haru.stats.vocabulary import dimensions, filters
from haru.stats.vocabulary.dimensions import GOAL, PROPERTY, Level, of
from haru.stats.vocabulary.filters import Filter, Leaf
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS

SEGMENT = "segment"  # stands where a dimension does

# The filters, decoded JSON, of the segment with this id; None for one that is unknown to whoever asks.
Segments = Callable[[int], Sequence[Any] | None]


def no_segments(id: int) -> Sequence[Any] | None:
    """Whoever asks knows of none."""
    return None


class Reader:
    """Reads what questions are made of; what cannot be understood becomes a fault, and reading goes on."""

    def __init__(
        self, goals: Sequence[Goal] | None, segments: Segments = no_segments, *, in_segment: bool = False
    ) -> None:
        """With the `goals` of the site, one that it does not have is a fault; a segment is one `in_segment`."""
        self.faults: list[str] = []
        self.goals = goals
        self.segments = segments
        self.leaves = 0
        self.clause_count = 0
        self.patterns = 0
        self.dones = 0
        self.doing = False  # inside of what a visit has done
        self.in_segment = in_segment

    def fault(self, path: str, sentence: str) -> None:
        self.faults.append(f"{path}: {sentence}")

    def known_keys(self, path: str, data: Mapping[Any, Any], known: Iterable[str]) -> None:
        for key in data:
            if key not in known:
                self.fault(f"{path}/{cut(str(key))}", f"Unknown key; known are {', '.join(known)}")

    def name(self, path: str, kind: str, given: object) -> str | None:
        """The name as the tables have it; None when it is in none, which is a fault."""
        name = storable(given) if isinstance(given, str) else ""
        if name in METRICS if kind == "metric" else dimensions.known(name):
            return name
        if kind == "dimension" and name.startswith(PROPERTY):
            longest = dimensions.MAX_KEY_BYTES
            self.fault(path, f"Invalid dimension {quoted(given)}: a property has a key of 1 to {longest} bytes")
        else:
            self.fault(path, f"Invalid {kind} {quoted(given)}")
        return None

    def filters(self, data: object) -> tuple[Filter, ...]:
        if not isinstance(data, list):
            self.fault("#/filters", 'Give a list of filters, such as [["is", "visit:source", ["Google"]]]')
            return ()
        trees: list[Filter | None] = []
        for index, tree in enumerate(data):
            read = self.filter(tree, f"#/filters/{index}", 1)
            # What a segment holds stands in the list itself, and a goal of it at the top level.
            trees += read.filters if _names_segment(tree) and isinstance(read, filters.And) else [read]
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
        joins = isinstance(data, list) and data and data[0] in (*filters.JOINERS, *filters.DONE)
        if not joins and not _names_segment(data):
            self.leaves += 1
        if self.leaves > bounds.MAX_LEAVES:  # which is said once, when all was looked at
            return None
        if depth > bounds.MAX_DEPTH:
            self.fault(path, f"Filters are nested more than {bounds.MAX_DEPTH} levels deep")
            return None
        if not isinstance(data, list) or not data:
            self.fault(path, f"Invalid filter {quoted(data)}: give [operator, dimension, [clauses]]")
            return None
        operator = data[0]
        if not isinstance(operator, str) or operator not in {*filters.OPERATORS, *filters.JOINERS, *filters.DONE}:
            self.fault(f"{path}/0", f"Invalid operator {quoted(operator)}")
            return None
        if operator in filters.DONE:
            return self.done(data, path, depth)
        if operator in filters.JOINERS:
            return self.joined(data, path, depth)
        return self.segment(data, path, depth) if _names_segment(data) else self.leaf(data, path, depth)

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
            self.faults += unknown_goals(leaf, path, self.goals)
        return leaf

    def segment(self, data: list[Any], path: str, depth: int) -> Filter | None:
        """What one of these segments holds."""
        if self.in_segment:
            self.fault(path, "A segment cannot hold another segment: give its filters")
            return None
        if data[0] != "is":
            self.fault(f"{path}/0", 'A segment takes the operator is: put "not" around it')
            return None
        if len(data) != 3 or not isinstance(data[2], list) or not data[2]:
            self.fault(path, 'Give the ids of segments: ["is", "segment", [id, ...]]')
            return None
        deeper = depth if len(data[2]) == 1 else depth + 1
        parts = []
        for index, id in enumerate(data[2]):
            if self.leaves > bounds.MAX_LEAVES:
                return None
            trees = self.segments(int(short(id))) if _is_id(id) else None
            if trees is None:
                self.leaves += 1
                self.fault(f"{path}/2/{index}", f"Unknown segment {quoted(id)}")
            elif (part := self.expanded(id, trees, path, deeper)) is not None:
                parts.append(part)
        return parts[0] if len(parts) == 1 else filters.Or(tuple(parts)) if parts else None

    def expanded(self, id: object, trees: Sequence[Any], path: str, depth: int) -> Filter | None:
        """What a segment holds. It was without a fault when it was made; where it stands now it may have some."""
        # One that stands in the list itself is put there in parts.
        deeper = depth if depth == 1 or len(trees) == 1 else depth + 1
        before, self.faults = self.faults, []
        self.in_segment = True
        parts = [self.filter(tree, "", deeper) for tree in trees]
        self.in_segment = False
        inner, self.faults = self.faults, before
        if inner:
            sentence = inner[0].partition(": ")[2]
            self.fault(path, f"Segment {quoted(id)} cannot stand here: {sentence}")
            return None
        whole = tuple(part for part in parts if part is not None)
        return whole[0] if len(whole) == 1 else filters.And(whole)

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
                self.fault(f"{path}/{index}", f"Invalid clause {quoted(clause)}: give a text")
                continue
            text = storable(short(clause))
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


def _names_segment(data: object) -> bool:
    """Whether a tree is a comparison with segments."""
    return isinstance(data, list) and len(data) > 1 and data[0] in (*filters.OPERATORS,) and data[1] == SEGMENT


def _is_id(data: object) -> bool:
    text = short(data)
    return not isinstance(data, bool) and text.isascii() and text.isdigit() and len(text) < 19


def unknown_goals(leaf: Leaf, path: str, goals: Sequence[Goal]) -> Iterable[str]:
    if leaf.dimension != GOAL or leaf.operator != "is":
        return
    unchanged = str if leaf.case_sensitive else str.lower
    names = {unchanged(goal.name) for goal in goals}
    known = ", ".join(quoted(goal.name) for goal in goals[:20]) or "none"
    for index, clause in enumerate(leaf.clauses):
        if unchanged(clause) not in names:
            yield f"{path}/2/{index}: This site has no goal {quoted(clause)}; it has {known}"


def _bad_text(text: str) -> str:
    """What is wrong with a clause; "" when nothing is."""
    return f"The clause has more than {bounds.MAX_CLAUSE:,} characters" if len(text) > bounds.MAX_CLAUSE else ""


def _bad_pattern(text: str) -> str:
    """What is wrong with a regular expression; "" when nothing is."""
    if len(text.encode()) > bounds.MAX_PATTERN_BYTES:
        return f"The regular expression {quoted(text)} has more than {bounds.MAX_PATTERN_BYTES} bytes"
    try:
        filters.check_pattern(text)
    except BadPattern as error:
        return f"Invalid regular expression {quoted(text)}: {error}"
    return ""


def quoted(value: object) -> str:
    return f'"{cut(value if isinstance(value, str) else short(value))}"'


def cut(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def short(value: object) -> str:
    try:
        return str(value)
    except (RecursionError, ValueError):  # lists nested too deep, a number too long
        return "…"
