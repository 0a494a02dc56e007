"""Visits folded: a row for each visit with its facts, and one for each of its pages, kept beside the events so that
questions need not group them.

The tables `visit` and `page` are derived from `event` and can be made again at any time. They hold every visit that has
an event with an id up to `folded.last_id`, whole as far as that id: what came later is added when the next events are
folded. A question takes what is folded and looks at the events of the few visits that are not, or not wholly
(stats/folded.py).
"""

from __future__ import annotations

from haru.events.event import COLUMNS, ENGAGEMENT, PAGEVIEW, Origin

FOLDED_AT_ONCE = 300_000  # events: one to two seconds, and a bound on memory
LONG_HOURS = 12  # a visit that lasts as long is marked: it may have events on more than two days

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
    "long": ("BOOLEAN", f"max(occurred_at) >= min(occurred_at) + INTERVAL {LONG_HOURS} HOURS"),
    **{name: (_KIND[name], f"any_value({name})") for name in _ORIGIN},
}


def _table(name: str, columns: dict[str, tuple[str, str]]) -> str:
    kinds = "".join(f"{column} {kind} NOT NULL, " for column, (kind, _) in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({kinds}alone BOOLEAN NOT NULL)"


_VISIT_TABLE = _table("visit", VISIT_COLUMNS)
TABLES = (
    _VISIT_TABLE,
    "CREATE TABLE IF NOT EXISTS folded (last_id BIGINT NOT NULL)",
    "INSERT INTO folded SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM folded)",
)

# The pages of a visit, with the times of the visit. That `alone` is so for a page is said of the visitor and the page.
PAGE_COLUMNS: dict[str, tuple[str, str]] = {
    "visit_id": ("BIGINT", "visit_id"),
    "path": ("VARCHAR", "path"),
    "site_id": ("BIGINT", "any_value(event.site_id)"),
    "visitor_id": ("BIGINT", "any_value(fresh.visitor_id)"),
    "first_at": ("TIMESTAMP", "any_value(fresh.first_at)"),
    "last_at": ("TIMESTAMP", "any_value(fresh.last_at)"),
    "pageviews": ("BIGINT", f"count(*) FILTER ({_VIEW})"),
    "events": ("BIGINT", f"count(*) FILTER ({_LASTING})"),
}
# A store of before has its visits folded anew: the table has columns more, and there were no pages.
PAGE_TABLES = ("DROP TABLE visit", _VISIT_TABLE, _table("page", PAGE_COLUMNS), "UPDATE folded SET last_id = 0")


def _selected(columns: dict[str, tuple[str, str]]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, (_, expression) in columns.items())


_AGAIN = (
    "visit_id >= (SELECT min(id) FROM known) AND visit_id IN (SELECT id FROM known) "
    "AND (visitor_id, path) IN (SELECT (visitor_id, path) FROM fresh_page)"
)

# Folds the events with ids in ($1, $2], whose visits all have an id of $3 or more: the visits that have one are made
# anew from all of their events. An event's id is never below its visit's, so $3 bounds what is read of events and of
# folded visits: the engine knows the least and the greatest id of each of its blocks. `alone` says that no other folded
# row has the same visitor, and page where it is one of a page, so that the visitor is told from all others when
# counted. When a visitor was here before is not known, so that is looked up among all visits, once.
FOLD = (
    "CREATE OR REPLACE TEMP TABLE changed AS SELECT DISTINCT visit_id FROM event WHERE id > $1 AND id <= $2",
    f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT {_selected(VISIT_COLUMNS)} FROM event WHERE id <= $2 AND id >= $3 "
    "AND visit_id IN (SELECT visit_id FROM changed) GROUP BY visit_id",
    f"CREATE OR REPLACE TEMP TABLE fresh_page AS SELECT {_selected(PAGE_COLUMNS)} FROM event "
    "JOIN fresh ON fresh.id = event.visit_id WHERE event.id <= $2 AND event.id >= $3 GROUP BY visit_id, path",
    "DELETE FROM visit WHERE id >= $3 AND id IN (SELECT id FROM fresh)",
    "DELETE FROM page WHERE visit_id >= $3 AND visit_id IN (SELECT id FROM fresh)",
    "CREATE OR REPLACE TEMP TABLE known AS SELECT id, visitor_id, alone FROM visit "
    "WHERE visitor_id IN (SELECT visitor_id FROM fresh)",
    f"CREATE OR REPLACE TEMP TABLE known_page AS SELECT visitor_id, path FROM page WHERE {_AGAIN}",
    "UPDATE visit SET alone = false WHERE id >= (SELECT min(id) FROM known WHERE alone) "
    "AND id IN (SELECT id FROM known WHERE alone)",
    f"UPDATE page SET alone = false WHERE alone AND {_AGAIN}",
    f"INSERT INTO visit SELECT {', '.join(VISIT_COLUMNS)}, count(*) OVER (PARTITION BY visitor_id) = 1 "
    "AND visitor_id NOT IN (SELECT visitor_id FROM known) FROM fresh ORDER BY site_id, first_at",
    f"INSERT INTO page SELECT {', '.join(PAGE_COLUMNS)}, count(*) OVER (PARTITION BY visitor_id, path) = 1 "
    "AND (visitor_id, path) NOT IN (SELECT (visitor_id, path) FROM known_page) FROM fresh_page "
    "ORDER BY site_id, first_at",
    "UPDATE folded SET last_id = $2 WHERE last_id = $1",
    *(f"DROP TABLE {name}" for name in ("changed", "fresh", "fresh_page", "known", "known_page")),
)
# Of the $2 ids after $1: the greatest that an event has, and the least id of its visits.
NEXT = "SELECT max(id), min(visit_id) FROM event WHERE id > $1 AND id <= $1 + $2"
# The event after $1, where ids are missing.
FIRST = "SELECT min(id) FROM event WHERE id > $1"
# How many events come after $1, counted to $2.
WAITING = "SELECT count(*) FROM (SELECT id FROM event WHERE id > $1 LIMIT $2)"

# What is loaded with an id that was folded already, by a copy of another store, has all visits folded again.
UNFOLD = ("DELETE FROM visit", "DELETE FROM page", "UPDATE folded SET last_id = 0")
