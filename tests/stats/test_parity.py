"""Every number is proven against a second, brute-force implementation: random events, random queries, odd zones.

`make parity` asks more queries, others each time.
"""

from __future__ import annotations

import pytest

from tests.stats import parity
from tests.stats.made import ENGINES

NUMBER = 2_000  # queries for each engine


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_are_those_of_the_second_implementation(engine) -> None:
    parity.run(engine, NUMBER, derandomize=True)
