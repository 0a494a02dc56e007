"""The filters of a dashboard: as its address has them, as a row sets them, and as a sentence says them.

An address has them as the query language does, in JSON: `?filters=[["is","visit:country",["DE"]]]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from haru.events.countries import country_name
from haru.stats import bounds
from haru.stats import query as queries
from haru.stats.query import QueryError
from haru.stats.vocabulary.dimensions import GOAL, PROPERTY
from haru.stats.vocabulary.filters import And, Done, Filter, Leaf, Not, Or, leaves, written
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.places import city_name, language_name, region_name

LABELS: dict[str, str] = {
    "event:page": "Page",
    "visit:entry_page": "Entry page",
    "visit:exit_page": "Exit page",
    "event:hostname": "Host name",
    "visit:entry_page_hostname": "Entry host name",
    "visit:exit_page_hostname": "Exit host name",
    "event:name": "Event",
    GOAL: "Goal",
    "visit:source": "Source",
    "visit:channel": "Channel",
    "visit:referrer": "Referrer",
    "visit:utm_source": "UTM source",
    "visit:utm_medium": "UTM medium",
    "visit:utm_campaign": "UTM campaign",
    "visit:utm_content": "UTM content",
    "visit:utm_term": "UTM term",
    "visit:country": "Country",
    "visit:country_name": "Country",
    "visit:region": "Region",
    "visit:region_name": "Region",
    "visit:city": "City",
    "visit:city_name": "City",
    "visit:language": "Language",
    "visit:device": "Device",
    "visit:browser": "Browser",
    "visit:browser_version": "Browser version",
    "visit:os": "Operating system",
    "visit:os_version": "OS version",
    "visit:screen": "Screen size",
}
OPERATORS: dict[str, str] = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "contains_not": "does not contain",
    "matches": "matches",
    "matches_not": "does not match",
}
NAMES: dict[str, Callable[[str], str]] = {
    "visit:country": country_name,
    "visit:region": region_name,
    "visit:city": city_name,
    "visit:language": language_name,
}
MAX_SAID = 3  # values of one comparison that a sentence names


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence; a value stands out in it."""

    text: str
    value: bool = False


def read(text: str, goals: Sequence[Goal]) -> tuple[Filter, ...]:
    """The filters in an address. Raises `QueryError` for what is not understood, or names a goal that is not there."""
    if len(text.encode("utf-8", "replace")) > bounds.MAX_BYTES:
        raise QueryError([f"#/filters: Give at most {bounds.MAX_BYTES:,} bytes"])
    try:
        trees = json.loads(text)
    except (ValueError, RecursionError):
        raise QueryError(["#/filters: This is no JSON"]) from None
    return queries.parse_filters(trees, goals)


def sentence_of(error: QueryError) -> str:
    """The first fault without its path in JSON, which nobody sees here."""
    return error.faults[0].partition(": ")[2]


def text_of(trees: Iterable[Filter]) -> str:
    """The filters as an address has them; "" for none."""
    lists = [written(tree) for tree in trees]
    return json.dumps(lists, ensure_ascii=False, separators=(",", ":")) if lists else ""


def narrowed(trees: tuple[Filter, ...], dimension: str, value: str) -> tuple[Filter, ...]:
    """What a click on a row leads to: only what has its value. A second click on it takes that back."""
    chosen = Leaf("is", dimension, (value,))
    if chosen in trees:
        return tuple(tree for tree in trees if tree != chosen)
    others = (tree for tree in trees if not (isinstance(tree, Leaf) and _same(tree, dimension)))
    return (*others, chosen)


def _same(leaf: Leaf, dimension: str) -> bool:
    return leaf.operator == "is" and leaf.dimension == dimension


def parts(trees: tuple[Filter, ...]) -> tuple[bool, tuple[Filter, ...]]:
    """(whether any of them is enough, the filters that are joined so)."""
    if len(trees) == 1 and isinstance(trees[0], Or):
        return True, trees[0].filters
    return False, trees


def joined(any_of: bool, trees: Sequence[Filter]) -> tuple[Filter, ...]:
    """Filters of which any is enough, or that all must hold."""
    return (Or(tuple(trees)),) if any_of and len(trees) > 1 else tuple(trees)


def can_be_any(trees: Iterable[Filter]) -> bool:
    """Whether these may be joined by or: a goal cannot."""
    return not any(leaf.dimension == GOAL for leaf in leaves(trees, done=False))


def label(dimension: str) -> str:
    """What people call a dimension."""
    return dimension.removeprefix(PROPERTY) if dimension.startswith(PROPERTY) else LABELS[dimension]


def value_name(dimension: str, value: str) -> str:
    """What people call a value: the name of a country for its code."""
    return NAMES[dimension](value) if dimension in NAMES else value


def sentence(tree: Filter) -> list[Part]:
    """The filter as a person reads it: Country is **Germany** or **Austria**."""
    match tree:
        case Leaf():
            return _compared(tree)
        case Not(inner):
            return [Part("not ("), *sentence(inner), Part(")")]
        case Done(inner, negated):
            return [Part("Has not done: " if negated else "Has done: "), *sentence(inner)]
    word = " and " if isinstance(tree, And) else " or "
    said: list[Part] = []
    for place, part in enumerate(tree.filters):
        said += [Part(word)] if place else []
        said += [Part("("), *sentence(part), Part(")")] if isinstance(part, And | Or) else sentence(part)
    return said


def _compared(leaf: Leaf) -> list[Part]:
    said = [Part(f"{label(leaf.dimension)} {OPERATORS[leaf.operator]} ")]
    names = [value_name(leaf.dimension, clause) or "(empty)" for clause in leaf.clauses]
    shown, rest = names[:MAX_SAID], len(names) - MAX_SAID
    if rest == 1:
        shown, rest = names, 0
    for place, name in enumerate(shown):
        last = place == len(shown) - 1 and rest <= 0
        said += [Part(" or " if last else ", ")] if place else []
        said.append(Part(name, value=True))
    if rest > 0:
        said.append(Part(f" or {rest} more"))
    if not leaf.case_sensitive:
        said.append(Part(", in capitals or small letters"))
    return said
