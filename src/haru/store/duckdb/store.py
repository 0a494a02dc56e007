"""The embedded event store: DuckDB, one file in the data folder, owned by one process."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import Interval
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql import ClauseElement

from haru.events.columns import COLUMNS, Row
from haru.events.event import Origin
from haru.events.ledger import RefusalCount, merge
from haru.events.visits import Visit
from haru.files import sync_folder
from haru.store.compiled import Compiling
from haru.store.duckdb.folding import FIRST, FOLD, FOLDED_AT_ONCE, NEXT, UNFOLD, WAITING
from haru.store.migrations import Migration, migrate, read
from haru.store.protocol import FOLDED, Progress, Refolded, StoreOutOfMemory, StoreUnavailable
from haru.store.rows import arrays_of, visit_of
from haru.store.stop import Stop

log = logging.getLogger(__name__)


class _Interval(INTERVAL):
    """Written out for people as DuckDB reads it, which has no make_interval."""

    @classmethod
    def adapt_emulated_to_native(cls, interval: Any, **kw: Any) -> _Interval:  # type: ignore[override]
        """The library's own returns its own type here, whatever a dialect has in its place."""
        return cls(precision=interval.second_precision)

    def literal_processor(self, dialect: Any) -> Callable[[timedelta], str]:
        return lambda value: f"INTERVAL '{value // timedelta(milliseconds=1)} milliseconds'"


class Dialect(PGDialect):
    """DuckDB's SQL is PostgreSQL's but for the functions of `haru.stats.sql.functions`, which go by this name."""

    name = "duckdb"
    supports_statement_cache = True
    colspecs = PGDialect.colspecs | {Interval: _Interval}


_DIALECT = Dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_COMPILING = Compiling(_DIALECT)

MIGRATIONS = read(Path(__file__).parent / "migrations")
_SCANNED = 5_000  # rows of a scan that are in memory at once
_ORIGIN = Origin.__struct_fields__

# How a column of a batch becomes a column of the table.
_SELECT = ", ".join(f"make_timestamp_ms({n}) AS {n}" if kind == "TIMESTAMP" else n for n, kind in COLUMNS)

_ADD_REFUSALS = (
    "INSERT INTO refusal VALUES ($1, make_timestamp_ms($2), $3, $4, $5) "
    "ON CONFLICT DO UPDATE SET count = refusal.count + excluded.count"
)
_REFUSAL_COUNTS = (
    "SELECT site_id, epoch_ms(hour), reason, detail, count FROM refusal "
    "WHERE site_id = $1 AND hour >= make_timestamp_ms($2) AND hour < make_timestamp_ms($3) ORDER BY ALL"
)

_SITES = "SELECT DISTINCT site_id FROM event UNION SELECT site_id FROM refusal WHERE site_id <> 0"

_VISITS = """
SELECT visit_id, any_value(site_id), any_value(visitor_id),
       epoch_ms(min(occurred_at)), epoch_ms(max(occurred_at)), {origin}
FROM event
WHERE {whole} AND visit_id IN (SELECT visit_id FROM event WHERE {some})
GROUP BY visit_id
"""
# The stamps are the same on all events of a visit, so any of them tells where it came from.
_VISITS_ORIGIN = ", ".join(f"any_value({name})" for name in _ORIGIN)


# Errors that a statement of ours is at fault for, and the end of one that was interrupted.
_OF_STATEMENTS = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.InterruptException,
)

_PROGRESS = "INSERT INTO progress VALUES ($1, $2) ON CONFLICT DO UPDATE SET position = excluded.position"
_LAST_ID = ""


def _remedy(error: Exception) -> str:
    # Names of files stand in quotes, and say nothing of the fault.
    lower = re.sub(r"""(["'])/.*?\1""", "", str(error)).lower()
    if "corrupt" in lower or "not a valid duckdb" in lower or "replaying wal" in lower:
        return (
            "the file is damaged. Stop Haru and put events.duckdb back from a backup, or move it away to begin an "
            "empty one; what was collected meanwhile waits in the spool."
        )
    if "invalidated" in lower or "internal error" in lower:
        return "it is opened again by itself. Should it not come back, put events.duckdb back from a backup."
    if "could not set lock" in lower or "conflicting lock" in lower:
        return "another program has it open: stop it, or let it answer in your place."
    if "space" in lower or "too large" in lower or "could not write" in lower:
        return "see that the disk has space; what was collected waits in the spool."
    return "see that the data folder's disk has space and that this user may write there."


class DuckStore:
    """`haru.store.protocol.Store` on DuckDB; what each call means is said there.

    The file is opened by the first call that needs it. A call that fails because of the disk, a lock or a fault in the
    engine lets go of the file, and a later call opens it again: nothing needs a restart.
    """

    engine = "duckdb"

    def __init__(self, path: Path | None, memory: str = "512MB", threads: int = 2) -> None:
        """`path` of the file; None is a store in memory."""
        self._path = path
        self._config: dict[str, Any] = {
            "memory_limit": memory,
            "threads": threads,
            # Nothing is ever fetched, and order inside a result is always asked for.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
            # Statements have the smaller side of a join on the right: its guess is worse where several sets are united.
            "disabled_optimizers": "build_side_probe_side",
        }
        self._writing = threading.Lock()
        self._folding = threading.Lock()
        self._opening = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        # How far events are folded, and when that was so: the count is odd while a change of it is being written.
        self._changes = 0
        self._known = (-1, 0)

    def open(self) -> None:
        """Open the file now. Raises `StoreUnavailable`."""
        with self._errors():
            self._opened()

    def acquire(self) -> None:
        """The file's own lock lets one process have it."""
        self.open()

    def load(self, rows: Sequence[Row], progress: Progress, refusals: Sequence[RefusalCount] = ()) -> None:
        with self._no_folding(rows), self._writing, self._cursor() as cursor:
            unfolds = False
            cursor.execute("BEGIN")
            try:
                if rows:
                    cursor.register("batch", arrays_of(rows))
                    cursor.execute(f"INSERT INTO event BY NAME SELECT {_SELECT} FROM batch")
                    cursor.unregister("batch")
                    unfolds = min(row[0] for row in rows) <= _folded(cursor)
                    for statement in UNFOLD if unfolds else ():
                        cursor.execute(statement)
                for refusal in merge(refusals):
                    cursor.execute(
                        _ADD_REFUSALS, [refusal.site_id, refusal.hour, refusal.reason, refusal.detail, refusal.count]
                    )
                for spool, position in {_LAST_ID: progress.last_id, **progress.positions}.items():
                    cursor.execute(_PROGRESS, [spool, position])
                with self._changing() if unfolds else contextlib.nullcontext():
                    cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            # The engine syncs its files but not their names, and it makes its log again at each checkpoint.
            if self._path is not None:
                sync_folder(self._path.parent)

    @contextlib.contextmanager
    def _no_folding(self, rows: Sequence[Row]) -> Iterator[None]:
        """While rows are loaded that do not follow those of before, which only a copy of another store has."""
        if not rows:
            yield
            return
        with self._cursor() as cursor:
            follows = min(row[0] for row in rows) > max(_last_id(cursor), _folded(cursor))
        with contextlib.nullcontext() if follows else self._folding:
            yield

    def fold(self, most: int = FOLDED_AT_ONCE) -> int:
        with self._folding, self._cursor() as cursor:
            last = _folded(cursor)
            ((end, least),) = cursor.execute(NEXT, [last, most]).fetchall()
            if end is None:
                ((first,),) = cursor.execute(FIRST, [last]).fetchall()
                if first is None:
                    return 0
                ((end, least),) = cursor.execute(NEXT, [first - 1, most]).fetchall()
            given = {"$1": last, "$2": end, "$3": least}
            cursor.execute("BEGIN")
            try:
                for statement in FOLD:
                    cursor.execute(*_numbered(statement, given))
                with self._changing():
                    cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
            ((waiting,),) = cursor.execute(WAITING, [end, most]).fetchall()
            return int(waiting)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """While another number of folded events is written. One at a time: `_folding` is held."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    def folded(self) -> int:
        changes, last = self._known
        if changes == self._changes:
            return last
        with self._cursor() as cursor:
            changes = self._changes
            last = _folded(cursor)
        if changes % 2 == 0 and changes == self._changes:
            self._known = changes, last
        return last

    def unfolded(self) -> int:
        with self._cursor() as cursor:
            return max(0, _last_id(cursor) - _folded(cursor))

    def progress(self) -> Progress:
        with self._cursor() as cursor:
            positions = dict(cursor.execute("SELECT spool, position FROM progress").fetchall())
        return Progress(positions.pop(_LAST_ID, 0), positions)

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        some = (
            "site_id = $1 AND occurred_at BETWEEN make_timestamp_ms($2) AND make_timestamp_ms($3) "
            "AND visitor_id IN (SELECT unnest($4::BIGINT[]))"
        )
        return self._visits("site_id = $1", some, [site_id, since, until, list(visitors)])

    def recent_visits(self, since: int) -> list[Visit]:
        return self._visits("true", "occurred_at >= make_timestamp_ms($1)", [since])

    def _visits(self, whole: str, some: str, parameters: list[Any]) -> list[Visit]:
        query = _VISITS.format(origin=_VISITS_ORIGIN, whole=whole, some=some)
        with self._cursor() as cursor:
            rows = cursor.execute(query, parameters).fetchall()
        return [visit_of(row) for row in rows]

    def refusal_counts(self, site_id: int, since: int, until: int) -> list[RefusalCount]:
        with self._cursor() as cursor:
            return [RefusalCount(*row) for row in cursor.execute(_REFUSAL_COUNTS, [site_id, since, until]).fetchall()]

    def sites(self) -> set[int]:
        with self._cursor() as cursor:
            return {site_id for (site_id,) in cursor.execute(_SITES).fetchall()}

    def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None, stop: Stop | None = None
    ) -> list[Row]:
        compiled, given = _COMPILING.compiled(statement), dict(parameters or {})
        values, names = {**compiled.params, **given}, compiled.positiontup or []
        with self._cursor() as cursor, (stop or Stop()).watching(cursor.interrupt):

            def run() -> list[Row]:
                return cursor.execute(compiled.string, [values[name] for name in names]).fetchall()

            if FOLDED not in values:
                return run()
            # How far visits are folded, and the folded visits, must be those of one moment.
            changes, last = self._known
            if changes == self._changes:
                values[FOLDED] = _expected(given, last)
                rows = run()
                if changes == self._changes:
                    return rows
            cursor.execute("BEGIN")
            values[FOLDED] = _expected(given, _folded(cursor))
            return run()

    def scan(self, site_id: int | None, since: int, until: int) -> Iterator[list[Row]]:
        columns = ", ".join(f"epoch_ms({n})" if kind == "TIMESTAMP" else n for n, kind in COLUMNS)
        query = (
            f"SELECT {columns} FROM event WHERE ($1 IS NULL OR site_id = $1) "
            "AND occurred_at >= make_timestamp_ms($2) AND occurred_at < make_timestamp_ms($3) ORDER BY id"
        )
        with self._cursor() as cursor:
            cursor.execute(query, [site_id, since, until])
            while rows := cursor.fetchmany(_SCANNED):
                yield rows

    def sql(self, statement: ClauseElement) -> str:
        if FOLDED in (statement.compile(dialect=_DIALECT).params or {}):
            with self._cursor() as cursor:
                statement = statement.params({FOLDED: _folded(cursor)})
        return str(
            statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True, "literal_binds": True})
        )

    def delete_site(self, site_id: int) -> None:
        with self._folding, self._writing, self._cursor() as cursor:
            for table in ("visit", "page", "event", "refusal"):
                cursor.execute(f"DELETE FROM {table} WHERE site_id = $1", [site_id])

    def destroy(self) -> None:
        self.close()
        if self._path is not None:
            for path in (self._path, self._path.with_name(f"{self._path.name}.wal")):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        with self._folding, self._writing, self._opening:
            database, self._database = self._database, None
            if database is not None:
                try:
                    database.close()
                except duckdb.Error as error:  # what it could not write into the file is in its log
                    log.error("store_close_failed", extra={"error": str(error).partition("\n")[0]})

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._database is None:
                database = duckdb.connect(str(self._path) if self._path else ":memory:", config=self._config)
                try:
                    _prepare(database)
                except _OF_STATEMENTS as error:
                    database.close()
                    # Only a file that was changed behind its back has no place for what its version says it has.
                    raise duckdb.IOException(f"Corrupt tables: {error}") from error
                except BaseException:
                    database.close()
                    raise
                self._known = (-1, 0)  # another program may have had the file
                if self._path is not None:
                    self._path.chmod(0o600)
                self._database = database
            return self._database

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own to the same database: threads don't wait for each other's queries."""
        with self._errors():
            database = self._opened()
        with self._errors(database), contextlib.closing(database.cursor()) as cursor:
            yield cursor

    @contextlib.contextmanager
    def _errors(self, database: duckdb.DuckDBPyConnection | None = None) -> Iterator[None]:
        """While DuckDB is used: its errors become ours, and a `database` that it has given up on is let go.

        The file, the disk or the engine may be at fault for any of them, and a damaged file's is the bare base of all;
        a statement is at fault for few. Where another thread has let go of the database meanwhile, none says anything
        but that: whatever ran is cut off.
        """
        try:
            yield
        except (duckdb.Error, OSError) as error:
            cut_off = database is not None and database is not self._database
            if isinstance(error, _OF_STATEMENTS) and not cut_off:
                raise
            reason = str(error).splitlines()[0]
            if isinstance(error, duckdb.OutOfMemoryException):
                raise StoreOutOfMemory(
                    f"The event store has too little memory ({reason}): "
                    "ask for less at a time, or raise HARU_EVENTS_MEMORY."
                ) from error
            if database is not None and self._path is not None:
                self._let_go(database)
            remedy = "it was closed while this ran, and is opened again: try again." if cut_off else _remedy(error)
            raise StoreUnavailable(f"The event store does not answer ({reason}): {remedy}") from error

    def _let_go(self, database: duckdb.DuckDBPyConnection) -> None:
        """After a failed write the engine refuses everything until the file is opened again.

        Only the database that failed is closed, not one that another thread has opened since.
        """
        with self._opening, contextlib.suppress(duckdb.Error):
            if self._database is database:
                self._database = None
                database.close()


def _prepare(database: duckdb.DuckDBPyConnection) -> None:
    """Bring the tables up to date. Raises `StoreTooNew`."""

    def apply(migration: Migration) -> None:
        database.execute("BEGIN")
        for statement in migration.statements:
            database.execute(statement)
        database.execute("INSERT INTO version VALUES ($1)", [migration.number])
        database.execute("COMMIT")

    migrate(MIGRATIONS, _version(database), apply)


def _version(database: duckdb.DuckDBPyConnection) -> int:
    """The number of the last migration; 0 when there are no tables."""
    if not database.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'version'").fetchall():
        return 0
    ((version,),) = database.execute("SELECT coalesce(max(number), 0) FROM version").fetchall()
    return int(version)


def _numbered(statement: str, given: Mapping[str, int]) -> tuple[str, dict[str, int]]:
    """The statement with those of the values that it has a place for: the engine refuses others."""
    return statement, {place[1:]: value for place, value in given.items() if place in statement}


def _expected(given: Mapping[str, Any], last: int) -> int:
    """The last event that is folded, when it is the one that is asked for. Raises `Refolded`."""
    if given.get(FOLDED, last) != last:
        raise Refolded
    return last


def _last_id(cursor: duckdb.DuckDBPyConnection) -> int:
    """The last event's id as progress has it."""
    ((last,),) = cursor.execute(
        "SELECT coalesce(max(position), 0) FROM progress WHERE spool = $1", [_LAST_ID]
    ).fetchall()
    return int(last)


def _folded(cursor: duckdb.DuckDBPyConnection) -> int:
    """The last event that is folded; 0 when none is."""
    ((last,),) = cursor.execute("SELECT last_id FROM folded").fetchall()
    return int(last)
