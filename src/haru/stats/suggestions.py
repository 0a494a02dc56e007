"""Suggestions: the values of a dimension that somebody who types into a menu of filters may mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from haru.stats import bounds
from haru.stats.answers import Reports, Row
from haru.stats.plan import StatsSite
from haru.stats.query import Query, QueryError, parse
from haru.stats.trees import Segments, no_segments
from haru.stats.vocabulary import dimensions
from haru.stats.vocabulary.dimensions import DIMENSIONS, GOAL, KEYS, PROPERTY, Dimension, Level, of
from haru.stats.vocabulary.filters import Filter, Leaf, Or

MAX = 25  # that are answered
# The values, those of most visitors first, that are asked for whatever is typed: one question serves every key stroke.
SEARCHED = 1_000


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One value."""

    value: str  # what a filter takes; of the keys of properties the dimension to filter by
    label: str  # how people read it
    visitors: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is typed, and whose values it may mean."""

    query: Query
    text: str

    @property
    def dimension(self) -> Dimension:
        """The one whose values are suggested."""
        return of(self.query.dimensions[0])


def parse_wanted(
    dimension: str, text: str, date_range: object, filters: object, segments: Segments = no_segments
) -> Wanted:
    """What is asked for, from decoded JSON; the dimension `event:props:`, without a key, stands for the keys.

    Raises `QueryError` with every fault, named by its path.
    """
    faults = []
    if len(text) > bounds.MAX_CLAUSE:
        faults.append(f"#/prefix: The text has more than {bounds.MAX_CLAUSE:,} characters")
    if dimension in DIMENSIONS and DIMENSIONS[dimension].level is Level.TIME:
        faults.append(f'#/dimension: The dimension "{dimension}" cannot be filtered by: give a date range')
    names = [] if dimension == PROPERTY else [dimension]
    asked = {"metrics": ["visitors"], "date_range": date_range, "dimensions": names, "filters": filters}
    try:
        query = parse({**asked, "pagination": {"limit": SEARCHED}}, segments=segments)
    except QueryError as error:
        faults += [fault.replace("#/dimensions/0:", "#/dimension:", 1) for fault in error.faults]
    if faults:
        raise QueryError(faults)
    return Wanted(query if names else replace(query, dimensions=(KEYS.name,)), text)


def suggest(reports: Reports, site: StatsSite, wanted: Wanted, now_ms: int) -> list[Suggestion]:
    """At most `MAX` values whose label contains the text, in upper or lower case, or that are the text; those of most
    visitors in the period first.

    Raises as `Reports.answer` does.
    """
    rows = reports.answer(site, wanted.query, now_ms).rows
    found = _fitting(wanted, rows)
    if len(found) < MAX and len(rows) == SEARCHED and wanted.dimension != KEYS:
        # Of more values than can be looked at one by one, those of most visitors have to do.
        with contextlib.suppress(QueryError):
            found = _fitting(wanted, reports.answer(site, _narrowed(wanted), now_ms).rows)
    if wanted.dimension.name == GOAL:
        reached = {suggestion.value for suggestion in found}
        names = (goal.name for goal in site.goals if goal.name not in reached)
        found += [Suggestion(name, name, 0) for name in names if _fits(wanted.text, name, name)]
    return found[:MAX]


def _fitting(wanted: Wanted, rows: Iterable[Row]) -> list[Suggestion]:
    found = (_suggestion(wanted.dimension, row) for row in rows)
    return [one for one in found if _fits(wanted.text, one.value, one.label)]


def _fits(text: str, value: str, label: str) -> bool:
    return text.lower() in label.lower() or text.lower() == value.lower()


def _suggestion(dimension: Dimension, row: Row) -> Suggestion:
    value, stored = str(row.dimensions[0]), str(row.key[0])
    if dimension == KEYS:
        return Suggestion(PROPERTY + value, value, row.metrics[0])
    return Suggestion(value, dimensions.labelled(dimension).text(stored), row.metrics[0])


def _narrowed(wanted: Wanted) -> Query:
    """The question for the values that fit alone."""
    dimension = wanted.dimension
    parts: tuple[Filter, ...] = (
        Leaf("contains", dimensions.labelled(dimension).name, (wanted.text,), case_sensitive=False),
        Leaf("is", dimension.name, (wanted.text,), case_sensitive=False),
    )
    return replace(wanted.query, filters=(*wanted.query.filters, Or(parts)), limit=MAX)
