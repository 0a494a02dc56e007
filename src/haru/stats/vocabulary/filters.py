"""Filters: which events and visits count. A tree of leaves joined by and, or, not.

A filter compares the value as it is shown, so an unknown source is found as "Direct / None".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, true

from haru import patterns
from haru.stats.sql.functions import Among
from haru.stats.vocabulary.dimensions import GOAL, REFERRER, Dimension, Level, of

MAX_SEARCHED = 100  # clauses that a store looks for in a text; engines take minutes for many
MAX_IN = 1_000  # texts of a list that each are a parameter

OPERATORS = {
    "is": "the value is one of the clauses",
    "is_not": "the value is none of the clauses",
    "contains": "the value contains one of the clauses",
    "contains_not": "the value contains none of the clauses",
    "matches": "one of the clauses, a regular expression of RE2, matches a part of the value",
    "matches_not": "none of the clauses, regular expressions of RE2, matches a part of the value",
}
JOINERS = {"and": "every filter holds", "or": "one of the filters holds", "not": "the filter does not hold"}
DONE = {
    "has_done": "the visit holds an event inside the period for which the filter holds",
    "has_not_done": "the visit holds no such event",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison of a dimension with some clauses."""

    operator: str
    dimension: str
    clauses: tuple[str, ...]
    case_sensitive: bool = True

    @property
    def negated(self) -> bool:
        """Whether the operator is the opposite of another."""
        return self.operator.endswith("_not")

    @property
    def by_value(self) -> bool:
        """Whether Python must look at each value: no two engines agree on lower case and on regular expressions."""
        if self.dimension == GOAL:
            return False
        by_name = of(self.dimension).named is not None
        many = self.operator.startswith("contains") and len(self.clauses) > MAX_SEARCHED
        return by_name or many or self.operator.startswith("matches") or not self.case_sensitive


@dataclass(frozen=True, slots=True)
class And:
    """Every one of these holds."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of these holds."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class Done:
    """The visit holds an event for which this holds, or none."""

    filter: Filter
    negated: bool = False


Filter = Leaf | And | Or | Not | Done
# For each leaf to be decided by value: the stored values its positive form accepts.
Values = Mapping[Leaf, frozenset[str]]


MAX_PATTERN_MEMORY = 1 << 20  # bytes that RE2 may take for one regular expression; it refuses what needs more


@lru_cache(maxsize=100)
def _pattern(text: str, case_sensitive: bool) -> Callable[[str], bool]:
    return patterns.search(text, max_memory=MAX_PATTERN_MEMORY, case_sensitive=case_sensitive)


def check_pattern(text: str) -> None:
    """Raises `haru.patterns.BadPattern` for what RE2 does not take as a regular expression."""
    _pattern(text, True)


def accepting(leaf: Leaf) -> Callable[[str], bool]:
    """Whether the positive form of a leaf accepts a stored value, to be asked of many."""
    dimension, hold = of(leaf.dimension), holding(leaf)
    missing = {"", dimension.empty} if dimension.optional and not leaf.operator.startswith("is") else set()
    return lambda stored: stored not in missing and hold(dimension.text(stored))


def holding(leaf: Leaf) -> Callable[[str], bool]:
    """Whether the positive form of a leaf holds for a value as it is shown, to be asked of many."""
    if leaf.operator.startswith("matches"):
        searches = [_pattern(clause, leaf.case_sensitive) for clause in leaf.clauses]
        return lambda value: any(search(value) for search in searches)
    changed = str if leaf.case_sensitive else str.lower
    if leaf.operator.startswith("is"):
        known = spellings(leaf.dimension, map(changed, leaf.clauses))
        return lambda value: changed(value) in known
    clauses = [changed(clause) for clause in leaf.clauses]

    def contains(value: str) -> bool:
        text = changed(value)
        return any(clause in text for clause in clauses)

    return contains


def spellings(dimension: str, clauses: Iterable[str]) -> frozenset[str]:
    """The texts that mean one of these clauses: a referrer may be stored with `www.`, and is the same without."""
    if dimension != REFERRER:
        return frozenset(clauses)
    hosts = {clause.removeprefix("www.") for clause in clauses}
    return frozenset({*hosts, *(f"www.{host}" for host in hosts)})


def leaves(filters: Iterable[Filter], *, done: bool = True) -> Iterator[Leaf]:
    """Every leaf of the trees; `done`: also those of what a visit has done, or not."""
    for filter in filters:
        if isinstance(filter, Leaf):
            yield filter
        elif isinstance(filter, Done):
            yield from leaves((filter.filter,)) if done else ()
        else:
            yield from leaves((filter.filter,) if isinstance(filter, Not) else filter.filters, done=done)


def placed(filters: Iterable[Filter], path: str = "#/filters") -> Iterator[tuple[str, Leaf]]:
    """Every leaf of the trees with its path in the query."""
    for index, filter in enumerate(filters):
        yield from _placed(filter, f"{path}/{index}")


def _placed(filter: Filter, path: str) -> Iterator[tuple[str, Leaf]]:
    if isinstance(filter, Leaf):
        yield path, filter
    elif isinstance(filter, Not | Done):
        yield from _placed(filter.filter, f"{path}/1")
    else:
        yield from placed(filter.filters, f"{path}/1")


def conjuncts(filters: Iterable[Filter]) -> Iterator[Filter]:
    """The filters that must all hold, with every outer `and` taken apart."""
    for filter in filters:
        if isinstance(filter, And):
            yield from conjuncts(filter.filters)
        else:
            yield filter


def written(filter: Filter) -> list[object]:
    """The filter as a query holds it in JSON."""
    if isinstance(filter, Not):
        return ["not", written(filter.filter)]
    if isinstance(filter, Done):
        return ["has_not_done" if filter.negated else "has_done", written(filter.filter)]
    if isinstance(filter, Leaf):
        leaf: list[object] = [filter.operator, filter.dimension, list(filter.clauses)]
        return leaf if filter.case_sensitive else [*leaf, {"case_sensitive": False}]
    return ["and" if isinstance(filter, And) else "or", [written(part) for part in filter.filters]]


def levels(filter: Filter) -> set[Level]:
    """What the filter looks at. What a visit has done is the same for all of its events."""
    if isinstance(filter, Leaf):
        return {of(filter.dimension).level}
    if isinstance(filter, Done):
        return {Level.STAMP}
    parts = (filter.filter,) if isinstance(filter, Not) else filter.filters
    return {level for part in parts for level in levels(part)}


def condition(filter: Filter, decided: Callable[[Leaf | Done], ColumnElement[bool]]) -> ColumnElement[bool]:
    """The filter in SQL, with the SQL of its leaves."""
    if isinstance(filter, And):
        return and_(true(), *(condition(part, decided) for part in filter.filters))
    if isinstance(filter, Or):
        return or_(false(), *(condition(part, decided) for part in filter.filters))
    if isinstance(filter, Not):
        return not_(condition(filter.filter, decided))
    return decided(filter)


def compared(leaf: Leaf, column: ColumnElement[str], values: Values) -> ColumnElement[bool]:
    """A leaf in SQL. `column` is the text of its dimension, "" when it is not known."""
    dimension = of(leaf.dimension)
    positive = _positive(leaf, dimension, column, values)
    found = not_(positive) if leaf.negated else positive
    if dimension.optional and not leaf.operator.startswith("is"):
        return and_(column.not_in(["", dimension.empty]), found)
    return found


def _positive(leaf: Leaf, dimension: Dimension, column: ColumnElement[str], values: Values) -> ColumnElement[bool]:
    if leaf.by_value:
        return _one_of(column, values[leaf])
    if leaf.operator.startswith("is"):
        clauses = spellings(leaf.dimension, leaf.clauses) - {""}
        return _one_of(column, clauses | {""} if dimension.empty in clauses else clauses)
    found = [func.strpos(column, clause) > 0 for clause in leaf.clauses if clause]
    if any(clause == "" for clause in leaf.clauses):
        found.append(true())
    elif any(clause in dimension.empty for clause in leaf.clauses):
        found.append(column == "")
    return or_(false(), *found)


def _one_of(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    chosen = sorted(values)
    if len(chosen) < 2:
        return column == chosen[0] if chosen else false()
    return column.in_(chosen) if len(chosen) <= MAX_IN else Among(column, chosen)
