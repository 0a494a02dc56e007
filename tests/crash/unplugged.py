"""`haru serve` whose writes and syncs are recorded, so that the power can be cut: `POWER_JOURNAL` names the record.

With `POWER_CARELESS` in the environment the spool does not sync, as a proof that the test would see it. `CRASH_AT` is
that of `tests.crash.killed`.
"""

from __future__ import annotations

import os
import sqlite3  # noqa: F401  # its library must be there to be listened to
import sys
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401  # the same

from haru import cli
from haru.spool.spool import Spool
from tests.crash import syscalls
from tests.crash.journal import Journal
from tests.crash.killed import arm

#: What a library must be seen to do, or the record would be worth nothing.
NEEDED = {"pwrite", "fdatasync", "open", "ftruncate", "unlink"}
PYTHONS_OWN = {"write", "fsync", "open", "rename", "unlink"}


def _library(*parts: str) -> Path:
    """The first of these that is a file of its own: what is not is built into the next."""
    for part in parts:
        try:
            return syscalls.loaded(part)
        except syscalls.NotReachable:
            continue
    raise syscalls.NotReachable(f"no library of this process is named {' or '.join(parts)}")


def listen() -> None:
    """Record what SQLite, DuckDB and Python itself do to the data folder. Raises `NotReachable`."""
    journal = Journal(Path(os.environ["HARU_DATA_DIR"]), Path(os.environ["POWER_JOURNAL"]))
    executable = Path(os.path.realpath(sys.executable)).name
    libraries = {
        _library("libsqlite3.so", "_sqlite3.", executable): NEEDED,
        _library("_duckdb.", "duckdb."): NEEDED,
        _library("libpython3", executable): PYTHONS_OWN,
    }
    taken = journal.listen(list(libraries))
    for library, needed in libraries.items():
        if missing := needed - taken[library.name]:
            raise syscalls.NotReachable(f"{library.name} makes no such calls: {', '.join(sorted(missing))}")


def _careless() -> None:
    opened = Spool.__init__

    def careless(self: Spool, *arguments: Any, **named: Any) -> None:
        opened(self, *arguments, **named)
        self._connection.execute("PRAGMA synchronous=OFF")

    Spool.__init__ = careless  # type: ignore[method-assign]


if __name__ == "__main__":
    listen()
    if "POWER_CARELESS" in os.environ:
        _careless()
    if "CRASH_AT" in os.environ:
        at, _, count = os.environ["CRASH_AT"].rpartition(":")
        arm(at, int(count))
    code: object = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # no call may come when Python is taken down
