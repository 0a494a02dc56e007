"""The one table of stored columns: what a row of the store holds, in which order, and how an event becomes one.

Spool, stores, export and import read it. A new column goes to the end, with a migration for each engine beside it
(`haru.store.migrations`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from haru.events.event import Arrival, Event, Origin
from haru.events.visits import Visit

Row = tuple[Any, ...]  # one stored event, its values in the order of COLUMNS, moments in milliseconds

# The columns of one stored row: the event, its id, its visit. An engine may keep them in another order.
# `visit_id` is the id of the event that opened the visit: unique by construction, and growing with arrival.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("id", "BIGINT"),
    ("site_id", "BIGINT"),
    ("occurred_at", "TIMESTAMP"),  # UTC, milliseconds
    ("visitor_id", "BIGINT"),
    ("visit_id", "BIGINT"),
    ("name", "VARCHAR"),
    ("hostname", "VARCHAR"),
    ("path", "VARCHAR"),
    ("source", "VARCHAR"),
    ("channel", "VARCHAR"),
    ("referrer", "VARCHAR"),
    ("utm_source", "VARCHAR"),
    ("utm_medium", "VARCHAR"),
    ("utm_campaign", "VARCHAR"),
    ("utm_content", "VARCHAR"),
    ("utm_term", "VARCHAR"),
    ("click_id", "VARCHAR"),
    ("country", "VARCHAR"),
    ("region", "VARCHAR"),
    ("city", "BIGINT"),
    ("device", "VARCHAR"),
    ("browser", "VARCHAR"),
    ("browser_version", "VARCHAR"),
    ("os", "VARCHAR"),
    ("os_version", "VARCHAR"),
    ("screen", "VARCHAR"),
    ("language", "VARCHAR"),
    ("props", "VARCHAR"),  # JSON object of texts, "{}" when there are none
    ("revenue_currency", "VARCHAR"),
    ("revenue_amount", "VARCHAR"),  # decimal as text, "" is none
    ("engaged_ms", "BIGINT"),
    ("scroll_depth", "SMALLINT"),  # -1 is not known
    ("interactive", "BOOLEAN"),
)
NAMES: tuple[str, ...] = tuple(name for name, _ in COLUMNS)

_encode_props = msgspec.json.Encoder(order="sorted").encode


def row_of(arrival: Arrival, visit: Visit) -> Row:
    """The stored row of an event of this visit, in the order of `COLUMNS`."""
    event = arrival.event
    origin = visit.origin
    return (
        arrival.id,
        event.site_id,
        event.at,
        visit.visitor_id,
        visit.id,
        event.name,
        event.hostname,
        event.path,
        *msgspec.structs.astuple(origin),
        _encode_props(event.props).decode() if event.props else "{}",
        event.revenue_currency,
        event.revenue_amount,
        event.engaged_ms,
        event.scroll_depth,
        event.interactive,
    )


# What the row of an event that tells nothing holds: in its last columns, what those of an older release lack.
BLANK = row_of(Arrival(0, Event(0, 0, 0, 0, "", Origin())), Visit(0, 0, 0, 0, 0, Origin()))
