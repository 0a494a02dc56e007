"""Events, and the rows of a store, for tests."""

from __future__ import annotations

from typing import Any

from haru.events.columns import Row, row_of
from haru.events.event import Arrival, Event, Origin
from haru.events.visits import Visit

NOON = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC
MINUTE = 60_000


def event(at: int = NOON, visitor: int = 1, **values: Any) -> Event:
    values.setdefault("site_id", 1)
    values.setdefault("path", "/")
    values.setdefault("origin", Origin())
    values.setdefault("visitor_before", visitor)
    return Event(at=at, visitor_id=visitor, **values)


def arrivals(*events: Event, first: int = 1) -> list[Arrival]:
    return [Arrival(first + index, each) for index, each in enumerate(events)]


def rows(*events: Event, visit: int = 1) -> list[Row]:
    """Rows with the ids from 1 up, each as if its event alone made the visit."""
    return [
        row_of(Arrival(n + 1, e), Visit(visit, e.site_id, e.visitor_id, e.at, e.at, e.origin))
        for n, e in enumerate(events)
    ]
