"""Run as a program: the table of stored columns gets one more, with its migration, and an engine's stores are tried.

`python -m tests.released.added_column ENGINE FOLDER`
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path

# Before anything reads the table.
from haru.events import columns

columns.COLUMNS = (*columns.COLUMNS, ("tried", "VARCHAR"))
columns.NAMES = (*columns.NAMES, "tried")
columns.BLANK = (*columns.BLANK, "no")

from sqlalchemy import func, select

from haru.stats.sql.counters import EVENT
from haru.store.clickhouse import tables
from haru.store.duckdb import store as duckdb_store
from haru.store.migrations import Migration
from haru.store.postgres import store as postgres_store
from tests.released.stores import VERSIONS, Loaded, content, further, loaded, place, schema

DUCKDB = (
    "ALTER TABLE event ADD COLUMN tried VARCHAR DEFAULT 'no'",  # the engine adds no column with a constraint
    "ALTER TABLE event ALTER COLUMN tried SET NOT NULL",
)
POSTGRES = ("ALTER TABLE event ADD COLUMN tried text COLLATE \"C\" NOT NULL DEFAULT 'no'",)
CLICKHOUSE = (
    "ALTER TABLE `{}`.event ADD COLUMN IF NOT EXISTS tried LowCardinality(String) DEFAULT 'no' AFTER interactive"
)


def and_then(migrations: tuple[Migration, ...], *statements: str) -> tuple[Migration, ...]:
    """These migrations and a made-up next one."""
    return (*migrations, Migration(migrations[-1].number + 1, "a column", statements))


duckdb_store.MIGRATIONS = and_then(duckdb_store.MIGRATIONS, *DUCKDB)
postgres_store.MIGRATIONS = and_then(postgres_store.MIGRATIONS, *POSTGRES)
_clickhouse = tables.migrations
tables.migrations = lambda layout: and_then(_clickhouse(layout), CLICKHOUSE.format(layout.database))


def tried(given: Loaded) -> Loaded:
    """The same with a value in the new column."""
    return Loaded([(*row[:-1], "yes") for row in given.rows], given.refusals, given.progress)


def main(engine: str, folder: str) -> None:
    with ExitStack() as stack:
        upgraded, fresh, empty = (stack.enter_context(place(engine, Path(folder))) for _ in range(3))
        given = loaded(VERSIONS[-1])
        assert {row[-1] for row in given.rows} == {"no"}
        upgraded.restore(VERSIONS[-1])
        with closing(fresh.store()) as store:
            given.into(store)
        contents = []
        for at in (upgraded, fresh):
            with closing(at.store()) as store:
                tried(further(given)).into(store)
                counted = select(EVENT.c.tried, func.count()).group_by(EVENT.c.tried).order_by(EVENT.c.tried)
                assert store.fetch(counted) == [("no", len(given.rows)), ("yes", len(further(given).rows))]
                contents.append(content(store))
        assert contents[0] == contents[1]
        assert contents[0]["rows"] == [*given.rows, *tried(further(given)).rows]
        assert schema(upgraded) == schema(fresh)
        with closing(empty.store()) as store:
            store.open()  # and nothing is loaded before it is opened again
        with closing(empty.store()) as store:
            assert content(store)["rows"] == []
    print("added")


if __name__ == "__main__":
    main(*sys.argv[1:])
