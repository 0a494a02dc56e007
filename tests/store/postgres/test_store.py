from __future__ import annotations

import socket
import subprocess
import sys
import threading

import psycopg
import pytest
from sqlalchemy import DateTime, Interval, bindparam, column, literal, literal_column, select

from haru.events.columns import Row
from haru.events.event import Origin
from haru.events.ledger import RefusalCount
from haru.events.visits import Visit
from haru.store.migrations import Migration
from haru.store.postgres import store as module
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Progress, StoreHeld, StoreTooNew, StoreUnavailable
from haru.store.stop import Stop, Stopped
from tests.events.made import MINUTE, NOON, event, rows
from tests.postgres import Cluster
from tests.store.postgres.made import DAY, EVENT, LONG, ids


def test_rows_and_position_survive_closing(store: PostgresStore, database: str) -> None:
    odd = "a'b\"c\\ü😀\n\t\\N\\."
    store.load(
        rows(event(path=odd, props={odd: odd}, origin=Origin(city=-1)), event(interactive=False)), Progress(2, {"a": 7})
    )
    store.close()
    other = PostgresStore(database)
    assert other.progress() == Progress(2, {"a": 7})
    found = other.fetch(select(EVENT.c.path, EVENT.c.interactive, EVENT.c.occurred_at))
    assert sorted((path, interactive) for path, interactive, _ in found) == [("/", False), (odd, True)]
    assert {at.isoformat() for *_, at in found} == {"2026-01-01T12:00:00"}
    other.close()


def test_a_load_that_fails_leaves_neither_rows_nor_position_nor_partition(store: PostgresStore) -> None:
    good = rows(event())
    later = rows(event(at=NOON + 90 * DAY))
    bad = [(*later[0][:7], None, *later[0][8:])]  # a null where none may be
    store.load(good, Progress(1))
    with pytest.raises(psycopg.errors.NotNullViolation):
        store.load(bad, Progress(2), [RefusalCount(1, NOON, "bot", "", 1)])
    assert store.progress() == Progress(1)
    assert ids(store) == [(1,)]
    assert store.refusal_counts(1, 0, NOON * 2) == []
    store.load([(2, *later[0][1:])], Progress(2))  # the month is made again
    assert ids(store) == [(1,), (2,)]


def test_an_event_that_is_there_is_not_stored_again(store: PostgresStore) -> None:
    store.load(rows(event()), Progress(1))
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.load(rows(event()), Progress(2))
    assert ids(store) == [(1,)]


def test_the_ledger_adds_up(store: PostgresStore) -> None:
    one = RefusalCount(4, NOON, "bot", "GPTBot", 2)
    store.load([], Progress(0, {"a": 1}), [one, one, RefusalCount(0, NOON, "invalid", "", 1)])
    store.load([], Progress(0, {"a": 2}), [one, RefusalCount(4, NOON - 60 * MINUTE, "bot", "", 1)])
    assert store.refusal_counts(4, 0, NOON + 1) == [
        RefusalCount(4, NOON - 60 * MINUTE, "bot", "", 1),
        RefusalCount(4, NOON, "bot", "GPTBot", 6),
    ]
    assert store.refusal_counts(4, 0, NOON) == [RefusalCount(4, NOON - 60 * MINUTE, "bot", "", 1)]


def test_values_are_bound_and_never_become_sql(store: PostgresStore) -> None:
    odd = "'; DROP TABLE event; -- %s %(x)s \\"
    store.load(rows(event(path=odd)), Progress(1))
    assert store.fetch(select(EVENT.c.id).where(EVENT.c.path == bindparam("path")), {"path": odd}) == [(1,)]
    assert store.fetch(select(EVENT.c.id).where(EVENT.c.path.in_(["x", odd]))) == [(1,)]
    assert store.fetch(select(EVENT.c.id).where(EVENT.c.path == literal_column("'100%'"))) == []


def test_the_visits_of_some_visitors_come_whole(store: PostgresStore) -> None:
    origin = Origin(source="Google", country="DE", city=7)
    loaded = [
        *rows(event(NOON, visitor=5, origin=origin), event(NOON + 90 * MINUTE + 7, visitor=5, origin=origin)),
        *((3, *row[1:]) for row in rows(event(NOON, visitor=6), visit=7)),
    ]
    store.load(loaded, Progress(9))
    assert store.visits(1, [5], NOON + 60 * MINUTE, NOON + 100 * MINUTE) == [
        Visit(1, 1, 5, NOON, NOON + 90 * MINUTE + 7, origin)
    ]
    assert store.visits(1, [6], NOON + MINUTE, NOON + 100 * MINUTE) == []
    assert store.visits(1, [], 0, NOON * 2) == []
    assert store.visits(2, [5, 6], 0, NOON * 2) == []
    assert [visit.id for visit in store.recent_visits(NOON + 90 * MINUTE)] == [1]


def test_a_scan_gives_rows_as_they_were_loaded_by_id(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCANNED", 2)
    loaded = rows(
        event(path="/a", at=NOON + 40 * DAY), event(site_id=2), event(at=NOON + MINUTE, path="/b"), event(path="/c")
    )
    store.load(loaded, Progress(4))
    assert list(store.scan(1, NOON, NOON + 50 * DAY)) == [[loaded[0], loaded[2]], [loaded[3]]]
    assert list(store.scan(None, NOON, NOON + 1)) == [[loaded[1], loaded[3]]]
    assert list(store.scan(1, 0, NOON)) == []


def test_every_month_has_its_partition_however_far(store: PostgresStore, database: str) -> None:
    moments = [-DAY * 365 * 900, 0, NOON, NOON + 1, NOON + 31 * DAY, 253_402_300_799_999]
    store.load(rows(*(event(at=at) for at in moments)), Progress(6))
    store.load([(7, *rows(event(at=NOON))[0][1:])], Progress(7))
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid "
            "WHERE inhparent = 'haru_events.event'::regclass ORDER BY relname"
        ).fetchall()
        indexes = connection.execute(
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'haru_events' AND tablename = 'event_2026_02'"
        ).fetchall()
    assert [name for (name,) in found] == [
        "event_1070_08",
        "event_1970_01",
        "event_2026_01",
        "event_2026_02",
        "event_9999_12",
    ]
    assert indexes == [(4,)]
    assert [row[2] for part in store.scan(None, -(10**17), 10**17) for row in part] == [*moments, NOON]


def test_a_month_is_added_while_a_question_runs(store: PostgresStore, database: str) -> None:
    store.load(rows(event()), Progress(1))
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT count(*) FROM haru_events.event").fetchone() == (1,)  # its lock is held on
        store.load([(2, *rows(event(at=NOON + 60 * DAY))[0][1:])], Progress(2))
        assert reader.execute("SELECT count(*) FROM haru_events.event").fetchone() == (2,)


def test_a_dashboards_question_reads_its_month_by_the_index(store: PostgresStore, database: str) -> None:
    many = rows(*(event(at=NOON + n * MINUTE, site_id=n % 50) for n in range(5_000)), event(at=NOON + 60 * DAY))
    store.load(many, Progress(5_001))
    with psycopg.connect(database) as connection:
        connection.execute("ANALYZE haru_events.event")
        plan = connection.execute(
            "EXPLAIN SELECT * FROM haru_events.event WHERE site_id = 3 "
            "AND occurred_at >= '2026-01-02' AND occurred_at < '2026-01-03'"
        ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "event_2026_01_site_id_occurred_at_idx" in text
    assert "event_2026_03" not in text


def test_text_columns_are_sorted_by_code_point(store: PostgresStore, database: str) -> None:
    store.open()
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
            "WHERE relnamespace = 'haru_events'::regnamespace AND relkind IN ('r', 'p') AND attcollation <> 0 "
            "AND attcollation <> 'pg_catalog.\"C\"'::regcollation"
        ).fetchall()
    assert found == []


def test_one_database_may_hold_other_tables_of_the_same_names(store: PostgresStore, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE event (other text)")
        connection.execute("CREATE TABLE version (other text)")
    store.load(rows(event()), Progress(1))
    store.destroy()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
        assert connection.execute("SELECT to_regnamespace('haru_events')").fetchone() == (None,)
    assert store.progress() == Progress()  # it is made again by the next call


def test_a_site_is_deleted_with_its_ledger(store: PostgresStore) -> None:
    store.load(rows(event(site_id=1), event(site_id=2)), Progress(2), [RefusalCount(1, NOON, "bot", "", 1)])
    store.delete_site(1)
    assert ids(store) == [(2,)]
    assert store.refusal_counts(1, 0, NOON * 2) == []


def test_the_statement_can_be_shown_as_text(store: PostgresStore) -> None:
    from datetime import datetime, timedelta

    shifted = column("occurred_at", DateTime) + literal(timedelta(hours=5, minutes=45), Interval)
    text = store.sql(select(shifted).where(EVENT.c.path == "/it's 100%", shifted < datetime(2026, 1, 1)))
    assert "path = '/it''s 100%'" in text
    assert "2026-01-01" in text
    assert "%(" not in text


def test_a_store_of_a_newer_program_is_refused_with_a_sentence(store: PostgresStore, database: str) -> None:
    store.open()
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO haru_events.version VALUES (99)")
    with pytest.raises(StoreTooNew, match="at version 99, made by a newer Haru"):
        PostgresStore(database).open()


SHAPE = (
    "SELECT table_name, column_name, data_type, is_nullable, collation_name, datetime_precision "
    "FROM information_schema.columns WHERE table_schema = 'haru_events' ORDER BY 1, 2",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'haru_events' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'haru_events'::regnamespace ORDER BY 1, 2",
    "SELECT number FROM haru_events.version ORDER BY 1",
)


def shape(database: str) -> list[list[Row]]:
    with psycopg.connect(database) as connection:
        return [connection.execute(query).fetchall() for query in SHAPE]  # type: ignore[arg-type]


def test_a_store_migrated_step_by_step_is_the_same_as_a_fresh_one(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*module.MIGRATIONS, Migration(len(module.MIGRATIONS) + 1, "a test's", ("CREATE TABLE extra (a text)",)))
    old, fresh = postgres.database(), postgres.database()
    for known in range(1, len(steps) + 1):
        monkeypatch.setattr(module, "MIGRATIONS", steps[:known])
        store = PostgresStore(old)
        store.load([(known, *rows(event(at=NOON))[0][1:])], Progress(known))
        store.close()
    store = PostgresStore(fresh)
    store.load(rows(event(at=NOON)), Progress(1))
    store.close()
    assert shape(old) == shape(fresh)
    store = PostgresStore(old)
    assert ids(store) == [(known,) for known in range(1, len(steps) + 1)]  # what was there stays there
    store.close()


def test_a_migration_that_fails_leaves_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Migration(len(module.MIGRATIONS) + 1, "bad", ("CREATE TABLE extra (a text)", "SELECT 1 / 0"))
    store = PostgresStore(database)
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, bad))
    with pytest.raises(psycopg.errors.DivisionByZero):
        store.open()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regnamespace('haru_events')").fetchone() == (None,)
    monkeypatch.setattr(module, "MIGRATIONS", module.MIGRATIONS[:-1])
    assert store.progress() == Progress()
    store.close()


def test_many_that_open_a_fresh_database_at_once_agree(database: str) -> None:
    stores = [PostgresStore(database) for _ in range(6)]
    failed: list[Exception] = []

    def work(store: PostgresStore) -> None:
        try:
            store.open()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert shape(database)[-1] == [(migration.number,) for migration in module.MIGRATIONS]
    for store in stores:
        store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_SECONDS", 1)


def test_a_second_loader_is_refused_with_a_sentence_until_the_first_has_gone(
    store: PostgresStore, database: str, impatient: None
) -> None:
    store.acquire()
    store.acquire()
    second = PostgresStore(database)
    assert second.progress() == Progress()  # whoever only asks is welcome
    for work in (second.acquire, lambda: second.load(rows(event()), Progress(1)), lambda: second.delete_site(1)):
        with pytest.raises(StoreHeld, match=f'"haru loader on {socket.gethostname()[:20]}'):
            work()
    store.load(rows(event()), Progress(1))
    store.close()
    second.acquire()
    assert second.progress() == Progress(1)
    second.close()


def test_two_stores_on_one_server_do_not_disturb_each_other(store: PostgresStore, postgres: Cluster) -> None:
    other = PostgresStore(postgres.database())
    store.acquire()
    other.acquire()
    other.close()


def end_sessions(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def test_a_lock_that_was_lost_is_taken_again(store: PostgresStore, database: str, impatient: None) -> None:
    store.load(rows(event()), Progress(1))
    end_sessions(database)
    store.load([(2, *rows(event())[0][1:])], Progress(2))
    assert ids(store) == [(1,), (2,)]
    other = PostgresStore(database)
    with pytest.raises(StoreHeld):
        other.acquire()
    other.close()


def test_a_loader_whose_place_another_took_meanwhile_must_start_again(
    store: PostgresStore, database: str, impatient: None
) -> None:
    store.load(rows(event()), Progress(1))
    end_sessions(database)
    other = PostgresStore(database)
    other.load([(2, *rows(event())[0][1:])], Progress(2))
    with pytest.raises(StoreHeld, match="haru loader on"):
        store.load([(2, *rows(event())[0][1:])], Progress(2))
    other.close()
    with pytest.raises(StoreHeld, match="start this one again"):
        store.load([(2, *rows(event())[0][1:])], Progress(2))
    store.close()
    store.acquire()
    assert store.progress() == Progress(2)


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    store: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost for good: the loader asks in vain and comes again with the same batch."""

    class Cut(psycopg.Transaction):
        def __exit__(self, *arguments: object) -> bool:
            super().__exit__(*arguments)  # type: ignore[arg-type]
            self._conn.close()
            raise psycopg.OperationalError("the connection was lost")

    batch = [], Progress(0, {"a": 1}), [RefusalCount(1, NOON, "bot", "", 1)]
    store.acquire()
    with monkeypatch.context() as patched:
        patched.setattr(psycopg.connection, "Transaction", Cut)
        with pytest.raises(StoreUnavailable, match="the connection was lost"):
            store.load(*batch)
    assert store.progress() == batch[1]
    store.load(*batch)
    assert store.refusal_counts(1, 0, NOON * 2) == [RefusalCount(1, NOON, "bot", "", 1)]
    store.load([], Progress(0, {"a": 2}), batch[2])
    assert store.refusal_counts(1, 0, NOON * 2) == [RefusalCount(1, NOON, "bot", "", 2)]


def test_a_query_ends_at_its_limit(store: PostgresStore) -> None:
    with pytest.raises(Stopped, match=r"limit of 0\.1 seconds"):
        store.fetch(LONG, stop=Stop(0.1))
    stop = Stop()
    threading.Timer(0.1, stop.cancel).start()
    with pytest.raises(Stopped, match="Nobody waits"):
        store.fetch(LONG, stop=stop)
    for _ in range(3):
        assert store.fetch(select(literal_column("1"))) == [(1,)]


def test_the_server_ends_a_query_should_no_word_from_here_reach_it(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(module.Canceller, "cancel", lambda canceller: None)
    with pytest.raises(Stopped, match=r"limit of 0\.1 seconds"):
        store.fetch(LONG, stop=Stop(0.1))


def test_an_ended_query_is_ended_on_the_server_too(store: PostgresStore, database: str) -> None:
    with pytest.raises(Stopped):
        store.fetch(LONG, stop=Stop(0.1))
    with psycopg.connect(database) as connection:
        running = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' "
            "AND pid <> pg_backend_pid() AND datname = current_database()"
        ).fetchone()
    assert running == (0,)


def test_an_answer_that_does_not_come_is_not_waited_for(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0.3)
    monkeypatch.setattr(module, "_PROGRESS", "SELECT pg_sleep(60)::text, 1")
    with pytest.raises(StoreUnavailable):
        store.progress()
    monkeypatch.undo()
    assert store.progress() == Progress()


def test_a_killed_loader_gives_the_lock_back(store: PostgresStore, database: str) -> None:
    program = (
        "import sys; from haru.store.postgres.store import PostgresStore; "
        "s = PostgresStore(sys.argv[1]); s.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    while holder.stdout.readline() != "held\n":
        assert holder.poll() is None
    holder.kill()
    holder.wait()
    store.acquire()
