"""The event store on a PostgreSQL server, 14 or newer: a schema of its own in a database that may hold the accounts."""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import ClauseElement

from haru.clock import hour_of
from haru.events.columns import COLUMNS, NAMES, Row
from haru.events.event import Origin
from haru.events.ledger import RefusalCount, merge
from haru.events.visits import Visit
from haru.store.compiled import Compiling
from haru.store.migrations import Migration, migrate, pending, read
from haru.store.postgres.pool import SCHEMA, Canceller, Connection, Connections, deadline
from haru.store.protocol import Progress, StoreHeld, StoreUnavailable
from haru.store.rows import visit_of
from haru.store.stop import Stop, Stopped

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_COMPILING = Compiling(_DIALECT)
_FOR_PEOPLE = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]  # percent signs stay single

_ANSWER_SECONDS = 60.0  # for a question of the loader
_PROGRESS_SECONDS = 5.0  # for one that costs nothing
_LOAD_SECONDS = 120.0
_LOCK_SECONDS = 3  # the server may take a moment to note that a loader was killed
_GRACE_SECONDS = 2.0  # after which the server ends by itself what was to be ended from here
_MAX_PARAMETERS = 60_000  # of one statement; the protocol has 16 bits for their number
_SCANNED = 5_000  # rows of a scan that are in memory at once

# Names of the advisory locks: "haru" and a number.
_LOCK = int.from_bytes(b"haru", "big")
_LOADER_LOCK, _TABLES_LOCK = 1, 2

MIGRATIONS = read(Path(__file__).parent / "migrations")

_EPOCH = datetime(1970, 1, 1)  # UTC without a zone, as the columns are
_AT = NAMES.index("occurred_at")
_FIRST_MS, _LAST_MS = ((limit - _EPOCH) // timedelta(milliseconds=1) for limit in (datetime.min, datetime.max))
_LAST_ID = ""
_COPY = f"COPY event ({', '.join(NAMES)}) FROM STDIN"

_PROGRESS = "SELECT spool, position FROM progress"
_ADVANCE = (
    "INSERT INTO progress SELECT * FROM unnest(%s::text[], %s::bigint[]) "
    "ON CONFLICT (spool) DO UPDATE SET position = excluded.position"
)
_ADD_REFUSALS = (
    "INSERT INTO refusal SELECT * FROM unnest(%s::bigint[], %s::timestamp[], %s::text[], %s::text[], %s::bigint[]) "
    "ON CONFLICT (site_id, hour, reason, detail) DO UPDATE SET count = refusal.count + excluded.count"
)


def _ms(expression: str) -> str:
    """Milliseconds since 1970, exact: the epoch of a timestamp is a decimal number."""
    return f"(extract(epoch FROM {expression}) * 1000)::bigint"


_REFUSAL_COUNTS = (
    f"SELECT site_id, {_ms('hour')}, reason, detail, count FROM refusal "
    "WHERE site_id = %s AND hour >= %s AND hour < %s ORDER BY site_id, hour, reason, detail, count"
)
# The stamps are the same on all events of a visit, so the least of them is any of them.
_VISITS = f"""
SELECT visit_id, min(site_id), min(visitor_id), {_ms("min(occurred_at)")}, {_ms("max(occurred_at)")},
       {", ".join(f"min({name})" for name in Origin.__struct_fields__)}
FROM event
WHERE {{whole}} AND visit_id IN (SELECT visit_id FROM event WHERE {{some}})
GROUP BY visit_id
"""
# From one site to the next by the index: a plain DISTINCT would read all events.
_SITES = """
WITH RECURSIVE site AS (
    SELECT min(site_id) AS id FROM event
    UNION ALL
    SELECT (SELECT min(site_id) FROM event WHERE site_id > site.id) FROM site WHERE site.id IS NOT NULL
)
SELECT id FROM site WHERE id IS NOT NULL UNION SELECT site_id FROM refusal WHERE site_id <> 0
"""
_SCAN = (
    f"SELECT {', '.join(_ms(name) if kind == 'TIMESTAMP' else name for name, kind in COLUMNS)} FROM event "
    "WHERE {whole} AND occurred_at >= %(since)s AND occurred_at < %(until)s ORDER BY id"
)
_HOLDER = (
    "SELECT application_name, client_addr::text, backend_start::timestamptz(0)::text FROM pg_stat_activity "
    f"WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {_LOCK} "
    f"AND objid = {_LOADER_LOCK} AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class PostgresStore:
    """`haru.store.protocol.Store` on PostgreSQL; what each call means is said there.

    What loads does so on one connection that holds an advisory lock: when it is lost, so is the lock, and nothing can
    be written without. Questions use a few shared connections. A server that was away is taken up by the next call.
    """

    engine = "postgresql"

    def __init__(self, url: str) -> None:
        """`url` is what libpq takes: postgresql://user:password@host:port/name?options."""
        self._connections = Connections(url, _prepare)
        self._writing = threading.Lock()
        self._loader: Connection | None = None
        self._id: uuid.UUID | None = None  # as which this object has loaded
        self._doubtful = False  # whether the last load may have been committed although it failed
        self._months: set[tuple[int, int]] = set()  # that have a partition

    def open(self) -> None:
        self._connections.open()

    def acquire(self) -> None:
        """A lock that was lost with its connection is taken again."""
        with self._writing, self._connections.errors():
            self._held()

    def load(self, rows: Sequence[Row], progress: Progress, refusals: Sequence[RefusalCount] = ()) -> None:
        """Takes the lock when it isn't held: raises `StoreHeld` when another loader has it."""
        with self._writing, self._connections.errors():
            connection = self._held()
            if self._doubtful and _read_progress(connection) == progress:
                self._doubtful = False  # the commit had succeeded and its answer was lost
                return
            self._doubtful = True
            try:
                with deadline(connection, _LOAD_SECONDS), connection.transaction():
                    made = self._make_partitions(connection, rows)
                    if rows:
                        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                            for row in rows:
                                copy.write_row((*row[:_AT], _moment(row[_AT]), *row[_AT + 1 :]))
                    if refusals:
                        columns = zip(*(_refusal_row(refusal) for refusal in merge(refusals)), strict=True)
                        connection.execute(_ADD_REFUSALS, [list(column) for column in columns])
                    positions = {_LAST_ID: progress.last_id, **progress.positions}
                    connection.execute(_ADVANCE, [list(positions), list(positions.values())])
            except BaseException:
                # With the connection whole the transaction was rolled back for certain.
                self._doubtful = connection.closed
                raise
            self._doubtful = False
            self._months |= made

    def progress(self) -> Progress:
        with self._asking(_PROGRESS_SECONDS) as connection:
            return _read_progress(connection)

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        some = (
            "site_id = %(site)s AND occurred_at BETWEEN %(since)s AND %(until)s "
            "AND visitor_id = ANY(%(visitors)s::bigint[])"
        )
        values = {"site": site_id, "since": _moment(since), "until": _moment(until), "visitors": list(visitors)}
        return self._visits("site_id = %(site)s", some, values)

    def recent_visits(self, since: int) -> list[Visit]:
        return self._visits("true", "occurred_at >= %(since)s", {"since": _moment(since)})

    def _visits(self, whole: str, some: str, values: dict[str, Any]) -> list[Visit]:
        with self._asking(_ANSWER_SECONDS) as connection:
            rows = connection.execute(_VISITS.format(whole=whole, some=some), values).fetchall()
        return [visit_of(row) for row in rows]

    def refusal_counts(self, site_id: int, since: int, until: int) -> list[RefusalCount]:
        with self._asking(_ANSWER_SECONDS) as connection:
            found = connection.execute(_REFUSAL_COUNTS, [site_id, _moment(since), _moment(until)]).fetchall()
        return [RefusalCount(*row) for row in found]

    def sites(self) -> set[int]:
        with self._asking(_ANSWER_SECONDS) as connection:
            return {site_id for (site_id,) in connection.execute(_SITES).fetchall()}

    def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None, stop: Stop | None = None
    ) -> list[Row]:
        compiled = _COMPILING.compiled(statement)
        values = {**compiled.params, **(parameters or {})}
        stop = stop or Stop()
        with self._connections.errors(), self._connections.taken() as connection:
            try:
                with (
                    stop.watching((canceller := Canceller(connection)).cancel),
                    canceller,
                    _limited(connection, stop.left),
                ):
                    cursor = psycopg.ClientCursor(connection) if len(values) > _MAX_PARAMETERS else connection.cursor()
                    return cursor.execute(compiled.string, values).fetchall()
            except errors.QueryCanceled as error:
                raise Stopped("The database server ended the query: it has a limit of its own for them.") from error
            finally:
                if stop.cancelled:
                    connection.close()  # the word to end it may still be on its way: nobody else may hear it

    def scan(self, site_id: int | None, since: int, until: int) -> Iterator[list[Row]]:
        values = {"site": site_id, "since": _moment(since), "until": _moment(until)}
        with (
            self._connections.errors(),
            self._connections.taken() as connection,
            connection.transaction(),
            connection.cursor(name="scan") as cursor,
        ):
            cursor.execute(_SCAN.format(whole="true" if site_id is None else "site_id = %(site)s"), values)
            while rows := cursor.fetchmany(_SCANNED):
                yield rows

    def sql(self, statement: ClauseElement) -> str:
        return str(
            statement.compile(dialect=_FOR_PEOPLE, compile_kwargs={"render_postcompile": True, "literal_binds": True})
        )

    def delete_site(self, site_id: int) -> None:
        """Takes the lock as `load` does."""
        with self._writing, self._connections.errors():
            connection = self._held()
            with connection.transaction():
                connection.execute("DELETE FROM event WHERE site_id = %s", [site_id])
                connection.execute("DELETE FROM refusal WHERE site_id = %s", [site_id])

    def destroy(self) -> None:
        """The schema goes, what else is in the database stays."""
        with self._writing, self._connections.errors():
            self._held().execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        self.close()

    def close(self) -> None:
        with self._writing:
            self._let_go()
            self._id = None
        self._connections.close()

    @contextlib.contextmanager
    def _asking(self, seconds: float) -> Iterator[Connection]:
        """A shared connection for a question that must be answered in so many seconds."""
        with (
            self._connections.errors(),
            self._connections.taken() as connection,
            deadline(connection, seconds),
        ):
            yield connection

    def _held(self) -> Connection:
        """The connection that loads. It holds the lock, for a lock ends with its connection."""
        if self._loader is not None:
            try:
                with deadline(self._loader, _PROGRESS_SECONDS):
                    self._loader.execute("")
                return self._loader
            except psycopg.OperationalError:
                self._let_go()
        self._connections.open()
        connection = self._connections.connect(f"haru loader on {socket.gethostname()}")
        try:
            with deadline(connection, _LOCK_SECONDS + _PROGRESS_SECONDS):
                _lock(connection)
                self._introduce(connection)
        except BaseException:
            connection.close()
            raise
        self._loader = connection
        return connection

    def _introduce(self, connection: Connection) -> None:
        """Note who loads; refuse to go on where another has loaded since: what is in memory here is behind."""
        (last,) = connection.execute("SELECT (SELECT id FROM loader)").fetchone() or (None,)
        if self._id is None:
            own = uuid.uuid4()
            with connection.transaction():
                connection.execute("DELETE FROM loader")
                connection.execute("INSERT INTO loader VALUES (%s)", [own])
            self._id = own
        elif last != self._id:
            raise StoreHeld(
                "Another Haru has loaded events into this store while this one had lost it: start this one again, so "
                "that it goes on from where the store stands."
            )

    def _let_go(self) -> None:
        self._months.clear()
        loader, self._loader = self._loader, None
        if loader is not None:
            loader.close()

    def _make_partitions(self, connection: Connection, rows: Sequence[Row]) -> set[tuple[int, int]]:
        """See to it that every month has its partition; the months that may be new. Part of the load's transaction."""
        moments = map(_moment, {hour_of(row[_AT]) for row in rows})
        months = {(moment.year, moment.month) for moment in moments} - self._months
        for year, month in sorted(months):
            name = f"event_{year:04}_{month:02}"
            if connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.{name}"]).fetchone() != (None,):
                continue
            after = (year, month + 1) if month < 12 else (year + 1, 1)
            # To attach a table takes a lock that lets questions go on; to create it as a partition would not.
            connection.execute(f"CREATE TABLE {name} (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            connection.execute(
                f"ALTER TABLE event ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{year:04}-{month:02}-01') TO ('{after[0]:04}-{after[1]:02}-01')"
            )
        return months


@contextlib.contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    """A little after the limit the server ends the query by itself, should the word from here not reach it."""
    if not seconds:
        yield
        return
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = {int((seconds + _GRACE_SECONDS) * 1000)}")
        yield


def _lock(connection: Connection) -> None:
    """Raises `StoreHeld`."""
    try:
        connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
        connection.execute("SELECT pg_advisory_lock(%s, %s)", [_LOCK, _LOADER_LOCK])
        connection.execute("SET lock_timeout = 0")
    except errors.LockNotAvailable:
        name, address, since = connection.execute(_HOLDER).fetchone() or (None, None, None)
        who = f'"{name}"' if name else "a session"
        raise StoreHeld(
            f"Another Haru loads events into this store ({who} from {address or 'the same machine'}"
            f"{f', since {since}' if since else ''}): stop it, or name another store in HARU_EVENTS_URL."
        ) from None


def _prepare(connection: Connection) -> None:
    """Bring the tables up to date. Raises `StoreTooNew`."""
    if not pending(MIGRATIONS, _version(connection)):
        return
    if connection.execute("SHOW server_encoding").fetchone() != ("UTF8",):
        raise StoreUnavailable(
            "The database of the event store does not keep text as UTF-8: make one with createdb --encoding UTF8 "
            "--template template0, and name it in HARU_EVENTS_URL."
        )
    # Of two programs that start at once the second waits here, and its transaction then finds all done. The lock goes
    # with the connection at the latest.
    connection.execute("SELECT pg_advisory_lock(%s, %s)", [_LOCK, _TABLES_LOCK])
    with connection.transaction():
        version = _version(connection)
        if connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
            connection.execute(f"CREATE SCHEMA {SCHEMA}")

        def apply(migration: Migration) -> None:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute("INSERT INTO version VALUES (%s)", [migration.number])

        migrate(MIGRATIONS, version, apply)
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, _TABLES_LOCK])


def _version(connection: Connection) -> int:
    """The number of the last migration; 0 when there are no tables."""
    if connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.version"]).fetchone() == (None,):
        return 0
    ((version,),) = connection.execute("SELECT coalesce(max(number), 0) FROM version").fetchall()
    return int(version)


def _read_progress(connection: Connection) -> Progress:
    positions: dict[str, int] = dict(connection.execute(_PROGRESS).fetchall())
    return Progress(positions.pop(_LAST_ID, 0), positions)


def _moment(at_ms: int) -> datetime:
    """The nearest there is: a bound may be chosen so that everything lies inside."""
    if at_ms > _LAST_MS:
        return datetime.max
    return _EPOCH + timedelta(milliseconds=max(at_ms, _FIRST_MS))


def _refusal_row(refusal: RefusalCount) -> tuple[Any, ...]:
    return refusal.site_id, _moment(refusal.hour), refusal.reason, refusal.detail, refusal.count
