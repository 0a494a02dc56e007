"""Two sites whose visitors have the same ids, as a copied site had: each is counted as if the other were not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.sql import folded
from haru.store.protocol import Folding, Store
from tests import reference
from tests.stats.made import DAY, HOUR, assert_same, filled
from tests.stats.test_folded import FACTS, NEWER, NOON, OF_EVENTS, WEEK

QUERIES: list[dict[str, Any]] = [
    *OF_EVENTS,
    {"metrics": ["visitors"]},
    {"metrics": FACTS},
    {"metrics": FACTS, "dimensions": ["visit:entry_page"]},
    {"metrics": ["visitors", "events"], "filters": [["is", "event:page", ["/a"]]]},
    {"metrics": ["visitors"], "filters": [["has_done", ["is", "event:page", ["/a"]]]]},
]


def _numbered(events: list[dict[str, Any]], site_id: int, later: int) -> list[dict[str, Any]]:
    """The events as those of this site, with ids of their own between those of the other one."""
    return [
        event
        | {"site_id": site_id, "id": 2 * event["id"] + site_id - 1, "visit_id": 2 * event["visit_id"] + site_id - 1}
        | {"at": event["at"] + later, "occurred_at": event["at"] + later}
        for event in events
    ]


# The copy began an hour earlier: of the same visitor its visits come first.
SITES = {1: _numbered(WEEK + NEWER, 1, 0), 2: _numbered(WEEK + NEWER, 2, -HOUR)}
BOTH = SITES[1] + SITES[2]


@pytest.fixture(
    scope="module",
    params=["postgresql", "clickhouse", "duckdb", "duckdb, in part folded", "duckdb, all folded", "duckdb, in steps"],
)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    engine, _, how = request.param.partition(", ")
    made = filled(BOTH, engine)
    if how:
        assert isinstance(made, Folding)
        steps = {"in part folded": [1100], "all folded": [100_000], "in steps": [150] * 20}[how]
        waiting = [made.fold(step) for step in steps]
        assert (waiting[-1] == 0) is (how != "in part folded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded, "MANY", 0)
        yield made


@pytest.mark.parametrize("site_id", SITES)
@pytest.mark.parametrize("query", QUERIES)
def test_each_site_is_counted_as_if_it_were_alone(store: Store, query: dict[str, Any], site_id: int) -> None:
    for days in (["2026-05-20", "2026-05-26"], ["2026-05-20", "2026-05-20"]):
        asked, now = {"date_range": days, **query}, NOON + 9 * DAY
        answer = Reports(store).answer(StatsSite(site_id, "UTC"), parse(asked), now)
        assert_same(answer, reference.answer(SITES[site_id], asked, "UTC", now), asked)


@pytest.mark.parametrize("site_id", SITES)
def test_visits_of_a_visitor_are_those_of_the_site(store: Store, site_id: int) -> None:
    visits = store.visits(site_id, [1, 2], 0, 2**45)
    assert {visit.id for visit in visits} == {e["visit_id"] for e in SITES[site_id] if e["visitor_id"] in {1, 2}}
