"""The client of ClickHouse: addresses, settings and errors, on chDB and over HTTP, with chDB behind a small server."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from sqlalchemy import column, func, literal_column, select, table, text

from haru.events.ledger import RefusalCount
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.store.clickhouse.client import Address, ClickHouseClient
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.protocol import Progress, StoreHeld, StoreOutOfMemory, StoreUnavailable
from haru.store.stop import Stop, Stopped
from tests import embedded
from tests.clickhouse_http import Bridge, bridge
from tests.events.made import NOON, event, rows
from tests.store.clickhouse.made import EVENT, ids

AUTHORIZATION = "Basic " + base64.b64encode(b"haru:it's").decode()


@pytest.fixture
def server() -> Iterator[Bridge]:
    with bridge(AUTHORIZATION) as server:
        yield server


def address(server: Bridge, password: str = "it%27s") -> Address:
    host, port = server.server_address[:2]
    return Address.parse(f"clickhouse://haru:{password}@{host!s}:{port}/{embedded.address().database}")


def test_what_was_loaded_over_http_is_there_and_counted(server: Bridge) -> None:
    store = ClickHouseStore(address(server), threads=1, holder="1", name="one")
    odd = "a'b\"c\\ü😀\n%s{x:String}&=+"
    loaded = rows(event(path=odd, visitor=-1), event(path="/b", visitor=2**63 - 1))
    store.load(loaded, Progress(2, {odd: 7}), [RefusalCount(1, NOON, "bot", odd, 3)])
    assert store.progress() == Progress(2, {odd: 7})
    assert store.refusal_counts(1, 0, NOON * 2) == [RefusalCount(1, NOON, "bot", odd, 3)]
    assert [row for part in store.scan(1, 0, NOON * 2) for row in part] == loaded
    assert store.fetch(select(func.count()).select_from(table("event")).where(column("path") == odd)) == [(1,)]
    asked = parse({"metrics": ["visitors", "pageviews"], "date_range": "day"})
    assert Reports(store).answer(StatsSite(1, "UTC"), asked, NOON).rows[0].metrics == (2, 2)
    store.delete_site(1)
    assert store.recent_visits(0) == []
    store.close()


def test_every_insert_has_its_token_and_every_query_its_settings(server: Bridge) -> None:
    store = ClickHouseStore(address(server), threads=3, holder="1", name="one")
    store.load(rows(event()), Progress(1))
    inserts = [seen for seen in server.seen if "insert_deduplication_token" in seen]
    assert (
        len({seen["insert_deduplication_token"] for seen in inserts}) == 4
    )  # of the version, the epoch, its fence, the batch
    assert all(seen["insert_deduplicate"] == "1" for seen in inserts)
    store.fetch(select(literal_column("1")))
    last = server.seen[-1]
    assert (last["max_threads"], last["aggregate_functions_null_for_empty"], last["join_use_nulls"]) == ("3", "1", "1")
    assert "max_memory_usage" not in last
    assert "session_id" not in last
    store.close()


def test_a_query_over_http_is_killed_by_its_id(server: Bridge) -> None:
    store = ClickHouseStore(address(server))
    long = select(func.sum(literal_column("number % 7"))).select_from(text("system.numbers"))
    with pytest.raises(Stopped, match=r"limit of 0\.2 seconds"):
        store.fetch(long, stop=Stop(0.2))
    assert store.fetch(select(literal_column("1"))) == [(1,)]
    store.close()


def test_a_query_that_needs_more_memory_than_the_server_gives_it_says_so(server: Bridge) -> None:
    store = ClickHouseStore(where := address(server))
    store._client = ClickHouseClient(where, memory=50_000_000)  # as the profile of a server limits it
    greedy = select(func.count(func.distinct(literal_column("sipHash128(number)")))).select_from(
        text("numbers(20000000)")
    )
    with pytest.raises(StoreOutOfMemory, match="ask for less at a time, or give the server more memory"):
        store.fetch(greedy)
    assert store.fetch(select(literal_column("1"))) == [(1,)]
    store.close()


def test_a_second_server_is_refused_until_the_first_is_gone(server: Bridge) -> None:
    where = address(server)
    first, second = ClickHouseStore(where, holder="1", name="one"), ClickHouseStore(where, holder="2", name="two")
    first.acquire()
    assert first._lease._thread is not None  # it renews its lease
    with pytest.raises(StoreHeld, match=r"\(one\)"):
        second.acquire()
    first.close()
    second.acquire()
    second.close()


def test_a_wrong_password_is_told_without_showing_it(server: Bridge) -> None:
    with pytest.raises(StoreUnavailable, match="user, password and rights") as refused:
        ClickHouseStore(address(server, "geheim")).open()
    assert "geheim" not in str(refused.value)


def test_a_server_that_comes_back_is_used_again(server: Bridge) -> None:
    store = ClickHouseStore(address(server))
    store.load(rows(event()), Progress(1))
    server.authorization = "none"
    with pytest.raises(StoreUnavailable):
        store.load(rows(event()), Progress(2))
    server.authorization = AUTHORIZATION
    store.load(rows(event()), Progress(2))
    assert store.progress() == Progress(2)
    store.close()


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


def test_the_settings_of_a_cluster_are_known_to_the_engine(store: ClickHouseStore) -> None:
    names = [*ClickHouseClient(Address(host="h", cluster="c"), 1, 1)._settings]
    quoted = ", ".join(f"'{name}'" for name in names)
    assert store._client.query(f"SELECT count() FROM system.settings WHERE name IN ({quoted})") == [(len(names),)]
