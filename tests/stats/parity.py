"""Answers of every engine against those of the second implementation: `python -m tests.stats.parity 20000` tries as
many queries, others each time. The first answer that differs ends it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import asdict
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.sql import folded as stats_folded
from haru.store.protocol import Folding, Store
from tests import reference
from tests.stats.drawn import queries, sites
from tests.stats.made import ENGINES, assert_same, filled

QUERIES = 5  # about the events of one site


def compare(data: st.DataObject, seconds: Counter[str]) -> None:
    """Ask every engine the same random queries about the same random events."""
    timezone, now, events, goals = data.draw(sites())
    reports = {engine: Reports(filled(events, engine)) for engine in ENGINES}
    folded = Reports(_folded(data, events))
    known = [asdict(goal) for goal in goals]
    small = data.draw(st.booleans())
    for _ in range(QUERIES):
        query = data.draw(queries(now, goals))
        expected = reference.answer(events, query, timezone, now, known)
        # A store of few events asks folded rows for facts only, one of many for all that they hold.
        with mock.patch.object(stats_folded, "MANY", 1_000_000 if small else 0):
            answer = folded.answer(StatsSite(1, timezone, tuple(goals)), parse(query, goals), now)
        assert_same(answer, expected, query)
        for engine, asked in reports.items():
            begun = time.perf_counter()
            answer = asked.answer(StatsSite(1, timezone, tuple(goals)), parse(query, goals), now)
            seconds[engine] += time.perf_counter() - begun
            assert_same(answer, expected, query)


def _folded(data: st.DataObject, events: list[dict[str, Any]]) -> Store:
    """The store that folds visits, with all, some or a part of one folded: ids of visits are hundreds."""
    store = filled(events)
    assert isinstance(store, Folding)
    for most in data.draw(st.sampled_from([[1000], [1, 1000], [103, 99, 1000], [202]])):
        store.fold(most)
    return store


def run(number: int, chosen: int | None = None) -> Counter[str]:
    """Compare the answers to so many queries, for a `chosen` seed always the same; the seconds each engine took."""
    seconds = Counter[str]()
    test = given(st.data())(lambda data: compare(data, seconds))
    if chosen is not None:
        test = seed(chosen)(test)
    settings(
        max_examples=-(-number // QUERIES),
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(test)()
    return seconds


def main() -> None:
    """Compare, and print how many answers were right and how long each engine took for them."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'engine':<12}{'queries':>10}{'differ':>10}{'seconds':>10}")
    for engine, taken in run(number).items():
        print(f"{engine:<12}{number:>10,}{0:>10}{taken:>10.1f}")


if __name__ == "__main__":
    main()
