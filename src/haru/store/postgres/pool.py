"""Connections to a PostgreSQL server: shared ones, how they end in time, and what their errors mean.

psycopg is used here and for the statements of `haru.store.postgres.store`, nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from haru.store.protocol import StoreOutOfMemory, StoreUnavailable

Connection = psycopg.Connection[tuple[Any, ...]]

# All tables are in it, for the database may hold the accounts too. Not "haru": that is what an operator may call the
# role, and a schema with the name of the role comes before `public` for all that the role does.
SCHEMA = "haru_events"
OLDEST = 140000  # the server's version: 14.0
MAX_CONNECTIONS = 8
CONNECT_SECONDS = 3
WAIT_SECONDS = 3.0  # for a connection while all are busy
CHECK_SECONDS = 2.0  # for a connection to show that it is alive
CANCEL_SECONDS = 3.0  # for the server to take note that a query should end, and again for it to end

# For every session. What the operator writes into the URL's `options` comes after these and prevails.
_OPTIONS = {
    "search_path": SCHEMA,
    "timezone": "UTC",
    "work_mem": "64MB",  # sorts and hashes of a dashboard's queries: with the server's 4MB they go to disk
    "jit": "off",  # costs more than it saves on queries of some milliseconds
    "synchronous_commit": "on",  # what the store has committed is deleted from the spool
    # A client whose machine is gone gives its lock back after half a minute.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}
# The same the other way round: a server whose machine is gone is noticed.
_PARAMETERS = {
    "connect_timeout": CONNECT_SECONDS,
    "client_encoding": "UTF8",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

# A plan is made for the values of each query: those of a large site and of a small one differ.
_BEHAVIOUR: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    errors.InsufficientPrivilege,
    errors.InvalidSchemaName,
    errors.UndefinedTable,
)

# Memory, and the space for what memory does not hold (temp_file_limit).
_OUT_OF_MEMORY = (errors.OutOfMemory, errors.ConfigurationLimitExceeded)

# The pool tells of each try to connect; what matters is raised here and logged by whoever asked.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class _Number(Loader):
    """The sum of whole numbers is a `numeric`: it comes as int, as it does from other engines."""

    def load(self, data: Buffer) -> int | Decimal:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else Decimal(text)


class Connections:
    """Connections that are shared by all threads. They are made by the first call that needs one.

    When the server is away a call fails within seconds and says why; the next call asks the server again.
    """

    def __init__(self, url: str, prepare: Callable[[Connection], None]) -> None:
        """`prepare` sees to the tables; it is called before the first of the shared connections is used."""
        self._url = url
        self._prepare = prepare
        self._opening = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None

    def open(self) -> None:
        """Open now. Raises `StoreUnavailable`, and what `prepare` raises."""
        with self.errors():
            self._opened()

    @contextlib.contextmanager
    def taken(self) -> Iterator[Connection]:
        """A connection for a while; every statement commits by itself unless it opens a transaction."""
        pool = self._opened()
        try:
            connection = pool.getconn(WAIT_SECONDS)
        except (PoolTimeout, PoolClosed):
            # Either all are busy or the server is away. One more connection tells, and does as well.
            try:
                connection = self.connect()
            except BaseException:
                self._let_go(pool)
                raise
            with connection:
                yield connection
            return
        try:
            yield connection
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            self._let_go(pool)  # someone emptied the database: the tables are made by the next call
            raise
        finally:
            pool.putconn(connection)

    def connect(self, name: str = "haru") -> Connection:
        """A connection that is not shared; the server's list of sessions shows it under this name."""
        connection = psycopg.connect(_conninfo(self._url, name), **_BEHAVIOUR)
        _configure(connection)
        return connection

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """While psycopg is used: its errors become `StoreUnavailable` with the remedy."""
        try:
            yield
        except _UNAVAILABLE as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            if isinstance(error, _OUT_OF_MEMORY):
                raise StoreOutOfMemory(
                    f"The event store has too little memory ({lines[0]}): ask for less at a time, or give the database "
                    "server more memory."
                ) from error
            raise StoreUnavailable(f"The event store does not answer ({lines[0]}): {_remedy(error)}") from error

    def close(self) -> None:
        """Close them all; a later call opens them again."""
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _opened(self) -> ConnectionPool[Connection]:
        with self._opening:
            if self._pool is None:
                # The pool itself would try for a while and then say "timeout": this one says what is wrong, at once.
                with self.connect() as connection:
                    _check_version(connection)
                    self._prepare(connection)
                self._pool = ConnectionPool(
                    _conninfo(self._url, "haru"),
                    kwargs=_BEHAVIOUR,
                    configure=_configure,
                    check=_check,  # after a restart of the server none of the old ones is handed out
                    min_size=1,
                    max_size=MAX_CONNECTIONS,
                    reconnect_timeout=WAIT_SECONDS,
                    open=True,
                    name="haru",
                )
            return self._pool

    def _let_go(self, pool: ConnectionPool[Connection]) -> None:
        with self._opening:
            if self._pool is pool:
                self._pool = None
        pool.close(timeout=0)


def _conninfo(url: str, name: str) -> str:
    given = conninfo_to_dict(url)
    options = " ".join(f"-c {key}={value}" for key, value in _OPTIONS.items())
    own: dict[str, Any] = {**_PARAMETERS, "application_name": name[:63], **given}
    return make_conninfo(**{**own, "options": f"{options} {given.get('options') or ''}".strip()})


def _configure(connection: Connection) -> None:
    connection.adapters.register_loader("numeric", _Number)


def _check_version(connection: Connection) -> None:
    version = connection.info.server_version
    if version < OLDEST:
        raise StoreUnavailable(
            f"The event store is PostgreSQL {version // 10_000}, and Haru needs 14 or newer: update the server."
        )


class Canceller:
    """Ends what runs on a connection, from another thread, and never what runs on it later."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._over = False
        self._timer: threading.Timer | None = None

    def cancel(self) -> None:
        """Ask the server to end the query; a server that doesn't is given up on. Returns at once."""
        threading.Thread(target=self._cancel, name="haru-cancel", daemon=True).start()

    def abort(self) -> None:
        """Give the connection up: whoever waits for the server gets an error."""
        with self._lock:
            if not self._over:
                # The socket is shut down, not closed: the number of its file stays taken by the connection.
                with (
                    contextlib.suppress(psycopg.Error, OSError),
                    socket.socket(fileno=os.dup(self._connection.fileno())) as shared,
                ):
                    shared.shutdown(socket.SHUT_RDWR)

    def within(self, seconds: float) -> None:
        """Give the connection up unless all is over in so many seconds."""
        self._timer = threading.Timer(seconds, self.abort)
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        with self._lock:
            if self._over:
                return
            with contextlib.suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=CANCEL_SECONDS)
            self.within(CANCEL_SECONDS)

    def __enter__(self) -> Canceller:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()


@contextlib.contextmanager
def deadline(connection: Connection, seconds: float) -> Iterator[None]:
    """Give the connection up when what runs in the block takes longer: a server may be frozen rather than dead."""
    with Canceller(connection) as canceller:
        canceller.within(seconds)
        yield


def _check(connection: Connection) -> None:
    with deadline(connection, CHECK_SECONDS):
        connection.execute("")


def _remedy(error: psycopg.Error) -> str:
    text = str(error).lower()
    if isinstance(error, errors.DiskFull) or "no space left" in text:
        return "see that the database server's disk has space; what was collected waits in the spool."
    if isinstance(error, errors.InsufficientPrivilege):
        return "give Haru's user the right to make a schema: GRANT CREATE ON DATABASE ... TO ..."
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return "the server only reads (a standby?): name the one that writes in HARU_EVENTS_URL."
    if isinstance(error, errors.TooManyConnections) or "too many" in text or "connection slots" in text:
        return f"Haru uses up to {MAX_CONNECTIONS + 1} connections: raise max_connections of the server."
    if "password" in text or "authentication" in text or "pg_hba" in text or "role" in text:
        return "see the user and the password in HARU_EVENTS_URL."
    if "database" in text and "does not exist" in text:
        return "make the database with createdb, or name another in HARU_EVENTS_URL."
    return "see that PostgreSQL runs where HARU_EVENTS_URL says; what was collected waits in the spool."
