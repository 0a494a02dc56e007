"""The tables of the ClickHouse store: on one server (and in chDB), and on a cluster.

On a cluster each statement runs `ON CLUSTER`. Events lie in `event_local`, replicated inside a shard, and are written
and read through `event`, which sends a visitor's events to one shard. The small tables that say what is committed are
replicated on every node of every shard, so any node can answer for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from haru.events.columns import COLUMNS
from haru.store.migrations import Migration

DEDUPLICATED = 10_000  # inserts that a table remembers by their token, in each partition

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

    def table(self, table: str, columns: str, kind: str, clauses: str, *, sharded: bool = False) -> str:
        """The statement that makes one table of the MergeTree family."""
        engine, arguments = kind[:-1].split("(") if kind.endswith(")") else (kind, "")
        if self.cluster:
            shard, replica = ("{shard}", "{replica}") if sharded else ("all", "{shard}-{replica}")
            path = f"/clickhouse/tables/{shard}/{self.database}/{table}"
            engine = f"Replicated{engine}"
            arguments = ", ".join(filter(None, [f"'{path}'", f"'{replica}'", arguments]))
            window = f"replicated_deduplication_window = {DEDUPLICATED}"
        else:
            window = f"non_replicated_deduplication_window = {DEDUPLICATED}"
        # A part is on the disk, not in the page cache, before an insert is answered: the spool lets go of it then.
        return (
            f"CREATE TABLE IF NOT EXISTS {name(self.database)}.{name(table)}{self.on} ({columns}) "
            f"ENGINE = {engine}({arguments}) {clauses} "
            f"SETTINGS {window}, fsync_after_insert = 1, fsync_part_directory = 1"
        )


def name(text: str) -> str:
    """A name that was checked to be one (`haru.store.clickhouse.client.Address`), quoted."""
    return f"`{text}`"


def _columns(columns: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name(column)} {kind}" for column, kind in columns)


def create_version(layout: Layout) -> str:
    """The statement that makes the table of migrations, which is there before any of them."""
    columns = "number UInt32, title String, at DateTime64(3, 'UTC') DEFAULT now64(3)"
    return layout.table("version", columns, "MergeTree", "ORDER BY number")


def migrations(layout: Layout) -> tuple[Migration, ...]:
    """What brings the tables from one version to the next. Each statement may run again after it was cut short."""
    indices = "".join(
        f", INDEX {column}_range {column} TYPE minmax GRANULARITY 4" for column in ("id", "visit_id", "batch")
    )
    first = [
        layout.table(
            layout.events,
            _columns(EVENT) + indices,
            "MergeTree",
            "PARTITION BY toYYYYMM(occurred_at) ORDER BY (site_id, toDate32(occurred_at), visitor_id, visit_id, id)",
            sharded=True,
        ),
        layout.table(
            "refusal",
            _columns(REFUSAL) + ", INDEX batch_range batch TYPE minmax GRANULARITY 4",
            "MergeTree",
            "PARTITION BY toYYYYMM(hour) ORDER BY (site_id, hour, reason, detail)",
        ),
        # Of each epoch the row of its last batch stays.
        layout.table("progress", _columns(PROGRESS), "ReplacingMergeTree(batch)", "ORDER BY epoch"),
        layout.table(
            "lease",
            _columns(LEASE) + ", at DateTime64(3, 'UTC') DEFAULT now64(3)",
            "ReplacingMergeTree(at)",
            "ORDER BY (epoch, nonce)",
        ),
    ]
    if layout.cluster:
        first.insert(
            1,
            f"CREATE TABLE IF NOT EXISTS {name(layout.database)}.event{layout.on} AS "
            f"{name(layout.database)}.{layout.events} ENGINE = Distributed({name(layout.cluster)}, "
            f"{name(layout.database)}, {layout.events}, cityHash64(visitor_id))",
        )
    return (Migration(1, "events, progress, refusals, lease", tuple(first)),)


def drops(layout: Layout) -> list[str]:
    """The statements that remove the tables; the database stays, it may hold others."""
    tables = dict.fromkeys(("event", layout.events, "refusal", "progress", "lease", "version"))
    return [f"DROP TABLE IF EXISTS {name(layout.database)}.{name(table)}{layout.on} SYNC" for table in tables]


def delete(layout: Layout, table: str, where: str) -> str:
    """The statement that removes rows of a table for good; it returns when they are gone everywhere."""
    return f"ALTER TABLE {name(layout.database)}.{name(table)}{layout.on} DELETE WHERE {where}"
