"""Real ClickHouse for tests: chDB inside this process. It takes one folder a process, so each store has a database."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from haru.store.clickhouse.client import Address, ClickHouseClient
from haru.store.clickhouse.store import ClickHouseStore

_numbers = itertools.count(1)


@cache
def folder() -> Path:
    """The engine's folder; it goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="haru-chdb-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    engine = ClickHouseClient(Address(path))
    engine.query("SELECT 1")  # its client stays, so the engine does not start again for each test
    atexit.register(engine.close)
    return path


def address() -> Address:
    """A database that nobody has used."""
    return Address(folder(), database=f"haru_{next(_numbers)}")


def store(**options: Any) -> ClickHouseStore:
    """A store without events."""
    return ClickHouseStore(address(), threads=1, **options)
