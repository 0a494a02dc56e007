"""The tables of the ClickHouse store, of one server and of a cluster."""

from __future__ import annotations

import pytest

from haru.store.clickhouse import tables as ddl
from haru.store.clickhouse.client import Address, ClickHouseClient
from haru.store.clickhouse.store import ClickHouseStore
from tests import embedded

CLUSTER = ddl.Layout("haru", "analytics")


def schema(store: ClickHouseStore) -> list[tuple[object, ...]]:
    return store._client.query(
        "SELECT name, replaceAll(create_table_query, currentDatabase(), 'db') FROM system.tables "
        "WHERE database = currentDatabase() ORDER BY name"
    )


def test_a_store_whose_migration_was_cut_short_is_like_a_fresh_one(store: ClickHouseStore) -> None:
    store.open()
    fresh = schema(store)
    assert [name for name, _ in fresh] == ["event", "lease", "progress", "refusal", "version"]
    cut = embedded.store()
    (first, *_) = ddl.migrations(cut._layout)
    for statement in first.statements[:2]:
        cut._client.command(statement)
    cut.open()
    assert schema(cut) == fresh
    cut.close()


def every_statement(layout: ddl.Layout) -> list[str]:
    steps = [statement for migration in ddl.migrations(layout) for statement in migration.statements]
    where = "(batch > 1 AND batch < 9)"
    return [
        layout.create_database(),
        *steps,
        ddl.delete(layout, layout.events, where),
        ddl.delete(layout, "refusal", where),
        *ddl.drops(layout),
    ]


@pytest.mark.parametrize("number", range(len(every_statement(CLUSTER))))
def test_the_engine_understands_what_is_said_to_a_cluster(store: ClickHouseStore, number: int) -> None:
    statement = every_statement(CLUSTER)[number]
    assert " ON CLUSTER `analytics`" in statement
    store._client.query(f"EXPLAIN AST {statement}")
    ((written,),) = store._client.query(f"SELECT formatQuery('{statement.replace(chr(39), chr(92) + chr(39))}')")
    assert "ON CLUSTER analytics" in written


def test_on_a_cluster_events_are_replicated_and_sharded_by_visitor() -> None:
    version, local, distributed, *control = [s for s in every_statement(CLUSTER) if s.startswith("CREATE TABLE")]
    assert "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/haru/event_local', '{replica}')" in local
    assert "ENGINE = Distributed(`analytics`, `haru`, event_local, cityHash64(visitor_id))" in distributed
    for statement in (version, *control):
        assert "'/clickhouse/tables/all/haru/" in statement
        assert "'{shard}-{replica}'" in statement
    settings = ClickHouseClient(Address(host="h", cluster="analytics"))._settings
    assert settings["insert_quorum"] == "auto"
    assert settings["select_sequential_consistency"] == 1
    assert settings["distributed_foreground_insert"] == 1


def test_what_is_inserted_has_the_names_and_the_types_of_the_tables(store: ClickHouseStore) -> None:
    store.open()
    kept = {"event": ddl.EVENT, "refusal": ddl.REFUSAL, "progress": ddl.PROGRESS, "lease": ddl.LEASE}
    for table, columns in kept.items():
        found = store._client.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
            f"AND table = '{table}' AND default_kind = '' ORDER BY position"
        )
        assert found == list(columns), table
