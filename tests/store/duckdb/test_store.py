from __future__ import annotations

import contextlib
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import bindparam, column, func, literal_column, select, table, text

from haru.events.event import Origin
from haru.events.visits import Visit
from haru.store.duckdb import store as duckdb_module
from haru.store.duckdb.store import DuckStore
from haru.store.migrations import Migration
from haru.store.protocol import Progress, StoreOutOfMemory, StoreTooNew, StoreUnavailable
from haru.store.stop import Stop, Stopped
from tests.events.made import MINUTE, NOON, event, rows


def test_rows_and_position_survive_closing(tmp_path: Path) -> None:
    store = DuckStore(tmp_path / "e.duckdb")
    odd = "a'b\"c\\ü😀\n"
    store.load(
        rows(event(path=odd, props={odd: odd}, origin=Origin(city=-1)), event(interactive=False)), Progress(2, {"a": 7})
    )
    store.close()
    store = DuckStore(tmp_path / "e.duckdb")
    assert store.progress() == Progress(2, {"a": 7})
    found = store.fetch(
        select(column("path"), column("interactive"), column("occurred_at")).select_from(table("event"))
    )
    assert sorted((path, interactive) for path, interactive, _ in found) == [("/", False), (odd, True)]
    assert {at.isoformat() for *_, at in found} == {"2026-01-01T12:00:00"}


def test_a_load_that_fails_leaves_neither_rows_nor_position(tmp_path: Path) -> None:
    store = DuckStore(None)
    good = rows(event())
    bad = [(*good[0][:7], None, *good[0][8:])]  # a null where none may be
    store.load(good, Progress(1))
    with pytest.raises(duckdb.ConstraintException):
        store.load(bad, Progress(2))
    assert store.progress() == Progress(1)
    assert store.fetch(select(column("id")).select_from(table("event"))) == [(1,)]


def test_values_are_bound_and_never_become_sql() -> None:
    store = DuckStore(None)
    store.load(rows(event(path="'; DROP TABLE event; --")), Progress(1))
    wanted = select(column("id")).select_from(table("event")).where(column("path") == bindparam("path"))
    assert store.fetch(wanted, {"path": "'; DROP TABLE event; --"}) == [(1,)]
    many = select(column("id")).select_from(table("event")).where(column("path").in_(["x", "'; DROP TABLE event; --"]))
    assert store.fetch(many) == [(1,)]


def test_the_visits_of_some_visitors_come_whole() -> None:
    store = DuckStore(None)
    origin = Origin(source="Google", country="DE")
    store.load(
        rows(event(NOON, visitor=5, origin=origin), event(NOON + 90 * MINUTE, visitor=5, origin=origin), visit=1)
        + rows(event(NOON, visitor=6), visit=7),
        Progress(9),
    )
    assert store.visits(1, [5], NOON + 60 * MINUTE, NOON + 100 * MINUTE) == [
        Visit(1, 1, 5, NOON, NOON + 90 * MINUTE, origin)
    ]
    assert store.visits(1, [6], NOON + MINUTE, NOON + 100 * MINUTE) == []
    assert store.visits(2, [5, 6], 0, NOON * 2) == []
    assert [visit.id for visit in store.recent_visits(NOON + 90 * MINUTE)] == [1]


def test_a_file_that_another_process_has_open_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "e.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreUnavailable, match="another program has it open"):
            DuckStore(path).open()
        waiting = DuckStore(path)
        with pytest.raises(StoreUnavailable):
            waiting.progress()
    finally:
        holder.kill()
        holder.wait()
    assert waiting.progress() == Progress()  # the same object opens the file as soon as it can
    waiting.close()


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    DuckStore(tmp_path / "e.duckdb").open()
    assert stat.S_IMODE((tmp_path / "e.duckdb").stat().st_mode) == 0o600


def test_the_statement_can_be_shown_as_text() -> None:
    text = DuckStore(None).sql(select(column("id")).select_from(table("event")).where(column("path") == "/it's"))
    assert "path = '/it''s'" in text


def test_a_store_of_a_newer_program_is_refused_with_a_sentence(tmp_path: Path) -> None:
    DuckStore(tmp_path / "e.duckdb").open()
    with duckdb.connect(str(tmp_path / "e.duckdb")) as connection:
        connection.execute("INSERT INTO version VALUES (99)")
    with pytest.raises(StoreTooNew, match="at version 99, made by a newer Haru"):
        DuckStore(tmp_path / "e.duckdb").open()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckStore(tmp_path / "e.duckdb")
    store.load(rows(event()), Progress(1))
    store.close()
    number = duckdb_module.MIGRATIONS[-1].number + 1
    bad = Migration(number, "bad", ("ALTER TABLE event ADD COLUMN extra VARCHAR", "SELECT no_such_column"))
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_module, "MIGRATIONS", (*duckdb_module.MIGRATIONS, bad))
        with pytest.raises(StoreUnavailable, match="no_such_column"):
            store.open()
    with duckdb.connect(str(tmp_path / "e.duckdb")) as connection:
        assert connection.execute("SELECT max(number) FROM version").fetchall() == [(number - 1,)]
    mended = Migration(number, "mended", bad.statements[:1])
    monkeypatch.setattr(duckdb_module, "MIGRATIONS", (*duckdb_module.MIGRATIONS, mended))
    assert store.fetch(select(column("id"), column("extra")).select_from(table("event"))) == [(1, None)]
    store.close()


def test_a_scan_gives_rows_as_they_were_loaded_by_id() -> None:
    store = DuckStore(None)
    loaded = rows(event(path="/a"), event(site_id=2), event(at=NOON + MINUTE, path="/b"))
    store.load(loaded, Progress(3))
    assert [list(part) for part in store.scan(1, NOON, NOON + MINUTE + 1)] == [[loaded[0], loaded[2]]]
    assert [list(part) for part in store.scan(None, NOON, NOON + 1)] == [loaded[:2]]
    assert list(store.scan(1, 0, NOON)) == []


def test_a_query_ends_at_its_limit() -> None:
    store = DuckStore(None)
    long = select(func.sum(literal_column("a.range * b.range"))).select_from(
        text("range(10000000) a, range(10000000) b")
    )
    with pytest.raises(Stopped, match=r"limit of 0\.1 seconds"):
        store.fetch(long, stop=Stop(0.1))
    stop = Stop()
    threading.Timer(0.1, stop.cancel).start()
    with pytest.raises(Stopped, match="Nobody waits"):
        store.fetch(long, stop=stop)
    assert store.fetch(select(literal_column("1"))) == [(1,)]


def test_a_query_that_needs_more_memory_than_it_may_use_says_so() -> None:
    store = DuckStore(None, memory="16MB", threads=1)
    greedy = select(func.list(literal_column("hash(range)::VARCHAR || range"))).select_from(text("range(3000000)"))
    with pytest.raises(StoreOutOfMemory, match=r"ask for less at a time, or raise HARU_EVENTS_MEMORY\.$"):
        store.fetch(greedy)
    assert store.fetch(select(literal_column("1"))) == [(1,)]


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[DuckStore], None]:
    """The disk fails once, under a load, and the file is opened again."""

    def fail(store: DuckStore) -> None:
        def failing(folder: Path) -> None:
            raise OSError(5, "Input/output error", str(folder))

        with monkeypatch.context() as patch:
            patch.setattr(duckdb_module, "sync_folder", failing)
            with pytest.raises(StoreUnavailable, match="Input/output error"):
                store.load([], Progress(9))
        assert store.progress() == Progress(9)

    return fail


def scanned(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[object, ...]]]:
    """A scan that has come as far as its first row."""
    monkeypatch.setattr(duckdb_module, "_SCANNED", 1)
    scan = store.scan(1, 0, 2 * NOON)
    assert len(next(scan)) == 1
    return scan


def test_a_scan_whose_database_is_let_go_says_that_the_store_is_unavailable(
    tmp_path: Path, fault: Callable[[DuckStore], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckStore(tmp_path / "e.duckdb")
    store.load(rows(event(), event()), Progress(2))
    scan = scanned(store, monkeypatch)
    fault(store)
    with pytest.raises(StoreUnavailable, match="it was closed while this ran, and is opened again: try again"):
        next(scan)


def test_a_query_that_was_cut_off_leaves_alone_the_database_that_was_opened_since(
    tmp_path: Path, fault: Callable[[DuckStore], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckStore(tmp_path / "e.duckdb")
    store.load(rows(event(), event()), Progress(2))
    later: list[Iterator[list[tuple[object, ...]]]] = []

    class Meanwhile(Stop):
        @contextlib.contextmanager
        def watching(self, interrupt: Callable[[], None]) -> Iterator[None]:
            fault(store)
            later.append(scanned(store, monkeypatch))
            yield

    with pytest.raises(StoreUnavailable):
        store.fetch(select(literal_column("1")), stop=Meanwhile())
    assert len(next(later[0])) == 1


def test_the_name_of_a_folder_is_not_taken_for_the_fault(tmp_path: Path) -> None:
    folder = tmp_path / "corrupt workspace"
    folder.mkdir()
    folder.joinpath("e.duckdb").mkdir()  # no file by this name can be opened
    with pytest.raises(StoreUnavailable, match="that this user may write there"):
        DuckStore(folder / "e.duckdb").open()
