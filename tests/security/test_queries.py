"""What one query may cost: each is asked in a process of its own, whose memory and time are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from haru.stats import bounds

SECONDS = 60.0  # some hundred times what it takes: machines that test are slow
MEGABYTES = 250.0


def took(query: dict[str, Any]) -> dict[str, Any]:
    """What answering this took; ended after a while."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.asking"],
        cwd=Path(__file__).parents[2],
        input=json.dumps({"metrics": ["visitors"], "date_range": "day", **query}),
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def leaf(operator: str, clauses: list[str]) -> list[Any]:
    return [operator, "event:page", clauses]


BEYOND: dict[str, dict[str, Any]] = {
    "20,000 patterns": {"filters": [leaf("matches", [f"{number}.*x" for number in range(20_000)])]},
    "100,000 clauses": {"filters": [leaf("contains", [f"/{number}" for number in range(100_000)])]},
    "5,000 dimensions": {"dimensions": [f"event:props:{number}" for number in range(5_000)]},
    "100,000 filters": {"filters": [leaf("is", [f"/{number}"]) for number in range(100_000)]},
    "100,000 faults": {"filters": [[f"like {number}"] for number in range(100_000)]},
    "100,000 keys": {f"key {number}": 1 for number in range(100_000)},
    "patterns that need much memory": {"filters": [leaf("matches", [rf"(\pL{{{20 + n}}}){{30}}" for n in range(50)])]},
}
AT_BOUNDS: dict[str, dict[str, Any]] = {
    "patterns": {"filters": [leaf("matches_not", [f"{'.?' * 240}{number}" for number in range(50)])]},
    "clauses": {"filters": [leaf("contains_not", [f"{number} " * 20 for number in range(1_000)])]},
    "what visits have done": {"filters": [["has_done", leaf("is", ["/x"])]] * 20},
    "comparisons": {"filters": [["or", [leaf("contains", [f"/{n}{i}" for i in range(5)]) for n in range(200)]]]},
    "dimensions": {"dimensions": [f"event:props:{number}" for number in range(10)]},
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_query_beyond_the_bounds_costs_next_to_nothing(name) -> None:
    found = took(BEYOND[name])
    assert found["error"]
    assert len(found["error"]) <= bounds.MAX_FAULTS * bounds.MAX_FAULT
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < MEGABYTES


@pytest.mark.parametrize("name", AT_BOUNDS)
def test_a_query_at_its_bounds_is_answered_with_bounded_cost(name) -> None:
    found = took(AT_BOUNDS[name])
    assert found["error"] == ""
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < MEGABYTES
