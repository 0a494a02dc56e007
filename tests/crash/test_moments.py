"""A kill at each moment at which something is half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.killed import MOMENTS
from tests.crash.soak import soak
from tests.rounds import long, rounds

pytestmark = pytest.mark.crash


@long
@pytest.mark.parametrize("seed", range(1, 1 + rounds(1, 2)))
def test_a_kill_at_each_moment_neither_loses_nor_doubles_an_event(tmp_path: Path, seed: int) -> None:
    table = soak(tmp_path, len(MOMENTS) + 2, seed)
    assert set(table) >= set(MOMENTS)
    assert {moment: (row.lost, row.doubled) for moment, row in table.items()} == dict.fromkeys(table, (0, 0))
    assert sum(len(row.answered) for row in table.values()) > 300
    assert all(row.unanswered for row in table.values())  # each was killed while requests were under way
