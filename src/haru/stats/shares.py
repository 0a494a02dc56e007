"""What shares divide by: numbers of other queries, about more than the rows themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from haru.stats.plan import ALL_ROWS, Plan
from haru.stats.query import Query
from haru.stats.vocabulary import filters
from haru.stats.vocabulary.dimensions import GOAL, PROPERTY


@dataclass(frozen=True, slots=True)
class Divisor:
    """One number of another query."""

    meaning: str
    metric: str
    dimension: Callable[[str], str]  # what stands for a dimension of the rows; "": it is not broken down by that
    leaves_out: Callable[[str], bool]  # filters that look at such a dimension


def _is_of_conversions(dimension: str) -> bool:
    return dimension == GOAL or dimension.startswith(PROPERTY)


DIVISORS = {
    "all_visitors": Divisor("visitors of all rows together", "visitors", lambda _: "", lambda _: False),
    "all_candidates": Divisor(
        "visitors without the filters on goals and properties", "visitors", lambda _: "", _is_of_conversions
    ),
    "candidates": Divisor(
        "visitors of the row without the filters on goals and properties",
        "visitors",
        lambda dimension: "" if dimension == GOAL else dimension,
        _is_of_conversions,
    ),
    "page_views": Divisor(
        "pageviews of the page, whichever visits ended there",
        "pageviews",
        lambda dimension: "event:page" if dimension == "visit:exit_page" else dimension,
        lambda dimension: dimension == "visit:exit_page",
    ),
}


def plans(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """The plans for all that the shares of a plan's rows divide by, by name."""
    return ((name, plan.about(divisor_query(DIVISORS[name], plan.query))) for name in plan.others if name in DIVISORS)


def divisor_query(divisor: Divisor, query: Query) -> Query:
    """The query that answers with the divisor of another."""
    kept = tuple(
        part
        for part in filters.conjuncts(query.filters)
        if not any(divisor.leaves_out(leaf.dimension) for leaf in filters.leaves((part,), done=False))
    )
    named = (divisor.dimension(name) for name in query.dimensions)
    return Query((divisor.metric,), query.date_range, tuple(name for name in named if name), kept, limit=ALL_ROWS)


def key(divisor: Divisor, query: Query, values: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The row of the divisor's query that belongs to a row of these values."""
    pairs = zip(query.dimensions, values, strict=True)
    return tuple(value for name, value in pairs if divisor.dimension(name))
