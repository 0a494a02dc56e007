from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from haru.spool import spool as spool_module
from haru.spool.spool import Spool, Spools, SpoolUnavailable
from tests.events.made import event


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite3")


def test_events_come_back_in_the_order_of_arrival(spool: Spool) -> None:
    spool.append([event(path="/a"), event(path="/b", props={"plan": "pro"})])
    spool.append([event(path="/c")])
    first, second = spool.read(0, 10)
    assert [event.path for event in first.body.events + second.body.events] == ["/a", "/b", "/c"]
    assert first.body.events[1].props == {"plan": "pro"}
    assert (first.id, second.id) == (1, 2)
    assert [batch.id for batch in spool.read(1, 1)] == [2]
    assert [batch.id for batch in spool.read(0, 2)] == [1]  # it has the two events that were asked for


def test_ids_are_never_used_again(spool: Spool) -> None:
    spool.append([event(), event()])
    spool.acknowledge(1)
    assert spool.depth() == 0
    spool.append([event()])
    assert [batch.id for batch in spool.read(0, 10)] == [2]


def test_a_new_spool_beside_an_old_store_gives_ids_above_the_stores(spool: Spool) -> None:
    spool.start_after(41)
    spool.append([event()])
    assert [batch.id for batch in spool.read(41, 10)] == [42]


def test_marks_and_events_are_written_together_or_not_at_all(spool: Spool) -> None:
    with pytest.raises(ZeroDivisionError), spool.transaction() as transaction:
        transaction.append([event()])
        transaction.add_import_checkpoint(1, b"digest", 1000)
        raise ZeroDivisionError
    assert spool.depth() == 0
    assert spool.import_checkpoints(1) == {}
    with spool.transaction() as transaction:
        transaction.append([event()])
        transaction.add_import_checkpoint(1, b"digest", 1000)
    assert spool.depth() == 1
    assert spool.import_checkpoints(1) == {1000: {b"digest"}}
    assert spool.import_checkpoints(2) == {}


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Spool(tmp_path / "spool.sqlite3").append([event()])
    assert stat.S_IMODE((tmp_path / "spool.sqlite3").stat().st_mode) == 0o600


def test_a_spool_that_cannot_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite3").write_bytes(b"this is no database, but it is long enough to look like one" * 20)
    with pytest.raises(SpoolUnavailable, match="see that the data folder's disk has space"):
        Spool(tmp_path / "spool.sqlite3")


def test_another_process_may_write_to_the_same_spool(tmp_path: Path, spool: Spool) -> None:
    other = Spool(tmp_path / "spool.sqlite3")
    spool.append([event(path="/server")])
    other.append([event(path="/import")])
    assert [event.path for event in spool.events()] == ["/server", "/import"]


def test_the_write_ahead_log_stays_small_while_the_store_takes_events(tmp_path: Path, spool: Spool) -> None:
    reader = Spool(tmp_path / "spool.sqlite3", durable=False)
    for number in range(400):
        spool.append([event(props={"x": "y" * 1000}) for _ in range(200)])
        reader.acknowledge(number)
    assert (tmp_path / "spool.sqlite3-wal").stat().st_size < 80_000_000
    assert (tmp_path / "spool.sqlite3").stat().st_size < 20_000_000


def test_spools_are_read_together_by_the_moment_of_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_000
    monkeypatch.setattr(spool_module, "now_ms", lambda: moment)
    one, two = Spool(tmp_path / "spool-1.sqlite3"), Spool(tmp_path / "spool-2.sqlite3")
    for number, file in enumerate((two, one, one, two)):
        moment += 1
        file.append([event(path=f"/{number}")])
    spools = Spools(tmp_path)
    found = spools.read({}, 100)
    assert [batch.body.events[0].path for _, batch in found] == ["/0", "/1", "/2", "/3"]
    assert spools.waiting() == (4, 1001)
    spools.acknowledge({one.name: 2, two.name: 1})
    assert [event.path for event in two.events()] == ["/3"]
    assert spools.depth() == 1
    later = Spool(tmp_path / "spool.sqlite3")
    later.append([event(path="/later")])
    assert spools.depth() == 2  # one that came later is found


def test_a_spool_that_was_lost_and_made_anew_is_another_spool(tmp_path: Path) -> None:
    first = Spool(tmp_path / "spool.sqlite3").name
    assert Spool(tmp_path / "spool.sqlite3").name == first
    for path in tmp_path.iterdir():
        path.unlink()
    assert Spool(tmp_path / "spool.sqlite3").name != first


def test_the_commit_is_durable_not_merely_written(spool: Spool, tmp_path: Path) -> None:
    # 2 is FULL: SQLite syncs the write-ahead log at each commit.
    assert spool._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert sqlite3.connect(tmp_path / "spool.sqlite3").execute("PRAGMA journal_mode").fetchone() == ("wal",)
