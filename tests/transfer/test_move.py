"""Moving house: between two stores, cut short, and with a target that does not keep what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from haru.clock import HOUR_MS
from haru.events.columns import COLUMNS, Row
from haru.events.ledger import RefusalCount
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress, Store
from haru.transfer.move import MoveRefused, move
from tests.events.made import MINUTE, NOON
from tests.stats.made import DAY, journey, stored

SPOOL = {"A1": 7, "B2": 9}
REFUSALS = [
    RefusalCount(1, NOON, "bot", "Googlebot", 3),
    RefusalCount(0, NOON - 90 * DAY, "invalid_token", "", 1),
    RefusalCount(5, NOON + HOUR_MS, "rate_limited", "", 2),
]


def rows() -> list[Row]:
    events = [
        *journey(10, NOON, (0, "/"), (3, "/pricing"), (4, "/pricing!signup"), source="Google"),
        *journey(20, NOON - 40 * DAY, (0, "/ünï"), (1, "/ünï~"), site_id=2, props='{"plan":"pro"}', engaged_ms=900),
        *journey(30, NOON + 11 * HOUR_MS + 59 * MINUTE, (0, "/late"), (3, "/next day"), visitor_id=-3),
        stored(40, NOON - 100 * DAY, 40, site_id=77, revenue_currency="EUR", revenue_amount="12.50"),
    ]
    return [tuple(event[name] for name, _ in COLUMNS) for event in events]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "source.duckdb", threads=1)) as store:
        store.load(rows(), Progress(50, SPOOL), REFUSALS)
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "target.duckdb", threads=1)) as store:
        yield store


def test_everything_moves_and_the_report_says_so(source: DuckStore, target: DuckStore) -> None:
    report = move(source, target, [1, 2, 5], lambda _: None)
    assert report.equal
    assert [(f"{line.month:%Y-%m}", line.site_id, line.before.rows) for line in report.lines] == [
        ("2025-09", 77, 1),
        ("2025-11", 2, 2),
        ("2026-01", 1, 5),
    ]
    assert report.ledger == (6, 6)
    (last,) = [line for line in report.lines if line.site_id == 1]
    assert last.metrics["pageviews"] == (4, 4)
    assert last.metrics["visits"] == (2, 2)
    assert sorted(row for some in target.scan(None, 0, 2**45) for row in some) == sorted(rows())
    progress = target.progress()
    assert progress.last_id == 50
    assert {name: progress.positions[name] for name in SPOOL} == SPOOL
    assert target.refusal_counts(1, 0, 2**45) == [REFUSALS[0]]
    assert target.refusal_counts(5, 0, 2**45) == [REFUSALS[2]]


def test_a_house_moves_from_engine_to_engine_and_home_again(source: DuckStore, target: DuckStore, fresh_store) -> None:
    here: Store = source
    for there in (fresh_store("postgresql"), fresh_store("clickhouse"), target):
        report = move(here, there, [1, 2, 5], lambda _: None)
        assert report.equal, (there.engine, report.differences, [line.differences for line in report.lines])
        assert [line.before.rows for line in report.lines] == [1, 2, 5]
        here = there
    assert sorted(row for some in target.scan(None, 0, 2**45) for row in some) == sorted(rows())
    assert {name: target.progress().positions[name] for name in SPOOL} == SPOOL
    assert target.refusal_counts(5, 0, 2**45) == [REFUSALS[2]]


class Killed(Exception):
    pass


class Dying(DuckStore):
    """Dies before or after one of its loads."""

    def __init__(self, path: Path, at: int, *, after: bool) -> None:
        super().__init__(path, threads=1)
        self._left, self._after = at, after

    def load(self, rows: Any, progress: Progress, refusals: Any = ()) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        super().load(rows, progress, refusals)
        if self._left == 0:
            raise Killed


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after it"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_move_that_was_cut_short_goes_on_where_it_was(
    source: DuckStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    monkeypatch.setattr("haru.transfer.move.BATCH", 3)  # three loads of rows, one of refusals, one that ends it
    dying = Dying(tmp_path / "target.duckdb", at, after=after)
    if at < 6:
        with pytest.raises(Killed):
            move(source, dying, [1, 2, 5], lambda _: None)
    dying.close()
    monkeypatch.setattr("haru.transfer.move.BATCH", 2)
    target = DuckStore(tmp_path / "target.duckdb", threads=1)
    if at >= 5 and (after or at > 5):  # it was done
        if at == 6:
            assert move(source, target, [1, 2, 5], lambda _: None).equal
        with pytest.raises(MoveRefused, match="holds events already"):
            move(source, target, [1, 2, 5], lambda _: None)
    else:
        assert move(source, target, [1, 2, 5], lambda _: None).equal
    assert sorted(row for some in target.scan(None, 0, 2**45) for row in some) == sorted(rows())
    assert target.refusal_counts(1, 0, 2**45) == [REFUSALS[0]]
    target.close()


def test_a_source_that_changed_since_a_part_was_moved_is_refused(
    source: DuckStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haru.transfer.move.BATCH", 3)
    dying = Dying(tmp_path / "target.duckdb", 2, after=True)
    with pytest.raises(Killed):
        move(source, dying, [], lambda _: None)
    source.load([tuple(stored(51, NOON, 51)[name] for name, _ in COLUMNS)], Progress(51, SPOOL))
    with pytest.raises(MoveRefused, match="the source has changed since"):
        move(source, dying, [], lambda _: None)


def test_a_target_with_events_is_refused(source: DuckStore, target: DuckStore) -> None:
    target.load(rows()[:1], Progress(10))
    with pytest.raises(MoveRefused, match="holds events already"):
        move(source, target, [], lambda _: None)


class Careless(DuckStore):
    """Loses a row, changes another and forgets a refusal."""

    def load(self, rows: Any, progress: Progress, refusals: Any = ()) -> None:
        kept = [row for row in rows if row[0] != 11]
        super().load([(*row[:7], "/changed", *row[8:]) if row[0] == 21 else row for row in kept], progress)


def test_what_is_not_the_same_is_named(source: DuckStore, tmp_path: Path) -> None:
    report = move(source, Careless(tmp_path / "target.duckdb", threads=1), [1], lambda _: None)
    assert not report.equal
    found = {line.site_id: line.differences for line in report.lines}
    assert found[77] == []
    assert found[2] == ["the rows say something else"]
    assert found[1][0] == "rows 5 → 4"
    assert "pageviews 4 → 3" in found[1]
    assert report.differences == ["the refusal ledger is not the same"]


def test_an_empty_store_moves_too(target: DuckStore, tmp_path: Path) -> None:
    report = move(DuckStore(tmp_path / "empty.duckdb"), target, [1], lambda _: None)
    assert report.equal
    assert report.lines == []
