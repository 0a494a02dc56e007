"""Where an installation's spool and event store are, as its settings say."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

from haru.settings import EVENT_STORES, BadSetting, Settings, kept_secret
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Store

NODE_FILE = "node.id"  # the random text that tells this installation from every other


def event_store(settings: Settings) -> Store:
    """The event store that the settings name; it opens with the first question, or with `open`. Raises `BadSetting`."""
    return store_at(settings.events_url, settings)


def store_at(url: str, settings: Settings) -> Store:
    """The event store at an address as HARU_EVENTS_URL has it; "" is the data folder's own. Raises `BadSetting`."""
    # Only who uses a client loads it: they are not small.
    scheme = urlsplit(url).scheme
    if scheme in {"postgresql", "postgres"}:
        from haru.store.postgres.store import PostgresStore

        return PostgresStore(url)
    if scheme in {"clickhouse", "clickhouses", "chdb"}:
        return _clickhouse(url, settings)
    path = Path(url.removeprefix("duckdb://")) if url else settings.data_dir / "events.duckdb"
    if url and (not url.startswith("duckdb://") or not path.is_absolute()):
        known = ", ".join(form for form in EVENT_STORES.values() if form)
        raise BadSetting(f'"{scheme or url}" is no address of an event store: write one of {known}.')
    return DuckStore(path, settings.events_memory, settings.events_threads)


def _clickhouse(url: str, settings: Settings) -> Store:
    from haru.store.clickhouse.client import Address
    from haru.store.clickhouse.store import ClickHouseStore

    try:
        address = Address.parse(url)
    except ValueError as error:
        raise BadSetting(f"HARU_EVENTS_URL: {error}.") from None
    memory = int(settings.events_memory[:-2]) * {"MB": 1_000_000, "GB": 1_000_000_000}[settings.events_memory[-2:]]
    holder = kept_secret(settings.data_dir / NODE_FILE)
    return ClickHouseStore(address, memory, settings.events_threads, holder, socket.gethostname())


def installation(settings: Settings) -> str:
    """What this installation is called in the files of events that it writes: the same for as long as its data folder
    lives, wherever its stores are. It says nothing of the text it is made from. Raises `BadSetting`.
    """
    text = kept_secret(settings.data_dir / NODE_FILE)
    return hashlib.blake2b(text.encode(), digest_size=8, person=b"installation").hexdigest()
