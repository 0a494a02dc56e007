"""Files of the data folder: private, whole whatever is killed, and there after a loss of power."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

BUSY_SECONDS = 10.0  # how long one process waits for another's transaction


def keep_private() -> None:
    """Whatever file this process makes from now on is for its user alone, those that libraries make included."""
    os.umask(0o077)


class FileUnusable(Exception):
    """A file of the data folder cannot be used; the text says which, why, and what to do."""


@contextlib.contextmanager
def own(path: Path) -> Iterator[None]:
    """While a file that Haru makes itself is opened: what the system refuses becomes `FileUnusable`."""
    try:
        yield
    except OSError as error:
        raise FileUnusable(
            f"{path} cannot be used ({error.strerror or error}): see that this user may read and write it and that its "
            "disk has space. If something else lies there by that name, move it away: Haru makes it by itself."
        ) from error


def replace(path: Path, content: bytes, *, fresh: Path | None = None) -> None:
    """Give the file this content: a reader, and whoever comes after a loss of power, has the old or the new, whole.

    `fresh` is where the content is written first, and stays after a kill; by default a name of this process beside the
    file. Raises OSError.
    """
    fresh = fresh or _beside(path)
    _write(fresh, content)
    fresh.replace(path)
    sync_folder(path.parent)


def create(path: Path, content: bytes) -> None:
    """Make the file with this content, unless there is one: of two processes that race one does. Raises OSError."""
    fresh = _beside(path)
    _write(fresh, content)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    sync_folder(path.parent)


def database(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Open or make a SQLite file that several processes may write, one connection of one thread at a time.

    Transactions are begun by hand. `durable`: a commit is on the disk when it returns; else after a loss of power the
    last ones may be missing. Raises `sqlite3.Error` and OSError.
    """
    import sqlite3  # only where it is needed: every command knows this module

    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.new")


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the names of the files in the folder are on the disk: new, renamed and removed ones. Raises OSError.

    Most file systems keep a synced file's name without this; POSIX promises it with this only.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
