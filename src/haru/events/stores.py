"""Where an installation's spool and event store are, as its settings say."""

from __future__ import annotations

from pathlib import Path

from haru.events.duckdb import DuckStore
from haru.settings import Settings


def event_store(settings: Settings) -> DuckStore:
    """The event store that the settings name. Raises `StoreUnavailable`."""
    path = Path(settings.events_url.removeprefix("duckdb://")) if settings.events_url else None
    return DuckStore(path or settings.data_dir / "events.duckdb", settings.events_memory, settings.events_threads)


def spool_path(settings: Settings) -> Path:
    """Where the spool lies."""
    return settings.data_dir / "spool.sqlite3"
