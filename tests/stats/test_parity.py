"""Every number is proven against a second, brute-force implementation: random events, random queries, odd zones.

`make test-long` asks more queries, `make parity` others each time.
"""

from __future__ import annotations

import inspect

import pytest

from tests.rounds import long, rounds
from tests.stats import made, parity, test_statement, test_vocabulary


@long
@pytest.mark.parametrize("part", range(rounds(4, 16)))
def test_every_engine_answers_as_the_second_implementation(part: int) -> None:
    parity.run(rounds(40, 125), part)


# Journeys told by hand, with the numbers that they must give.
STORIES = [
    case
    for module in (test_statement, test_vocabulary)
    for name, case in vars(module).items()
    if name.startswith("test_") and not inspect.signature(case).parameters
]


@pytest.mark.parametrize("engine", [engine for engine in made.ENGINES if engine != "duckdb"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_the_numbers_mean_does_not_depend_on_the_engine(story, engine, monkeypatch) -> None:
    filled = made.filled
    monkeypatch.setattr(made, "filled", lambda events: filled(events, engine))
    story()
