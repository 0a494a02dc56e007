"""Rows of a store: those of events as arrays, those of visits as visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from haru.events.columns import COLUMNS, Row
from haru.events.event import Origin
from haru.events.visits import Visit

if TYPE_CHECKING:
    import numpy as np

_NUMBERS = {"BIGINT": "int64", "SMALLINT": "int16", "BOOLEAN": "bool", "TIMESTAMP": "int64"}  # texts are objects


def arrays_of(rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """One array for each column, by its name; of at least one row. Moments are milliseconds.

    DuckDB reads arrays about twice as fast as lists of Python values.
    """
    import numpy as np  # only where it is needed: other engines take rows

    return {
        name: np.array(values, dtype=_NUMBERS.get(kind, object))
        for (name, kind), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }


def visit_of(row: Row) -> Visit:
    """The visit that a store found: its id, site, visitor, first and last moment in milliseconds, then its origin."""
    id, site_id, visitor_id, first, last, *origin = row
    return Visit(id, site_id, visitor_id, first, last, Origin(*origin))
