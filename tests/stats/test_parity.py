"""Every number is proven against a second, brute-force implementation: random events, random queries, odd zones."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from haru.stats.dimensions import DIMENSIONS
from haru.stats.metrics import METRICS
from haru.stats.query import parse
from haru.stats.report import Reports, StatsSite
from tests import reference
from tests.stats.made import DAY, HOUR, MINUTE, assert_same, filled, ms, stored

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
NAMES = ["pageview", "pageview", "pageview", "engagement", "signup", "Buy"]
SOURCES = ["", "Google", "google.de", "Straße", "Direct / None", "\U0001f600", "\ufb01"]
GAPS = [0, 1, 999, 1000, 1500, 20 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE]

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
}
PATTERNS = ["^/a", "b$", "[A-D]", "o+", "^$", "(not|goo)"]
RANGES = ["realtime", "day", "yesterday", "24h", "7d", "2d", "month", "year", "2mo", "all", "30d"]


@st.composite
def visits(draw: st.DrawFn, number: int, centre: int) -> list[dict[str, Any]]:
    """One visit around a moment: any order of arrival that an event which may open a visit begins."""
    at = centre + draw(st.integers(-3 * DAY, 3 * DAY) | st.integers(-3 * HOUR, 3 * HOUR) | st.sampled_from([-1, 0, 1]))
    stamps = {
        "visitor_id": draw(st.integers(-2, 2)),
        "source": draw(st.sampled_from(SOURCES)),
        "channel": draw(st.sampled_from(["", "Email"])),
        "country": draw(st.sampled_from(["", "DE", "US"])),
        "city": draw(st.sampled_from([0, 2950159, 5])),
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
        }
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
def leaves(draw: st.DrawFn) -> list[Any]:
    name = draw(st.sampled_from(sorted(FILTERED)))
    operator = draw(st.sampled_from(["is", "is_not", "contains", "contains_not", "matches", "matches_not"]))
    choices = PATTERNS if operator.startswith("matches") else FILTERED[name]
    leaf = [operator, name, draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique=True))]
    return [*leaf, {"case_sensitive": False}] if draw(st.integers(0, 3)) == 0 else leaf


def joined(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, min_size=1, max_size=2)
    return st.tuples(st.sampled_from(["and", "or"]), lists).map(list) | st.tuples(st.just("not"), children).map(list)


TREES = st.recursive(leaves(), joined, max_leaves=3)


@st.composite
def queries(draw: st.DrawFn, now: int) -> dict[str, Any]:
    times = [name for name in DIMENSIONS if name.startswith("time")]
    others = [name for name in DIMENSIONS if name in FILTERED or name == "visit:entry_page_hostname"]
    dimensions = draw(st.lists(st.sampled_from(others), max_size=2, unique=True))
    if draw(st.booleans()):
        dimensions.insert(draw(st.integers(0, len(dimensions))), draw(st.sampled_from(times)))
    metrics = draw(st.lists(st.sampled_from(list(METRICS)), min_size=1, max_size=5, unique=True))
    if "event:page" in dimensions:
        metrics = [name for name in metrics if name != "views_per_visit"] or ["bounce_rate"]
    query: dict[str, Any] = {"metrics": metrics, "date_range": draw(ranges(now)), "dimensions": dimensions}
    if draw(st.booleans()):
        query["filters"] = draw(st.lists(TREES, min_size=1, max_size=2))
    if draw(st.integers(0, 2)) == 0:
        keys = st.tuples(st.sampled_from([*metrics, *dimensions]), st.sampled_from(["asc", "desc"])).map(list)
        query["order_by"] = draw(st.lists(keys, max_size=2, unique_by=lambda key: key[0]))
    if draw(st.integers(0, 2)) == 0:
        query["pagination"] = {"limit": draw(st.integers(1, 3)), "offset": draw(st.integers(0, 3))}
    query["include"] = draw(includes(now, dimensions, query["date_range"]))
    return query


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
        include["comparisons"] = {"mode": mode, "match_day_of_week": draw(st.booleans())}
        if mode == "custom":
            include["comparisons"]["date_range"] = draw(custom_ranges(now))
    return include


@settings(
    max_examples=120, phases=(Phase.generate,), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.data())
def test_answers_are_those_of_the_second_implementation(data: st.DataObject) -> None:
    timezone, moment = data.draw(st.sampled_from(ODD))
    centre = ms(moment)
    events = [e for number in range(1, data.draw(st.integers(1, 6)) + 1) for e in data.draw(visits(number, centre))]
    now = centre + data.draw(st.sampled_from([0, HOUR, DAY, 2 * DAY, 3 * DAY + 123]))
    reports = Reports(filled(events))
    for _ in range(3):
        query = data.draw(queries(now))
        expected = reference.answer(events, query, timezone, now)
        assert_same(reports.answer(StatsSite(1, timezone), parse(query), now), expected, query)


@settings(
    max_examples=60, phases=(Phase.generate,), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.data())
def test_answers_stay_the_same_however_many_visits_are_folded(data: st.DataObject) -> None:
    timezone, moment = data.draw(st.sampled_from(ODD))
    centre = ms(moment)
    events = [e for number in range(1, data.draw(st.integers(1, 6)) + 1) for e in data.draw(visits(number, centre))]
    now = centre + data.draw(st.sampled_from([0, HOUR, DAY, 2 * DAY, 3 * DAY + 123]))
    store = filled(events)
    reports = Reports(store)
    asked = [data.draw(queries(now)) for _ in range(3)]
    expected = [reference.answer(events, query, timezone, now) for query in asked]
    # Ids of visits are hundreds: some folds end in the middle of one.
    for most in data.draw(st.sampled_from([[1000], [1, 1000], [103, 99, 1000], [202]])):
        store.fold(most)
        for query, answer in zip(asked, expected, strict=True):
            assert_same(reports.answer(StatsSite(1, timezone), parse(query), now, fresh=True), answer, query)
        reports.invalidate([1])
