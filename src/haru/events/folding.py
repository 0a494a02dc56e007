"""Visits folded: one row for each visit with its facts, kept beside the events so that questions need not group them.

The table `visit` is derived from `event` and can be made again at any time. It holds every visit that has an event with
an id up to `folded.last_id`, whole as far as that id: what came later is added when the next events are folded. A
question takes what is folded and looks at the events of the few visits that are not, or not wholly (stats/folded.py).
"""

from __future__ import annotations

from haru.events.event import COLUMNS, ENGAGEMENT, PAGEVIEW, Origin

FOLDED_AT_ONCE = 100_000  # events: about a second, and a bound on memory

_ORIGIN = Origin.__struct_fields__
_KIND = dict(COLUMNS)

# The columns of a folded visit, with how each comes from its events. `alone` is no such fact: see `FOLD`.
_TIMED = "epoch_ms(occurred_at)::HUGEINT * 9223372036854775808 + id"
_VIEW = f"name = '{PAGEVIEW}'"
_LASTING = f"name <> '{ENGAGEMENT}'"
_CUSTOM = f"{_LASTING} AND NOT {_VIEW}"


def _of_pageview(function: str, column: str) -> str:
    return f"coalesce({function}({column}, {_TIMED}) FILTER ({_VIEW}), '')"


VISIT_COLUMNS: dict[str, tuple[str, str]] = {
    "id": ("BIGINT", "visit_id"),
    "site_id": ("BIGINT", "any_value(site_id)"),
    "visitor_id": ("BIGINT", "any_value(visitor_id)"),
    "first_at": ("TIMESTAMP", "min(occurred_at)"),
    "last_at": ("TIMESTAMP", "max(occurred_at)"),
    "pageviews": ("BIGINT", f"count(*) FILTER ({_VIEW})"),
    "events": ("BIGINT", f"count(*) FILTER ({_LASTING})"),
    "bounced": (
        "SMALLINT",
        f"CASE WHEN count(*) FILTER ({_VIEW}) < 2 AND count(*) FILTER ({_CUSTOM} AND interactive) = 0 "
        "THEN 1 ELSE 0 END",
    ),
    "lasted_ms": (
        "BIGINT",
        f"coalesce(epoch_ms(max(occurred_at) FILTER ({_LASTING})) - epoch_ms(min(occurred_at) FILTER ({_LASTING})), 0)",
    ),
    "entry_page": ("VARCHAR", _of_pageview("arg_min", "path")),
    "exit_page": ("VARCHAR", _of_pageview("arg_max", "path")),
    "entry_hostname": ("VARCHAR", _of_pageview("arg_min", "hostname")),
    "exit_hostname": ("VARCHAR", _of_pageview("arg_max", "hostname")),
    **{name: (_KIND[name], f"any_value({name})") for name in _ORIGIN},
}

TABLES = (
    "CREATE TABLE IF NOT EXISTS visit ("
    + ", ".join(f"{name} {kind} NOT NULL" for name, (kind, _) in VISIT_COLUMNS.items())
    + ", alone BOOLEAN NOT NULL)",
    "CREATE TABLE IF NOT EXISTS folded (last_id BIGINT NOT NULL)",
    "INSERT INTO folded SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM folded)",
)

_SELECT = ", ".join(f"{expression} AS {name}" for name, (_, expression) in VISIT_COLUMNS.items())
_NAMES = ", ".join(VISIT_COLUMNS)

# Folds the events with ids in ($1, $2], whose visits all have an id of $3 or more: the visits that have one are made
# anew from all of their events. An event's id is never below its visit's, so $3 bounds what is read of events and of
# folded visits: the engine knows the least and the greatest id of each of its blocks. `alone` says that no other folded
# visit has the same visitor, so that the visitor is told from all others when counted. When a visitor was here before
# is not known, so that is looked up among all visits, once.
FOLD = (
    "CREATE OR REPLACE TEMP TABLE changed AS SELECT DISTINCT visit_id FROM event WHERE id > $1 AND id <= $2",
    f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT {_SELECT} FROM event WHERE id <= $2 AND id >= $3 "
    "AND visit_id IN (SELECT visit_id FROM changed) GROUP BY visit_id",
    "DELETE FROM visit WHERE id >= $3 AND id IN (SELECT id FROM fresh)",
    "CREATE OR REPLACE TEMP TABLE known AS SELECT id, visitor_id, alone FROM visit "
    "WHERE visitor_id IN (SELECT visitor_id FROM fresh)",
    "UPDATE visit SET alone = false WHERE id >= (SELECT min(id) FROM known WHERE alone) "
    "AND id IN (SELECT id FROM known WHERE alone)",
    f"INSERT INTO visit SELECT {_NAMES}, count(*) OVER (PARTITION BY visitor_id) = 1 "
    "AND visitor_id NOT IN (SELECT visitor_id FROM known) FROM fresh ORDER BY site_id, first_at",
    "UPDATE folded SET last_id = $2 WHERE last_id = $1",
    "DROP TABLE changed",
    "DROP TABLE fresh",
    "DROP TABLE known",
)
# Of the $2 ids after $1: the greatest that an event has, and the least id of its visits.
NEXT = "SELECT max(id), min(visit_id) FROM event WHERE id > $1 AND id <= $1 + $2"
# The event after $1, where ids are missing.
FIRST = "SELECT min(id) FROM event WHERE id > $1"
# How many events come after $1, counted to $2.
WAITING = "SELECT count(*) FROM (SELECT id FROM event WHERE id > $1 LIMIT $2)"

# What is loaded with an id that was folded already, by a copy of another store, has all visits folded again.
UNFOLD = ("DELETE FROM visit", "UPDATE folded SET last_id = 0")
