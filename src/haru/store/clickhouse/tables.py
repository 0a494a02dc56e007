"""The tables of the ClickHouse store: on one server (and in chDB), and on a cluster.

On a cluster each statement runs `ON CLUSTER`. Events lie in `event_local`, replicated inside a shard, and are written
and read through `event`, which sends a visitor's events to one shard. The small tables that say what is committed are
replicated on every node of every shard, so any node can answer for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from haru.events.columns import COLUMNS
from haru.store.migrations import Migration, read

_TYPES = {
    "BIGINT": "Int64",
    "SMALLINT": "Int16",
    "VARCHAR": "LowCardinality(String)",
    "TIMESTAMP": "DateTime64(3, 'UTC')",
    "BOOLEAN": "Bool",
}
# Texts with too many values for a dictionary to pay.
_FREE = {"path", "referrer", "utm_content", "utm_term", "props", "revenue_amount"}

# A row of a batch also holds the number of its batch: see `haru.store.clickhouse.store`.
EVENT: tuple[tuple[str, str], ...] = (
    *((name, "String" if name in _FREE else _TYPES[kind]) for name, kind in COLUMNS),
    ("batch", "UInt64"),
)
REFUSAL: tuple[tuple[str, str], ...] = (
    ("site_id", "Int64"),
    ("hour", "DateTime64(3, 'UTC')"),
    ("reason", "LowCardinality(String)"),
    ("detail", "LowCardinality(String)"),
    ("count", "Int64"),
    ("batch", "UInt64"),
)
PROGRESS: tuple[tuple[str, str], ...] = (
    ("epoch", "UInt64"),
    ("batch", "UInt64"),
    ("after", "UInt64"),
    ("last_id", "Int64"),
    ("positions", "Map(String, Int64)"),
)
LEASE: tuple[tuple[str, str], ...] = (
    ("epoch", "UInt64"),
    ("nonce", "String"),
    ("holder", "String"),
    ("name", "String"),
    ("released", "Bool"),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tables lie."""

    database: str
    cluster: str = ""  # "" is one server

    @property
    def on(self) -> str:
        """Comes after the name of what a statement changes."""
        return f" ON CLUSTER {name(self.cluster)}" if self.cluster else ""

    @property
    def events(self) -> str:
        """The table that holds the rows of events, for what is done to each shard."""
        return "event_local" if self.cluster else "event"

    def create_database(self) -> str:
        """The statement that makes the database."""
        return f"CREATE DATABASE IF NOT EXISTS {name(self.database)}{self.on}"


def name(text: str) -> str:
    """A name that was checked to be one (`haru.store.clickhouse.client.Address`), quoted."""
    return f"`{text}`"


def migrations(layout: Layout) -> tuple[Migration, ...]:
    """What brings the tables from one version to the next. Each statement may run again after it was cut short."""
    folder = Path(__file__).parent / "migrations" / ("cluster" if layout.cluster else "server")
    return read(folder, {"database": layout.database, "cluster": layout.cluster})


def drops(layout: Layout) -> list[str]:
    """The statements that remove the tables; the database stays, it may hold others."""
    tables = dict.fromkeys(("event", layout.events, "refusal", "progress", "lease", "version"))
    return [f"DROP TABLE IF EXISTS {name(layout.database)}.{name(table)}{layout.on} SYNC" for table in tables]


def delete(layout: Layout, table: str, where: str) -> str:
    """The statement that removes rows of a table for good; it returns when they are gone everywhere."""
    return f"ALTER TABLE {name(layout.database)}.{name(table)}{layout.on} DELETE WHERE {where}"
