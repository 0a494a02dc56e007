"""The ClickHouse store on chDB, the real engine inside this process."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from sqlalchemy import bindparam, column, func, literal_column, select, table, text

from haru.events.event import Origin
from haru.events.ledger import RefusalCount
from haru.events.visits import Visit
from haru.store.clickhouse import tables as ddl
from haru.store.clickhouse.client import Address, ClickHouseClient
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.protocol import Progress, StoreOutOfMemory, StoreTooNew, StoreUnavailable
from haru.store.stop import Stop, Stopped
from tests import embedded
from tests.events.made import MINUTE, NOON, event
from tests.store.test_duckdb import rows

EVENT = table("event")
IDS = select(column("id")).select_from(EVENT).order_by(column("id"))
CLUSTER = ddl.Layout("haru", "analytics")


@pytest.fixture
def store():  # type: ignore[no-untyped-def]
    store = embedded.store()
    yield store
    store.close()


def ids(store: ClickHouseStore) -> list[int]:
    return [id for (id,) in store.fetch(IDS)]


def test_rows_and_position_survive_closing(store: ClickHouseStore) -> None:
    odd = "a'b\"c\\ü😀\n%s{x:String}"
    store.load(
        rows(event(path=odd, props={odd: odd}, origin=Origin(city=-1)), event(interactive=False)),
        Progress(2, {"a'": 7}),
    )
    store.close()
    assert store.progress() == Progress(2, {"a'": 7})
    found = store.fetch(select(column("path"), column("interactive"), column("occurred_at")).select_from(EVENT))
    assert sorted((path, interactive) for path, interactive, _ in found) == [("/", False), (odd, True)]
    assert {at.isoformat() for *_, at in found} == {"2026-01-01T12:00:00"}


def test_the_largest_numbers_and_the_oldest_moments_are_kept(store: ClickHouseStore) -> None:
    old = event(at=-86_400_000, visitor=-(2**63), revenue_amount="0.10", engaged_ms=2**63 - 1)
    loaded = rows(old, event(at=4_102_444_800_001, visitor=2**63 - 1))
    store.load(loaded, Progress(2))
    assert [r for part in store.scan(None, -(10**9), 5 * 10**12) for r in part] == loaded


def test_a_batch_may_span_years(store: ClickHouseStore) -> None:
    month = 31 * 24 * 60 * MINUTE
    store.load(rows(*(event(at=NOON - number * month) for number in range(150))), Progress(150))
    assert len(ids(store)) == 150


def test_values_are_bound_and_never_become_sql(store: ClickHouseStore) -> None:
    for hostile in ("'; DROP TABLE event; --", "\\'; DROP TABLE event; --", "%(path)s %s", "{path:String}", "x\\"):
        store.load(rows(event(path=hostile)), Progress(1, {hostile: 1}))
        wanted = select(func.count()).select_from(EVENT).where(column("path") == bindparam("path"))
        assert store.fetch(wanted, {"path": hostile}) == [(1,)]
        many = select(func.count()).select_from(EVENT).where(column("path").in_(["x", hostile]))
        assert store.fetch(many) == [(1,)]
        assert store.fetch(select(func.count()).select_from(EVENT).where(func.strpos(column("path"), hostile) > 0)) == [
            (1,)
        ]
        assert store.fetch(text(store.sql(many))) == [(1,)]


def test_the_visits_of_some_visitors_come_whole(store: ClickHouseStore) -> None:
    origin = Origin(source="Google", country="DE")
    store.load(
        rows(event(NOON, visitor=5, origin=origin), event(NOON + 90 * MINUTE, visitor=5, origin=origin), visit=1)
        + rows(event(NOON, visitor=6), visit=7),
        Progress(9),
    )
    assert store.visits(1, [5], NOON + 60 * MINUTE, NOON + 100 * MINUTE) == [
        Visit(1, 1, 5, NOON, NOON + 90 * MINUTE, origin)
    ]
    assert store.visits(1, [6], NOON + MINUTE, NOON + 100 * MINUTE) == []
    assert store.visits(1, [], 0, NOON * 2) == []
    assert store.visits(2, [5, 6], 0, NOON * 2) == []
    assert [visit.id for visit in store.recent_visits(NOON + 90 * MINUTE)] == [1]


def test_refusals_are_added_up_by_hour(store: ClickHouseStore) -> None:
    bot, prefetch = RefusalCount(1, NOON, "bot", "GPTBot", 2), RefusalCount(1, NOON, "prefetch", "", 1)
    store.load([], Progress(0, {"a": 1}), [bot, bot, prefetch, RefusalCount(2, NOON, "bot", "", 9)])
    store.load([], Progress(0, {"a": 2}), [bot])
    assert store.refusal_counts(1, NOON, NOON + 1) == [RefusalCount(1, NOON, "bot", "GPTBot", 6), prefetch]
    assert store.refusal_counts(1, NOON + 1, NOON * 2) == []


def test_a_site_goes_with_its_events_and_its_ledger(store: ClickHouseStore) -> None:
    store.load(
        rows(event(), event(site_id=2)),
        Progress(2),
        [RefusalCount(1, NOON, "bot", "", 1), RefusalCount(2, NOON, "bot", "", 1)],
    )
    store.delete_site(1)
    assert ids(store) == [2]
    assert store.refusal_counts(1, 0, NOON * 2) == []
    assert store.refusal_counts(2, 0, NOON * 2) == [RefusalCount(2, NOON, "bot", "", 1)]
    assert store.progress() == Progress(2)


def test_a_store_that_was_destroyed_begins_empty(store: ClickHouseStore) -> None:
    store.load(rows(event()), Progress(1, {"a": 1}), [RefusalCount(1, NOON, "bot", "", 2)])
    store.destroy()
    assert (ids(store), store.progress(), store.refusal_counts(1, 0, NOON + 1)) == ([], Progress(), [])
    store.load(rows(event()), Progress(1, {"a": 1}))
    assert ids(store) == [1]


def test_a_scan_gives_rows_as_they_were_loaded_by_id(store: ClickHouseStore) -> None:
    loaded = rows(event(path="/a"), event(site_id=2), event(at=NOON + MINUTE, path="/b"))
    store.load(loaded, Progress(3))
    assert [list(part) for part in store.scan(1, NOON, NOON + MINUTE + 1)] == [[loaded[0], loaded[2]]]
    assert [r for part in store.scan(None, NOON, NOON + 1) for r in part] == loaded[:2]
    assert list(store.scan(1, 0, NOON)) == []


def test_a_scan_gives_some_thousands_at_a_time_and_may_be_left(store: ClickHouseStore) -> None:
    store.load(rows(*(event(at=NOON + n % 7, visitor=n % 13) for n in range(12_001))), Progress(12_001))
    parts = list(store.scan(1, 0, NOON * 2))
    assert max(map(len, parts)) <= 5_000
    assert [r[0] for part in parts for r in part] == list(range(1, 12_002))
    left = store.scan(1, 0, NOON * 2)
    next(left)
    left.close()
    assert len(list(store.scan(1, 0, NOON * 2))) >= 3


def test_a_query_ends_at_its_limit(store: ClickHouseStore) -> None:
    long = select(func.sum(literal_column("number % 7"))).select_from(text("system.numbers"))
    with pytest.raises(Stopped, match=r"limit of 0\.1 seconds"):
        store.fetch(long, stop=Stop(0.1))
    stop = Stop()
    threading.Timer(0.1, stop.cancel).start()
    with pytest.raises(Stopped, match="Nobody waits"):
        store.fetch(long, stop=stop)
    assert store.fetch(select(literal_column("1"))) == [(1,)]


def test_queries_run_side_by_side(store: ClickHouseStore) -> None:
    store.open()
    stop, ended = Stop(), threading.Event()

    def long() -> None:
        with pytest.raises(Stopped):
            store.fetch(select(func.sum(literal_column("number"))).select_from(text("system.numbers")), stop=stop)
        ended.set()

    thread = threading.Thread(target=long)
    thread.start()
    assert store.progress() == Progress()
    assert not ended.is_set()
    stop.cancel()
    thread.join()


def test_a_query_has_the_memory_and_the_cores_it_may_use() -> None:
    store = ClickHouseStore(embedded.address(), memory=50_000_000, threads=1)
    greedy = select(func.count(func.distinct(literal_column("sipHash128(number)")))).select_from(
        text("numbers(20000000)")
    )
    with pytest.raises(StoreOutOfMemory, match="ask for less at a time, or raise HARU_EVENTS_MEMORY"):
        store.fetch(greedy)
    limit = select(literal_column("getSetting('max_threads')"))
    assert store.fetch(limit) == [(1,)]
    store.close()


def test_a_fault_of_a_statement_is_no_fault_of_the_store(store: ClickHouseStore) -> None:
    with pytest.raises(DatabaseError):
        store.fetch(select(column("nothing")).select_from(EVENT))
    assert ids(store) == []


def test_a_folder_that_another_process_has_open_is_refused_with_the_remedy(store: ClickHouseStore) -> None:
    store.open()
    script = (
        "from pathlib import Path\nfrom haru.store.clickhouse.store import ClickHouseStore\n"
        "from haru.store.clickhouse.client import Address\n"
        f"ClickHouseStore(Address(Path({str(embedded.folder())!r}))).acquire()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "another program has the folder open" in done.stderr.splitlines()[-1]


def test_a_second_folder_in_one_process_is_refused_with_a_sentence(store: ClickHouseStore, tmp_path: Path) -> None:
    store.open()
    with pytest.raises(StoreUnavailable, match="a process has one chDB folder"):
        ClickHouseStore(Address(tmp_path / "other")).open()


def test_without_the_package_chdb_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_connect.driver._chdbclient", None)
    with pytest.raises(StoreUnavailable, match=r"pip install haru\[chdb\]"):
        ClickHouseStore(embedded.address()).open()


def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told() -> None:
    address = Address.parse("clickhouse://haru:geheim@127.0.0.1:1/events")
    with pytest.raises(
        StoreUnavailable, match=r"\(\[Errno 111\] Connection refused\): see that ClickHouse runs"
    ) as refused:
        ClickHouseStore(address).open()
    assert "geheim" not in str(refused.value)


def test_an_address_says_all_there_is_to_know() -> None:
    assert Address.parse("clickhouse://u%40x:p%2Fw@db.example.com/stats?cluster=c1&secure=true") == Address(
        host="db.example.com", port=8443, user="u@x", password="p/w", secure=True, database="stats", cluster="c1"
    )
    assert Address.parse("clickhouse://db") == Address(host="db")
    assert Address.parse("clickhouses://db:9440").port == 9440
    assert Address.parse("chdb:///var/lib/haru%20x/c?database=d") == Address(Path("/var/lib/haru x/c"), database="d")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("clickhouse:///x", "has no host"),
        ("clickhouse://h/a`b", "not a name"),
        ("clickhouse://h?cluster=a'b", "not a name"),
        ("clickhouse://h?colour=red", '"colour" is no option'),
        ("chdb://relative/path", "three slashes"),
        ("chdb:///", "three slashes"),
        ("chdb:///x?cluster=c", "leave off"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_a_sentence(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Address.parse(url)


def test_a_store_of_a_newer_program_is_refused_with_a_sentence(store: ClickHouseStore) -> None:
    store.open()
    store._client.command("INSERT INTO version (number, title) VALUES (99, 'from the future')")
    store.close()
    with pytest.raises(StoreTooNew, match="at version 99, made by a newer Haru"):
        store.open()


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


def test_the_settings_of_a_cluster_are_known_to_the_engine(store: ClickHouseStore) -> None:
    names = [*ClickHouseClient(Address(host="h", cluster="c"), 1, 1)._settings]
    quoted = ", ".join(f"'{name}'" for name in names)
    assert store._client.query(f"SELECT count() FROM system.settings WHERE name IN ({quoted})") == [(len(names),)]
