"""Connections to PostgreSQL: what is refused says what to do, and a server that comes back is used again."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from sqlalchemy import func, literal_column, select

from haru.events.columns import Row
from haru.store.postgres import pool
from haru.store.postgres import store as module
from haru.store.postgres.pool import Canceller, Connection, Connections, deadline
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Progress, StoreOutOfMemory, StoreUnavailable
from tests.events.made import NOON, event, rows
from tests.postgres import Cluster, cluster
from tests.store.postgres.made import EVENT, LONG, ids


def test_the_sum_of_whole_numbers_is_one(store: PostgresStore) -> None:
    store.load(rows(event(), event()), Progress(2))
    ((total,),) = store.fetch(select(func.sum(EVENT.c.id)))
    assert (type(total), total) == (int, 3)
    ((half,),) = store.fetch(select(literal_column("-1.50::numeric")))
    assert str(half) == "-1.50"


@pytest.mark.parametrize("code", ["53200", "53400"])  # of memory, and of the files that hold what memory does not
def test_a_query_that_needs_more_memory_than_the_server_gives_it_says_so(
    store: PostgresStore, database: str, code: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION public.greedy() RETURNS int LANGUAGE plpgsql AS "
            f"$$BEGIN RAISE 'there is no more' USING ERRCODE = '{code}'; END$$"
        )
    with pytest.raises(StoreOutOfMemory, match="ask for less at a time, or give the database server more memory"):
        store.fetch(select(literal_column("public.greedy()")))
    assert store.fetch(select(literal_column("1"))) == [(1,)]


def test_more_questions_at_once_than_connections_are_all_answered(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 2)
    answers: list[Row] = []
    slow = select(func.pg_sleep(0.5))
    threads = [threading.Thread(target=lambda: answers.extend(store.fetch(slow))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgresql://haru@/nowhere?host=/nonexistent", "see that PostgreSQL runs"),
        ("postgresql://haru@127.0.0.1:1/haru", "see that PostgreSQL runs"),
        ("postgres://haru@name.invalid/haru", "see that PostgreSQL runs"),
    ],
)
def test_a_server_that_is_not_there_is_told_at_once(url: str, remedy: str) -> None:
    store = PostgresStore(url)
    for work in (store.open, store.progress, store.acquire, lambda: store.fetch(LONG)):
        with pytest.raises(StoreUnavailable, match=remedy):
            work()
    store.close()


def test_what_the_server_refuses_is_told_with_its_remedy(postgres: Cluster, database: str) -> None:
    with pytest.raises(StoreUnavailable, match="make the database with createdb"):
        PostgresStore(postgres.url("nowhere")).open()
    with pytest.raises(StoreUnavailable, match="see the user and the password"):
        PostgresStore(make_conninfo(database, user="nobody_here")).open()
    with psycopg.connect(database) as connection:
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN")
    with pytest.raises(StoreUnavailable, match="GRANT CREATE ON DATABASE"):
        PostgresStore(make_conninfo(database, user="poor")).open()
    with pytest.raises(StoreUnavailable, match="name the one that writes"):
        PostgresStore(make_conninfo(database, options="-c default_transaction_read_only=on")).open()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreUnavailable, match="--encoding UTF8"):
        PostgresStore(postgres.url("latin")).open()


def test_a_server_that_was_stopped_and_killed_is_taken_up_again_by_the_same_store() -> None:
    with cluster() as server:
        store = PostgresStore(server.database())
        store.load(rows(event()), Progress(1))
        for turn, end in enumerate((server.stop, server.kill), 2):
            end()
            row = [(turn, *rows(event())[0][1:])]
            for work in (
                store.progress,
                lambda: ids(store),
                lambda: store.load(row, Progress(turn)),  # noqa: B023
                lambda: list(store.scan(None, 0, NOON * 2)),
            ):
                with pytest.raises(StoreUnavailable):
                    work()
            server.start()
            assert store.progress() == Progress(turn - 1)
            store.load(row, Progress(turn))
            assert ids(store) == [(number + 1,) for number in range(turn)]
        store.close()


def test_a_server_that_froze_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAIT_SECONDS", "CHECK_SECONDS"):
        monkeypatch.setattr(pool, name, 0.5)
    monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.5)
    with cluster() as server:
        store = PostgresStore(server.database())
        store.load(rows(event()), Progress(1))
        store.progress()
        assert len(server.sessions()) >= 2
        with server.frozen():
            for work in (store.progress, lambda: store.load([(2, *rows(event())[0][1:])], Progress(2))):
                with pytest.raises(StoreUnavailable):
                    work()
        store.load([(2, *rows(event())[0][1:])], Progress(2))
        assert ids(store) == [(1,), (2,)]
        store.close()


def test_a_connection_is_given_up_at_its_deadline_and_never_after_it(database: str) -> None:
    connections = Connections(database, lambda connection: None)
    with connections.connect() as connection, pytest.raises(psycopg.OperationalError), deadline(connection, 0.1):
        connection.execute("SELECT pg_sleep(60)")
    with connections.connect() as connection:
        with deadline(connection, 0.1):
            pass
        assert connection.execute("SELECT 1 FROM pg_sleep(0.3)").fetchone() == (1,)
    connections.close()


def test_a_canceller_ends_what_runs_in_its_block_and_nothing_later(database: str) -> None:
    connections = Connections(database, lambda connection: None)
    with connections.connect() as connection:
        with pytest.raises(errors.QueryCanceled), Canceller(connection) as canceller:
            threading.Timer(0.1, canceller.cancel).start()
            connection.execute("SELECT pg_sleep(60)")
        canceller._cancel()
        canceller.abort()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    connections.close()


def test_the_tables_are_seen_to_once_and_before_the_first_connection_is_used(database: str) -> None:
    prepared: list[str] = []

    def prepare(connection: Connection) -> None:
        prepared.append("prepared")

    connections = Connections(database, prepare)
    assert prepared == []
    for _ in range(2):
        with connections.taken() as connection:
            assert prepared == ["prepared"]
            assert connection.execute("SHOW search_path").fetchone() == (pool.SCHEMA,)
    connections.close()


def test_what_the_operator_writes_into_the_address_prevails(database: str) -> None:
    connections = Connections(make_conninfo(database, options="-c work_mem=1MB"), lambda connection: None)
    with connections.connect("a name") as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("1MB",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        assert connection.execute("SHOW application_name").fetchone() == ("a name",)
    connections.close()


def test_a_server_that_is_too_old_is_refused_with_a_sentence(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "OLDEST", 990000)
    with pytest.raises(StoreUnavailable, match="Haru needs 14 or newer"):
        Connections(database, lambda connection: None).open()
