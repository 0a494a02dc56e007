"""No text in a query is more than a text: it reaches no SQL, raises nothing but `QueryError`, and shows no other site."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from haru.stats.answers import Reports
from haru.stats.explain import explain
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary.goals import Goal
from tests.rounds import long, rounds
from tests.stats.made import ENGINES, filled, journey, ms

NOON = ms("2026-05-20 12:00")
SECRET = "of-another-site"
QUERY: dict[str, Any] = {
    "metrics": ["visitors", "total_revenue"],
    "date_range": ["2026-05-20", "2026-05-20"],
    "dimensions": ["event:props:plan", "visit:source"],
    "filters": [
        ["is_not", "event:page", ["/x"]],
        ["or", [["contains_not", "event:props:plan", ["b"]], ["matches", "visit:source", ["c"]]]],
        ["has_not_done", ["is", "event:name", ["d"], {"case_sensitive": False}]],
        ["contains", "event:goal", [""]],
    ],
    "order_by": [["visitors", "desc"], ["event:props:plan", "asc"]],
    "include": {"comparisons": {"mode": "custom", "date_range": ["2026-05-19", "2026-05-19"]}},
    "pagination": {"limit": 5, "offset": 0},
}
HOSTILE = [
    "'; DROP TABLE event; --",
    '") OR 1=1 --',
    "\\",
    "\\'",
    "%s %(a)s :a $1 {a:String} ?",
    "\0",
    "\ud800",
    "/*",
    "event:props:'",
    "event:props:$.*",
    "event:props:\0\ud800",
    "' UNION SELECT props FROM event WHERE site_id = 2 --",
    "(?i",
    "$" * 400,
]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=20) | st.text("'\"\\%;:$(){}[]*/-\0", max_size=12)
SITE = StatsSite(1, "UTC", (Goal("o'clock", event="signup"), Goal('"%s"', page="/'*")))


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is a text, keys included."""
    found: list[tuple[Any, ...]] = []
    if isinstance(data, str):
        return [path]
    if isinstance(data, dict):
        found += [(*path, key, None) for key in data]
        for key, value in data.items():
            found += places(value, (*path, key))
    if isinstance(data, list):
        for index, value in enumerate(data):
            found += places(value, (*path, index))
    return found


def replaced(data: Any, path: tuple[Any, ...], text: str) -> Any:
    """The query with this text in one place; a path that ends with None means the key before."""
    data = copy.deepcopy(data)
    *way, last = path
    if last is None:
        *way, key = way
    inner = data
    for step in way:
        inner = inner[step]
    if last is None:
        inner[text] = inner.pop(key)
    else:
        inner[last] = text
    return data


PLACES = places(QUERY)


def reports(engine: str) -> Reports:
    events = [
        *journey(100, NOON, (0, "/"), (1, "/'a"), (2, "/!signup"), source="a'b"),
        *journey(
            200, NOON, (0, "/" + SECRET), (1, "/!signup"), site_id=2, source=SECRET, props=f'{{"plan":"{SECRET}"}}'
        ),
    ]
    return Reports(filled(events, engine))


@long
@pytest.mark.parametrize("engine", ENGINES)
def test_no_text_in_a_query_is_more_than_a_text(engine) -> None:
    asked = reports(engine)
    answered = 0

    @settings(
        max_examples=rounds(80, 500),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.sampled_from(PLACES), TEXTS)
    @example(("metrics", 0), "visitors")
    def tried(place: tuple[Any, ...], text: str) -> None:
        nonlocal answered
        faults: list[str] = []
        try:
            query = parse(replaced(QUERY, place, text))
            answer = asked.answer(SITE, query, NOON)
        except QueryError as error:
            faults = error.faults
        if faults:
            assert all(fault.startswith("#") for fault in faults)
            return
        answered += 1
        assert SECRET not in repr((answer.rows, answer.comparison))
        assert explain(asked, SITE, query, NOON)["statements"]

    tried()
    assert answered > 10
    whole = parse({"metrics": ["events"], "date_range": "day"})
    assert asked.answer(StatsSite(2, "UTC"), whole, NOON).rows[0].metrics == (2,)


@pytest.mark.parametrize(
    "key", ["plan", *(text for text in HOSTILE if "\0" not in text and "\ud800" not in text), "日本"]
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_property_is_found_by_its_very_key(engine, key) -> None:
    import msgspec

    if len(key.encode()) > 300:
        key = key[:300]
    props = msgspec.json.Encoder(order="sorted").encode({key: "found", "plan" + key: "other", key + "x": "no"}).decode()
    asked = Reports(filled(journey(100, NOON, (0, "/"), props=props), engine))
    query = {
        "metrics": ["visitors"],
        "date_range": "day",
        "dimensions": [f"event:props:{key}"],
        "filters": [["is", f"event:props:{key}", ["found"]], ["contains_not", f"event:props:{key}", ["x"]]],
    }
    (row,) = asked.answer(StatsSite(1, "UTC"), parse(query), NOON).rows
    assert row.dimensions == ("found",)
