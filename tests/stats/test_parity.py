"""Every number is proven against a second, brute-force implementation: random events, random queries, odd zones.

`make test-long` asks more queries, `make parity` others each time.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import pytest

from haru.stats.sql import folded
from haru.store.protocol import Folding, Store
from tests.rounds import long, rounds
from tests.stats import (
    made,
    parity,
    test_comparisons,
    test_counters,
    test_dimensions,
    test_filters,
    test_goals,
    test_periods,
    test_statement,
)
from tests.stats.made import filled


@long
@pytest.mark.parametrize("part", range(rounds(2, 8)))
def test_every_engine_answers_as_the_second_implementation(part: int) -> None:
    parity.run(rounds(25, 125), part)


# Journeys told by hand, with the numbers that they must give.
STORIES = [
    case
    for module in (test_statement, test_comparisons, test_counters, test_dimensions, test_filters, test_goals)
    for name, case in vars(module).items()
    if name.startswith("test_") and not inspect.signature(case).parameters
]
STORIES.append(test_periods.test_the_last_24_hours_and_the_last_30_minutes_have_so_many_buckets)


def _folded(events: list[dict[str, Any]]) -> Store:
    return _folded_store(json.dumps(events))


@lru_cache(maxsize=1)  # most stories ask several questions about the same events
def _folded_store(events: str) -> Store:
    store = filled(json.loads(events))
    assert isinstance(store, Folding)
    assert store.fold(1_000_000) == 0
    return store


STORES: dict[str, Callable[[list[dict[str, Any]]], Store]] = {
    "duckdb, folded": _folded,
    "postgresql": partial(filled, engine="postgresql"),
    "clickhouse": partial(filled, engine="clickhouse"),
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_the_numbers_mean_does_not_depend_on_the_store(story, store, monkeypatch) -> None:
    monkeypatch.setattr(folded, "MANY", 0)  # folded rows are asked however few events there are
    monkeypatch.setattr(made, "filled", STORES[store])
    story()
