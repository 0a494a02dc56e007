"""Where an installation's spool and event store are, as its settings say."""

from __future__ import annotations

from pathlib import Path

from haru.events.duckdb import DuckStore
from haru.events.spool import spool_name
from haru.events.store import Store
from haru.settings import BadSetting, Settings


def event_store(settings: Settings) -> Store:
    """The event store that the settings name; it opens with the first question, or with `open`."""
    return store_at(settings.events_url, settings)


def store_at(url: str, settings: Settings) -> Store:
    """The event store at an address, "" being the file in the data folder. Raises `BadSetting`."""
    path = Path(url.removeprefix("duckdb://")) if url else settings.data_dir / "events.duckdb"
    if url and (not url.startswith("duckdb://") or not path.is_absolute()):
        raise BadSetting(f"{url} is no address of an event store: give such as duckdb:///srv/haru/events.duckdb.")
    return DuckStore(path, settings.events_memory, settings.events_threads)


def spool_path(settings: Settings, worker: int = 0) -> Path:
    """Where the spool of a collect process lies; 0 is the server's own and that of commands."""
    return settings.data_dir / spool_name(worker)
