"""Where an installation's spool and event store are, as its settings say."""

from __future__ import annotations

from pathlib import Path

from haru.events.duckdb import DuckStore
from haru.events.postgres import PostgresStore
from haru.events.spool import spool_name
from haru.events.store import Store
from haru.settings import Settings


def event_store(settings: Settings) -> Store:
    """The event store that the settings name; it opens with the first question, or with `open`."""
    scheme = settings.events_url.partition(":")[0]
    if scheme in {"postgresql", "postgres"}:
        return PostgresStore(settings.events_url)
    path = Path(settings.events_url.removeprefix("duckdb://")) if settings.events_url else None
    return DuckStore(path or settings.data_dir / "events.duckdb", settings.events_memory, settings.events_threads)


def spool_path(settings: Settings, worker: int = 0) -> Path:
    """Where the spool of a collect process lies; 0 is the server's own and that of commands."""
    return settings.data_dir / spool_name(worker)
