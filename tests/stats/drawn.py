"""Random events of a site, its goals, and random queries about them: what the parity of answers is tried with."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from haru.stats.vocabulary.dimensions import DIMENSIONS
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.metrics import METRICS, MetricUse
from tests import reference
from tests.stats.made import DAY, HOUR, MINUTE, ms, stored

# Zones with the moments that make them odd: clocks go forward or back there, at midnight or by half an hour.
ODD = [
    ("UTC", "2026-03-01 00:00"),
    ("Asia/Kathmandu", "2026-02-28 18:15"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("Australia/Lord_Howe", "2026-10-03 15:30"),
    ("America/New_York", "2026-03-08 07:00"),
    ("America/New_York", "2026-11-01 06:00"),
    ("Africa/Cairo", "2026-04-23 22:00"),
    ("Africa/Cairo", "2026-10-29 21:00"),
    ("America/Santiago", "2026-04-05 03:00"),
    ("America/Santiago", "2026-09-06 04:00"),
    ("America/Havana", "2026-11-01 05:00"),
    ("Asia/Beirut", "2026-03-28 22:00"),
    ("Pacific/Apia", "2011-12-30 10:00"),
]
PATHS = ["/", "/a", "/b", "/Ünder", "/a/b", ""]
NAMES = ["pageview", "pageview", "engagement", "engagement", "signup", "Buy"]
SOURCES = ["", "Google", "google.de", "Straße", "Direct / None", "\U0001f600", "\ufb01"]
GAPS = [0, 1, 999, 1000, 1500, 20 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE]

KEYS = ["plan", "a.b", 'q"', "$.x", "Größe", "/~1", "0", "*", "back\\slash", "\U0001f600"]
VALUES = ["", "(none)", "pro", "Pro", "GRÖSSE", "7", 'a"b\\', "\U0001f600", "line\nbreak"]
GOALS = [
    Goal("Sign up", event="signup"),
    Goal("Purchase", event="Buy", currency="EUR"),
    Goal("PURCHASE", event="signup"),  # in lower case the same as another
    Goal("Home", page="/"),
    Goal("Any a", page="/a*"),
    Goal("Everything", page="**"),
    Goal("Under a", page="/a/**"),
    Goal("Straße", page="/*nder"),
    Goal("Nowhere", page="/x+.*"),
    Goal("Reads a", page="/a", scroll=51),
    Goal("Reads", page="**", scroll=50),
    Goal("Reads under a", page="/a*", scroll=0),
]

FILTERED = {
    "event:page": [*PATHS[:5], "(not set)", "a"],
    "event:name": ["pageview", "signup", "buy", "engagement"],
    "event:hostname": ["example.com", "(not set)", "EXAMPLE"],
    "visit:source": [*SOURCES, "Direct", "STRASSE", "oo"],
    "visit:channel": ["Direct", "Email"],
    "visit:country": ["DE", "(not set)", "d"],
    "visit:city": ["2950159", "(not set)", "5"],
    "visit:entry_page": ["/", "/a", "(not set)"],
    "visit:exit_page": ["/b", "/ünder"],
    "visit:exit_page_hostname": ["example.com", "(not set)"],
    "visit:country_name": ["Germany", "united states", "(not set)", "XX", "er"],
    "visit:region_name": ["Berlin", "DE-BE", "(not set)", "Saint George"],
    "visit:city_name": ["Berlin", "(not set)", "5", "er", "London"],
    **{f"event:props:{key}": ["(none)", "pro", "7", "größe", 'a"b\\', "none", "o", "missing"] for key in KEYS},
}
OF_EVENTS = [name for name in FILTERED if name.startswith("event:")]
PATTERNS = ["^/a", "b$", "[A-D]", "o+", "^$", "(not|goo)"]
RANGES = [
    *["all", "month", "year"] * 8,
    "realtime",
    "day",
    "yesterday",
    "24h",
    "7d",
    "2d",
    "month",
    "year",
    "2mo",
    "all",
    "30d",
]


AMOUNTS = ["0", "0.005", "0.015", "-1.10", "12.50", "0.000000001", "999999999999999.999999999", "-999999999999999"]
PROPS = st.dictionaries(
    st.sampled_from([*KEYS, *KEYS[:1] * 8]), st.sampled_from([*VALUES, *["pro"] * 4]), max_size=2
).map(lambda props: json.dumps(props, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


@st.composite
def visits(draw: st.DrawFn, number: int, centre: int) -> list[dict[str, Any]]:
    """One visit around a moment: any order of arrival that an event which may open a visit begins."""
    at = centre + draw(st.integers(-3 * DAY, 3 * DAY) | st.integers(-3 * HOUR, 3 * HOUR) | st.sampled_from([-1, 0, 1]))
    stamps = {
        "visitor_id": draw(st.integers(-2, 2)),
        "source": draw(st.sampled_from(SOURCES)),
        "channel": draw(st.sampled_from(["", "Email"])),
        "country": draw(st.sampled_from(["", "DE", "US", "XX", "AX"])),
        "region": draw(st.sampled_from(["", "DE-BE", "AG-03", "VC-04"])),
        "city": draw(st.sampled_from([0, 2950159, 5, 2643743, 6058560])),
    }
    opener = number * 100
    events = []
    for step in range(draw(st.integers(1, 5))):
        at += draw(st.sampled_from(GAPS)) if step else 0
        columns = {
            "name": draw(st.sampled_from(NAMES)),
            "path": draw(st.sampled_from(PATHS)),
            "hostname": draw(st.sampled_from(["example.com", "example.com", ""])),
            "interactive": draw(st.booleans()),
            "props": draw(PROPS),
            "engaged_ms": draw(st.sampled_from([0, 1, 499, 500, 1500, 2500, 3_600_000])),
            "scroll_depth": draw(st.sampled_from([-1, 0, 1, 50, 51, 100])),
        }
        if draw(st.integers(0, 2)) == 0:
            columns["revenue_currency"] = draw(st.sampled_from(["EUR", "USD"]))
            columns["revenue_amount"] = draw(st.sampled_from(AMOUNTS))
        events.append((at, columns))
    if all(columns["name"] == "engagement" for _, columns in events):
        events[0][1]["name"] = "pageview"
    order = draw(st.permutations(range(len(events))))
    first = next(place for place in order if events[place][1]["name"] != "engagement")
    arrived = [first, *(place for place in order if place != first)]
    return [
        stored(opener + n, events[place][0], opener, **events[place][1], **stamps) for n, place in enumerate(arrived)
    ]


@st.composite
def leaves(draw: st.DrawFn, names: list[str]) -> list[Any]:
    name = draw(st.sampled_from(names))
    operator = draw(st.sampled_from(["is", "is_not", "contains", "contains_not", "matches", "matches_not"]))
    choices = PATTERNS if operator.startswith("matches") else FILTERED[name]
    leaf = [operator, name, draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique=True))]
    return [*leaf, {"case_sensitive": False}] if draw(st.integers(0, 3)) == 0 else leaf


@st.composite
def goal_leaves(draw: st.DrawFn, goals: list[Goal]) -> list[Any]:
    names = [goal.name for goal in goals]
    if not names or draw(st.booleans()):
        return ["contains", "event:goal", draw(st.lists(st.sampled_from(["a", "P", "ß", "e"]), min_size=1, max_size=2))]
    leaf = ["is", "event:goal", draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))]
    return [*leaf, {"case_sensitive": False}] if draw(st.integers(0, 3)) == 0 else leaf


def joined(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, min_size=1, max_size=2)
    return st.tuples(st.sampled_from(["and", "or"]), lists).map(list) | st.tuples(st.just("not"), children).map(list)


def done(goals: list[Goal]) -> st.SearchStrategy[Any]:
    events = leaves(OF_EVENTS) | goal_leaves(goals)
    inner = st.recursive(events, joined, max_leaves=2)
    return st.tuples(st.sampled_from(["has_done", "has_not_done"]), inner).map(list)


def trees(goals: list[Goal]) -> st.SearchStrategy[Any]:
    plain = leaves(sorted(FILTERED))
    return st.recursive(plain | plain | plain | done(goals), joined, max_leaves=3)


# What a query is about: dimensions of which it has one, others that it may be filtered by, metrics of which it asks for one.
THEMES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "anything": ([], [], list(METRICS)),
    "a page": (["event:page"], ["event:page"], ["time_on_page", "scroll_depth", "exit_rate", "bounce_rate"]),
    "an exit": (["visit:exit_page", "event:page"], ["visit:exit_page"], ["exit_rate"]),
    "a goal": (
        ["event:goal"],
        ["event:props:plan"],
        ["conversion_rate", "group_conversion_rate", "visitors", "total_revenue"],
    ),
    "a property": (
        [f"event:props:{key}" for key in KEYS],
        ["event:props:plan"],
        ["visitors", "average_revenue", "bounce_rate"],
    ),
    "conversions by property": (
        ["event:props:plan", "event:props:a.b"],
        ["event:props:plan"],
        ["group_conversion_rate"],
    ),
}


@st.composite
def queries(draw: st.DrawFn, now: int, goals: list[Goal]) -> dict[str, Any]:
    about = draw(st.sampled_from(sorted(THEMES)))
    theme, filtered, wanted = THEMES[about]
    times = [name for name in DIMENSIONS if name.startswith("time")]
    others = [*FILTERED, "visit:entry_page_hostname", "event:goal"]
    by_filter = theme in (["event:page"], ["event:goal"]) and draw(st.integers(0, 2)) == 0
    dimensions = [draw(st.sampled_from(theme))] if theme and not by_filter else []
    dimensions += draw(st.lists(st.sampled_from(others), max_size=1 if theme else 2, unique=True))
    dimensions = list(dict.fromkeys(dimensions))
    if draw(st.integers(0, 2)) == 0:
        dimensions.insert(draw(st.integers(0, len(dimensions))), draw(st.sampled_from(times)))
    query: dict[str, Any] = {"date_range": draw(ranges(now)), "dimensions": dimensions}
    if draw(st.booleans()):
        query["filters"] = draw(st.lists(trees(goals), min_size=1, max_size=2))
    if filtered and draw(st.booleans()):
        query["filters"] = [*query.get("filters", []), draw(leaves(filtered))]
    if by_filter or about == "conversions by property":  # which have no answer without a goal
        query["filters"] = [
            *query.get("filters", []),
            draw(leaves(theme) if "event:page" in theme else goal_leaves(goals)),
        ]
    # Metrics that have no answer here are not asked for.
    use = MetricUse(tuple(dimensions), frozenset(looked_at(query.get("filters", []))))
    sensible = [name for name, metric in METRICS.items() if not any(rule.broken(use) for rule in metric.rules)]
    metrics = draw(st.lists(st.sampled_from(sensible), min_size=1, max_size=4, unique=True))
    first = [name for name in wanted if name in sensible]
    if theme and first:
        metrics = list(dict.fromkeys([draw(st.sampled_from(first)), *metrics]))
    query = {"metrics": metrics, **query}
    if draw(st.integers(0, 2)) == 0:
        keys = st.tuples(st.sampled_from([*metrics, *dimensions]), st.sampled_from(["asc", "desc"])).map(list)
        query["order_by"] = draw(st.lists(keys, max_size=2, unique_by=lambda key: key[0]))
    if draw(st.integers(0, 2)) == 0:
        query["pagination"] = {"limit": draw(st.integers(1, 3)), "offset": draw(st.integers(0, 3))}
    query["include"] = draw(includes(now, dimensions, query["date_range"]))
    return query


def looked_at(filters: list[Any]) -> set[str]:
    """The dimensions of filters, but for those of what a visit has done."""
    found = set()
    for tree in filters:
        if tree[0] in ("and", "or"):
            found |= looked_at(tree[1])
        elif tree[0] == "not":
            found |= looked_at([tree[1]])
        elif tree[0] not in ("has_done", "has_not_done"):
            found.add(tree[1])
    return found


@st.composite
def ranges(draw: st.DrawFn, now: int) -> Any:
    if draw(st.integers(0, 2)):
        return draw(st.sampled_from(RANGES))
    return draw(custom_ranges(now))


@st.composite
def custom_ranges(draw: st.DrawFn, now: int) -> list[str]:
    start = now + draw(st.integers(-4 * DAY, 0))
    end = start + draw(st.integers(0, 3 * DAY) | st.integers(0, HOUR))
    as_text = {
        "date": lambda at: reference.local(reference.UTC, at).date().isoformat(),
        "instant": lambda at: reference.local(reference.UTC, at).isoformat(timespec="milliseconds"),
        "second": lambda at: reference.local(reference.UTC, at).isoformat(timespec="seconds"),
    }[draw(st.sampled_from(["date", "instant", "second"]))]
    return [as_text(start), as_text(end)]


@st.composite
def includes(draw: st.DrawFn, now: int, dimensions: list[str], date_range: Any) -> dict[str, Any]:
    include: dict[str, Any] = {"total_rows": draw(st.booleans())}
    # The second implementation walks through time in steps: it would take a while for the minutes of a year.
    short = isinstance(date_range, list) or date_range in {"realtime", "day", "yesterday", "24h", "2d"}
    if any(name.startswith("time") for name in dimensions) and not short:
        return include
    if any(name.startswith("time") for name in dimensions):
        include["time_labels"] = draw(st.booleans())
    if draw(st.integers(0, 2)) == 0:
        mode = draw(st.sampled_from(["previous_period", "year_over_year", "custom"]))
        include["comparisons"] = {"mode": mode, "match_day_of_week": draw(st.booleans()), "to_now": draw(st.booleans())}
        if mode == "custom":
            include["comparisons"]["date_range"] = draw(custom_ranges(now))
    return include


@st.composite
def sites(draw: st.DrawFn) -> tuple[str, int, list[dict[str, Any]], list[Goal]]:
    """A site's time zone, a moment, its events around it, and its goals."""
    timezone, moment = draw(st.sampled_from(ODD))
    centre = ms(moment)
    events = [event for number in range(1, draw(st.integers(1, 7))) for event in draw(visits(number, centre))]
    now = centre + draw(st.sampled_from([0, HOUR, DAY, 2 * DAY, 3 * DAY + 123]))
    goals = draw(st.lists(st.sampled_from(GOALS), min_size=1, max_size=6, unique=True))
    return timezone, now, events, goals
