"""Visits folded: a row for each visit with its facts, and one for each of its pages, kept beside the events so that
questions need not group them.

The tables `visit` and `page` are derived from `event` and can be made again at any time. They hold every visit that has
an event with an id up to `folded.last_id`, whole as far as that id: what came later is added when the next events are
folded. A question takes what is folded and looks at the events of the few visits that are not, or not wholly
(stats/sql/folded.py).

Beside what its events tell, a row holds marks: what it is among the visits of its visitor, in the order of their first
events. With them visitors are counted by adding up, and need not be told from each other: of the rows of one visitor
the first counts. A visitor's id is of a site: another site may have the same one.
"""

from __future__ import annotations

from haru.events.event import ENGAGEMENT, PAGEVIEW, UNKNOWN, Origin

FOLDED_AT_ONCE = 300_000  # events: one to two seconds, and a bound on memory
LONG_HOURS = 12  # a visit that lasts as long is marked: it may have events on more than two days
MAX_VISITS = 16  # of a visitor that are compared with each other

_ORIGIN = Origin.__struct_fields__

# The columns of a folded visit that come from its events, with how they do.
_TIMED = "epoch_ms(occurred_at)::HUGEINT * 9223372036854775808 + id"
_VIEW = f"name = '{PAGEVIEW}'"
_LASTING = f"name <> '{ENGAGEMENT}'"
_CUSTOM = f"{_LASTING} AND NOT {_VIEW}"


def _of_pageview(function: str, column: str) -> str:
    return f"coalesce({function}({column}, {_TIMED}) FILTER ({_VIEW}), '')"


VISIT_COLUMNS: dict[str, str] = {
    "id": "visit_id",
    "site_id": "any_value(site_id)",
    "visitor_id": "any_value(visitor_id)",
    "first_at": "min(occurred_at)",
    "last_at": "max(occurred_at)",
    "pageviews": f"count(*) FILTER ({_VIEW})",
    "events": f"count(*) FILTER ({_LASTING})",
    "bounced": (
        f"CASE WHEN count(*) FILTER ({_VIEW}) < 2 AND count(*) FILTER ({_CUSTOM} AND interactive) = 0 THEN 1 ELSE 0 END"
    ),
    "lasted_ms": (
        f"coalesce(epoch_ms(max(occurred_at) FILTER ({_LASTING})) - epoch_ms(min(occurred_at) FILTER ({_LASTING})), 0)"
    ),
    "entry_page": _of_pageview("arg_min", "path"),
    "exit_page": _of_pageview("arg_max", "path"),
    "entry_hostname": _of_pageview("arg_min", "hostname"),
    "exit_hostname": _of_pageview("arg_max", "hostname"),
    "long": f"max(occurred_at) >= min(occurred_at) + INTERVAL {LONG_HOURS} HOURS",
    **{name: f"any_value({name})" for name in _ORIGIN},
}


# What the visits of a visitor may have in common, and the bit of `seen` that stands for it. Stored rows hold these
# bits: a name keeps its own for ever, and a new one takes the next.
_BITS = {
    "source": 0,
    "channel": 1,
    "referrer": 2,
    "utm_source": 3,
    "utm_medium": 4,
    "utm_campaign": 5,
    "utm_content": 6,
    "utm_term": 7,
    "click_id": 8,
    "country": 9,
    "region": 10,
    "city": 11,
    "device": 12,
    "browser": 13,
    "browser_version": 14,
    "os": 15,
    "os_version": 16,
    "screen": 17,
    "language": 18,
    "entry_page": 19,
    "exit_page": 20,
    "entry_hostname": 21,
    "exit_hostname": 22,
}
SEEN = {name: 1 << bit for name, bit in _BITS.items()}

# What a visit is among those of its visitor. `since` is the first moment of the earliest, and null where the others say
# nothing: of a visitor with a long visit, with very many, or with a value that is written like what is not known.
VISIT_MARKS = (
    "since",
    "before",  # the last moment of those that began before it; null when it is the first
    "seen",  # what it has in common with any of those
    "alone",  # whether there is no other
)

# The pages of a visit, with the times of the visit. Their marks are `since`, as above, and `again`: whether a visit
# that began before it has the same page.
PAGE_COLUMNS: dict[str, str] = {
    "visit_id": "visit_id",
    "path": "path",
    "site_id": "any_value(event.site_id)",
    "visitor_id": "any_value(fresh.visitor_id)",
    "first_at": "any_value(fresh.first_at)",
    "last_at": "any_value(fresh.last_at)",
    "pageviews": f"count(*) FILTER ({_VIEW})",
    "events": f"count(*) FILTER ({_LASTING})",
}


def _selected(columns: dict[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def _temporary(name: str, select: str) -> str:
    return f"CREATE OR REPLACE TEMP TABLE {name} AS {select}"


_COMPARED = ", ".join(("id", "site_id", "visitor_id", "first_at", "last_at", "long", *SEEN))
_IN_COMMON = " | ".join(f"CASE WHEN earlier.{name} = visit.{name} THEN {bit} ELSE 0 END" for name, bit in SEEN.items())
_NAMES = ", ".join(f"'{name}'" for name in sorted(UNKNOWN))
_ODD = " OR ".join(f"{name} IN ({_NAMES})" for name in SEEN if name != "city")
_PLACED = "visit_id, path, site_id, visitor_id, first_at"
_PLACE = "epoch_ms(first_at)::HUGEINT * 9223372036854775808 + visit_id"
_NEW_MARKS = {
    "since": "visitor.since",
    "before": "compared.before",
    "seen": "coalesce(compared.seen, 0)",
    "alone": "visitor.visits = 1",
}
_MARKS = ", ".join(f"{mark} AS {name}" for name, mark in _NEW_MARKS.items())
_MARKED = "JOIN visitor USING (site_id, visitor_id) LEFT JOIN compared USING (id)"

# Folds the events with ids in ($1, $2], whose visits all have an id of $3 or more: the visits that have one are made
# again from all of their events. An event's id is never below its visit's, so $3 bounds what is read of events and of
# folded visits: the engine knows the least and the greatest id of each of its blocks. When a visitor was here before is
# not known, so that is looked up among all visits, once; then the marks of all visits of these visitors are made again.
FOLD = (
    _temporary("changed", "SELECT DISTINCT visit_id FROM event WHERE id > $1 AND id <= $2"),
    _temporary(
        "fresh",
        f"SELECT {_selected(VISIT_COLUMNS)} FROM event WHERE id <= $2 AND id >= $3 "
        "AND visit_id IN (SELECT visit_id FROM changed) GROUP BY visit_id",
    ),
    _temporary(
        "fresh_page",
        f"SELECT {_selected(PAGE_COLUMNS)} FROM event JOIN fresh ON fresh.id = event.visit_id "
        "WHERE event.id <= $2 AND event.id >= $3 GROUP BY visit_id, path",
    ),
    "DELETE FROM visit WHERE id >= $3 AND id IN (SELECT id FROM fresh)",
    "DELETE FROM page WHERE visit_id >= $3 AND visit_id IN (SELECT id FROM fresh)",
    _temporary("returned", "SELECT visit.id FROM visit SEMI JOIN fresh USING (site_id, visitor_id)"),
    _temporary(
        "known",
        f"SELECT {_COMPARED}, {', '.join(VISIT_MARKS)} FROM visit "
        "WHERE id >= (SELECT min(id) FROM returned) AND id IN (SELECT id FROM returned)",
    ),
    _temporary("together", f"SELECT {_COMPARED} FROM fresh UNION ALL SELECT {_COMPARED} FROM known"),
    _temporary(
        "visitor",
        "SELECT site_id, visitor_id, count(*) AS visits, "
        f"CASE WHEN visits <= {MAX_VISITS} AND NOT bool_or(long OR {_ODD}) THEN min(first_at) END AS since "
        "FROM together GROUP BY site_id, visitor_id",
    ),
    _temporary(
        "compared",
        "WITH several AS (SELECT together.* FROM together JOIN visitor USING (site_id, visitor_id) "
        "WHERE visits > 1 AND since IS NOT NULL) "
        f"SELECT visit.id, max(earlier.last_at) AS before, bit_or({_IN_COMMON}) AS seen "
        "FROM several AS visit JOIN several AS earlier "
        "ON earlier.site_id = visit.site_id AND earlier.visitor_id = visit.visitor_id "
        "AND (earlier.first_at < visit.first_at OR (earlier.first_at = visit.first_at AND earlier.id < visit.id)) "
        "GROUP BY visit.id",
    ),
    _temporary(
        "remarked",
        f"SELECT known.id, {_MARKS}, "
        f"known.since IS DISTINCT FROM visitor.since AS moved FROM known {_MARKED} WHERE "
        + " OR ".join(f"known.{name} IS DISTINCT FROM {mark}" for name, mark in _NEW_MARKS.items()),
    ),
    f"UPDATE visit SET {', '.join(f'{name} = remarked.{name}' for name in VISIT_MARKS)} FROM remarked "
    "WHERE visit.id >= (SELECT min(id) FROM remarked) AND visit.id = remarked.id",
    "UPDATE page SET since = remarked.since FROM remarked WHERE remarked.moved "
    "AND page.visit_id >= (SELECT min(id) FROM remarked WHERE moved) AND page.visit_id = remarked.id",
    f"INSERT INTO visit BY NAME SELECT {', '.join(f'fresh.{name}' for name in VISIT_COLUMNS)}, "
    f"{_MARKS} FROM fresh {_MARKED} ORDER BY site_id, first_at",
    _temporary(
        "known_page",
        "SELECT visit_id, path, site_id, visitor_id, first_at, again "
        "FROM page SEMI JOIN fresh_page USING (site_id, visitor_id, path) "
        "WHERE page.visit_id >= (SELECT min(id) FROM known) AND page.visit_id IN (SELECT id FROM known)",
    ),
    _temporary(
        "first_page",
        f"SELECT site_id, visitor_id, path, min({_PLACE}) AS place FROM (SELECT {_PLACED} FROM fresh_page "
        f"UNION ALL SELECT {_PLACED} FROM known_page) GROUP BY site_id, visitor_id, path",
    ),
    "UPDATE page SET again = true FROM known_page JOIN first_page USING (site_id, visitor_id, path) "
    "WHERE NOT known_page.again "
    "AND place <> epoch_ms(known_page.first_at)::HUGEINT * 9223372036854775808 + known_page.visit_id "
    "AND page.visit_id >= (SELECT min(visit_id) FROM known_page WHERE NOT again) "
    "AND page.visit_id = known_page.visit_id AND page.path = known_page.path",
    f"INSERT INTO page BY NAME SELECT {', '.join(f'fresh_page.{name}' for name in PAGE_COLUMNS)}, visitor.since, "
    f"{_PLACE} <> place AS again FROM fresh_page JOIN visitor USING (site_id, visitor_id) "
    "JOIN first_page USING (site_id, visitor_id, path) ORDER BY site_id, first_at",
    "UPDATE folded SET last_id = $2 WHERE last_id = $1",
    *(
        f"DROP TABLE {name}"
        for name in (
            "changed",
            "fresh",
            "fresh_page",
            "returned",
            "known",
            "together",
            "visitor",
            "compared",
            "remarked",
            "known_page",
            "first_page",
        )
    ),
)
# Of the $2 ids after $1: the greatest that an event has, and the least id of its visits.
NEXT = "SELECT max(id), min(visit_id) FROM event WHERE id > $1 AND id <= $1 + $2"
# The event after $1, where ids are missing.
FIRST = "SELECT min(id) FROM event WHERE id > $1"
# How many events come after $1, counted to $2.
WAITING = "SELECT count(*) FROM (SELECT id FROM event WHERE id > $1 LIMIT $2)"

# What is loaded with an id that was folded already, by a copy of another store, has all visits folded again.
UNFOLD = ("DELETE FROM visit", "DELETE FROM page", "UPDATE folded SET last_id = 0")
