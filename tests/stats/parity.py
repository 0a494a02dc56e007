"""Answers against those of the second implementation: `python -m tests.stats.parity 20000` tries as many queries.

For each engine it prints how many were asked and how long that took; the first answer that differs ends it.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import asdict
from typing import Any

import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from haru.stats.query import parse
from haru.stats.report import Reports, StatsSite
from tests import reference
from tests.stats.drawn import queries, sites
from tests.stats.made import ENGINES, assert_same, filled

QUERIES = 5  # about the events of one site


def compare(engine: str, data: st.DataObject) -> None:
    """Ask random queries about random events."""
    timezone, now, events, goals = data.draw(sites())
    reports = Reports(filled(events, engine))
    known = [asdict(goal) for goal in goals]
    for _ in range(QUERIES):
        query = data.draw(queries(now, goals))
        expected = reference.answer(events, query, timezone, now, known)
        answer = reports.answer(StatsSite(1, timezone, tuple(goals)), parse(query, goals), now)
        assert_same(answer, expected, query)


def run(engine: str, number: int, **how: Any) -> None:
    """Compare the answers to so many queries."""
    settings(
        max_examples=-(-number // QUERIES),
        phases=(Phase.generate,),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        **how,
    )(given(st.data())(lambda data: compare(engine, data)))()


def main() -> None:
    """Compare on every engine, other queries each time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'engine':<12}{'queries':>10}{'seconds':>10}")
    for engine in ENGINES:
        begun = time.perf_counter()
        run(engine, number)
        print(f"{engine:<12}{number:>10,}{time.perf_counter() - begun:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
