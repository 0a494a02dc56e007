"""Real ClickHouse for tests: chDB inside this process. It takes one folder a process, so each store has a database."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from haru.events.clickhouse import ClickHouseStore
from haru.events.clickhouse_client import Address, Door
from haru.events.event import COLUMNS
from haru.events.store import Progress

_numbers = itertools.count(1)


@cache
def folder() -> Path:
    """The engine's folder; it goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="haru-chdb-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    engine = Door(Address(path))
    engine.query("SELECT 1")  # its client stays, so the engine does not start anew for each test
    atexit.register(engine.close)
    return path


def address() -> Address:
    """A database that nobody has used."""
    return Address(folder(), database=f"haru_{next(_numbers)}")


def store(**options: Any) -> ClickHouseStore:
    """A store without events."""
    return ClickHouseStore(address(), threads=1, **options)


@cache
def _shared() -> ClickHouseStore:
    return store()


def filled(events: list[dict[str, Any]]) -> ClickHouseStore:
    """A store with these events and no others, as `tests.stats.made.filled`; the next call empties it."""
    shared = _shared()
    shared.hold()
    shared._door.command("TRUNCATE TABLE event")
    rows = [tuple(event[name] for name, _ in COLUMNS) for event in sorted(events, key=lambda event: event["id"])]
    shared.load(rows, Progress(max([0, *(row[0] for row in rows)]), {"filled": next(_numbers)}))
    return shared
