"""Every number is proven against a second, brute-force implementation: random events, random queries, odd zones.

`make parity` asks more queries, others each time.
"""

from __future__ import annotations

from tests.stats import parity

NUMBER = 2_000  # queries, each asked of every engine


def test_every_engine_answers_as_the_second_implementation() -> None:
    parity.run(NUMBER, derandomize=True)
