"""Event stores of released versions, as text: how one is made of it, and how the text is made at a release.

What the engine says of a store and what the store answers, to be compared with another.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import chdb
import duckdb
import msgspec
import psycopg

from haru.events.columns import BLANK, NAMES, Row
from haru.events.ledger import RefusalCount
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.store.clickhouse.client import Address
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.duckdb.store import DuckStore
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Folding, Progress, Store
from tests import clickhouse_http, embedded, postgres
from tests.stats.made import DAY, ms

RELEASED = Path(__file__).parent.parent / "data" / "released"
ENGINES = ("duckdb", "postgresql", "clickhouse", "clickhouse over http")
VERSIONS = sorted(folder.name for folder in RELEASED.iterdir())

_numbers = count(1)

NOW = ms("2026-06-20 12:00")
ALL = {"date_range": ["2026-05-01", "2026-06-20"]}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"metrics": ["visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration", "views_per_visit"]},
    {"metrics": ["visitors", "events"], "dimensions": ["event:name"]},
    {"metrics": ["visitors", "pageviews"], "dimensions": ["event:page"]},
    {"metrics": ["visitors", "visits"], "dimensions": ["visit:source"]},
    {"metrics": ["visitors"], "dimensions": ["visit:entry_page"]},
    {"metrics": ["visits"], "dimensions": ["visit:country"], "filters": [["is", "visit:browser", ["Firefox"]]]},
    {"metrics": ["visitors"], "dimensions": ["time:day"]},
    {"metrics": ["events"], "dimensions": ["event:props:plan"]},
)

# What an engine says of its tables: names, types, what may be null, defaults, order, keys, indexes and clauses.
SCHEMA: dict[str, tuple[str, ...]] = {
    "duckdb": (
        "SELECT sql FROM duckdb_tables() ORDER BY table_name",
        "SELECT sql FROM duckdb_indexes() ORDER BY index_name",
        "SELECT table_name, column_index, column_name, data_type, is_nullable, column_default FROM duckdb_columns() "
        "WHERE NOT internal ORDER BY ALL",
        "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
        # Folded visits are no part of what a store is asked for.
        "FROM visit ORDER BY ALL",
        "FROM page ORDER BY ALL",
    ),
    "postgresql": (
        "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default, collation_name, "
        "datetime_precision FROM information_schema.columns WHERE table_schema = 'haru_events' ORDER BY 1, 2",
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'haru_events' ORDER BY 1, 2",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'haru_events'::regnamespace ORDER BY 1, 2",
        "SELECT relname, relkind, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid) FROM pg_class "
        "WHERE relnamespace = 'haru_events'::regnamespace ORDER BY 1",
    ),
    "clickhouse": (
        "SELECT name, replaceAll(create_table_query, currentDatabase(), 'db') FROM system.tables "
        "WHERE database = currentDatabase() ORDER BY name",
        "SELECT table, position, name, type, default_expression, is_in_partition_key, is_in_sorting_key "
        "FROM system.columns WHERE database = currentDatabase() ORDER BY table, position",
        "SELECT table, name, type, expr, granularity FROM system.data_skipping_indices "
        "WHERE database = currentDatabase() ORDER BY table, name",
    ),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store was given."""

    rows: list[Row]
    refusals: list[RefusalCount]
    progress: Progress

    def into(self, store: Store) -> None:
        """Load it."""
        store.load(self.rows, self.progress, self.refusals)


def loaded(version: str) -> Loaded:
    """What the stores of a release hold. A column that came later has what an event that says nothing of it has."""
    kept = json.loads((RELEASED / version / "loaded.json").read_text("utf-8"))
    blank = dict(zip(NAMES, BLANK, strict=True))
    return Loaded(
        [tuple((blank | row)[name] for name in NAMES) for row in kept["rows"]],
        [RefusalCount(**refusal) for refusal in kept["tallies"]],
        msgspec.convert(kept["progress"], Progress),
    )


def further(given: Loaded) -> Loaded:
    """What comes after that: the same visitors again, a day later."""
    step = given.progress.last_id
    rows = [dict(zip(NAMES, row, strict=True)) for row in given.rows]
    for row in rows:
        row |= {"id": row["id"] + step, "visit_id": row["visit_id"] + step, "occurred_at": row["occurred_at"] + DAY}
    positions = {name: position + 1 for name, position in given.progress.positions.items()}
    return Loaded([tuple(row.values()) for row in rows], given.refusals, Progress(2 * step, positions))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store of an engine is, one that may be opened again and again."""

    engine: str
    at: Any  # a file, a URL, or the address of chDB
    over: str = ""  # the address of the HTTP server before it

    def store(self) -> Store:
        """An object for it that is not open yet."""
        if self.engine == "duckdb":
            return DuckStore(self.at, threads=1)
        if self.engine == "postgresql":
            return PostgresStore(self.at)
        return ClickHouseStore(Address.parse(self.over) if self.over else self.at, threads=1, holder="1")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the engine, with no store between; none may be open."""
        if self.engine == "duckdb":
            with duckdb.connect(str(self.at)) as connection:
                return connection.execute(sql).fetchall()
        if self.engine == "postgresql":
            with psycopg.connect(self.at, options="-c search_path=haru_events", autocommit=True) as session:
                found = session.execute(sql)  # type: ignore[arg-type]
                return found.fetchall() if found.description else []
        return [tuple(row) for row in json.loads(_clickhouse(self.at, [sql], "JSONCompact") or '{"data": []}')["data"]]

    def restore(self, version: str) -> None:
        """Make the store of a release here."""
        folder = RELEASED / version
        if self.engine == "duckdb":
            with duckdb.connect(str(self.at)) as connection:
                connection.execute((folder / "duckdb" / "schema.sql").read_text("utf-8"))
                load = (folder / "duckdb" / "load.sql").read_text("utf-8")
                connection.execute(load.replace("{folder}", str(folder / "duckdb")))
        elif self.engine == "postgresql":
            with psycopg.connect(self.at) as session:
                session.execute((folder / "postgresql.sql").read_text("utf-8"))  # type: ignore[arg-type]
        else:
            text = (folder / "clickhouse.sql").read_text("utf-8").replace("{database}", self.at.database)
            _clickhouse(self.at, [f"CREATE DATABASE `{self.at.database}`"], "TSV", inside=False)
            _clickhouse(self.at, text.removesuffix(";\n").split(";\n"), "TSV")

    def dump(self, folder: Path) -> None:
        """Write the store as text, with the engine's own tool where it has one; it must not be open."""
        if self.engine == "duckdb":
            with duckdb.connect(str(self.at)) as connection:
                connection.execute(f"EXPORT DATABASE '{folder / 'duckdb'}'")
            load = folder / "duckdb" / "load.sql"
            load.write_text(load.read_text("utf-8").replace(str(folder / "duckdb"), "{folder}"), "utf-8")
        elif self.engine == "postgresql":
            (folder / "postgresql.sql").write_text(_dumped(self.at), "utf-8")
        else:
            (folder / "clickhouse.sql").write_text("".join(f"{s};\n" for s in self._statements()), "utf-8")

    def _statements(self) -> Iterator[str]:
        """ClickHouse has no tool for it."""
        for name, create in self.ask(
            "SELECT name, replaceAll(create_table_query, currentDatabase(), '{database}') FROM system.tables "
            "WHERE database = currentDatabase() ORDER BY name"
        ):
            yield create
            insert = f"SELECT * FROM {name} ORDER BY ALL FORMAT SQLInsert SETTINGS output_format_sql_insert_table_name"
            if rows := _clickhouse(self.at, [f"{insert} = '{name}'"], "SQLInsert"):
                yield rows.rstrip().removesuffix(";")


@contextmanager
def place(engine: str, folder: Path) -> Iterator[Place]:
    """A place for a store that nobody has used."""
    if engine == "duckdb":
        yield Place(engine, folder / f"events-{next(_numbers)}.duckdb")
    elif engine == "postgresql":
        yield Place(engine, postgres.shared().database())
    elif engine == "clickhouse":
        yield Place(engine, embedded.address())
    else:
        with clickhouse_http.bridge("Basic aGFydTpoYXJ1") as server:
            address = embedded.address()
            yield Place(engine, address, f"clickhouse://haru:haru@127.0.0.1:{server.server_port}/{address.database}")


def schema(at: Place) -> list[list[tuple[Any, ...]]]:
    """All that the engine says of a store's tables, and the version it is at; the store may not be open."""
    return [at.ask(sql) for sql in (*SCHEMA[at.engine.split()[0]], "SELECT max(number) FROM version")]


def content(store: Store) -> dict[str, Any]:
    """All that a store holds and answers."""
    if isinstance(store, Folding):
        while store.fold():
            pass
    reports, sites = Reports(store), sorted(store.sites())
    answers = {
        site: [reports.answer(StatsSite(site, "Europe/Berlin"), parse(ALL | query), NOW).rows for query in QUESTIONS]
        for site in sites
    }
    return {
        "rows": [row for some in store.scan(None, 0, NOW) for row in some],
        "progress": store.progress(),
        "refusal_counts": {site: store.refusal_counts(site, 0, NOW) for site in (0, *sites)},
        "visits": sorted(store.recent_visits(0), key=lambda visit: visit.id),
        "answers": answers,
    }


def _clickhouse(address: Address, statements: Iterable[str], form: str, *, inside: bool = True) -> str:
    with closing(chdb.connect(str(address.path))) as connection:
        for statement in [*([f"USE `{address.database}`"] if inside else []), *statements]:
            found = connection.query(statement, form)
        return (found.bytes() or b"").decode()


def _dumped(url: str) -> str:
    program = postgres.shared().programs / "pg_dump"
    given = ("--schema=haru_events", "--rows-per-insert=100", "--no-owner", "--no-privileges", "--no-comments")
    text = subprocess.run([program, *given, url], capture_output=True, check=True, text=True, timeout=60).stdout
    # What only psql, or only this version of the server, understands.
    kept = [
        line for line in text.splitlines() if line and not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog"))
    ]
    return "\n".join(kept) + "\n"
