from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from haru import files
from haru.files import FileUnusable


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Whatever is private here is so by itself."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced and renamed, in order."""
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        done.append("name")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return done


def test_a_file_is_replaced_whole_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "sites.json"
    for content in (b"old", b"new"):
        files.replace(path, content)
        assert path.read_bytes() == content
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_content_is_on_the_disk_before_it_has_the_name_and_the_name_before_the_return(
    tmp_path: Path, steps: list[str]
) -> None:
    files.replace(tmp_path / "sites.json", b"new")
    assert steps == ["content", "name", "folder"]


def test_a_disk_that_takes_no_more_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sites.json"
    files.replace(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(path, b"new")
    assert path.read_bytes() == b"old"


def test_what_is_written_first_has_the_name_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = tmp_path / "salts.new"

    def killed(path: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        files.replace(tmp_path / "salts.json", b"{}", fresh=fresh)
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_file_is_made_once_and_for_its_user_alone(tmp_path: Path, steps: list[str]) -> None:
    path = tmp_path / "secret.key"
    files.create(path, b"first")
    assert steps == ["content", "folder"]
    files.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_a_database_is_for_its_user_alone_and_as_durable_as_asked(tmp_path: Path, durable: bool, level: int) -> None:
    connection = files.database(tmp_path / "spool.sqlite3", durable=durable)
    connection.execute("CREATE TABLE batch (id INTEGER PRIMARY KEY)")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert {path.name: oct(mode(path)) for path in tmp_path.iterdir() if mode(path) != 0o600} == {}
    other = files.database(tmp_path / "spool.sqlite3")
    assert other.execute("SELECT count(*) FROM batch").fetchone() == (0,)
    other.close()
    connection.close()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        files.database(path)
    with pytest.raises(OSError, match="No such file"):
        files.database(tmp_path / "missing" / "spool.sqlite3")


def test_a_file_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "sites.json"
    path.mkdir()
    with pytest.raises(FileUnusable, match=r"sites\.json cannot be used.*move it away"), files.own(path):
        files.replace(path, b"new")
