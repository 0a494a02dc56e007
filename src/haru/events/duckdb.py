"""The embedded event store: DuckDB, one file in the data folder, owned by one process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from haru.events.event import COLUMNS, Origin
from haru.events.ledger import Tally, merged
from haru.events.store import Row, StoreUnavailable
from haru.events.visits import Visit

_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS event (" + ", ".join(f"{name} {kind} NOT NULL" for name, kind in COLUMNS) + ")",
    "CREATE TABLE IF NOT EXISTS loaded (position BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS refusal (site_id BIGINT, hour TIMESTAMP, reason VARCHAR, detail VARCHAR, "
    "count BIGINT NOT NULL, PRIMARY KEY (site_id, hour, reason, detail))",
)
_ORIGIN = Origin.__struct_fields__

# How a column of a batch becomes a column of the table.
_NUMBERS = {"BIGINT": np.int64, "SMALLINT": np.int16, "BOOLEAN": np.bool_, "TIMESTAMP": np.int64}
_SELECT = ", ".join(f"make_timestamp_ms({n})" if kind == "TIMESTAMP" else n for n, kind in COLUMNS)

_TALLY = (
    "INSERT INTO refusal VALUES ($1, make_timestamp_ms($2), $3, $4, $5) "
    "ON CONFLICT DO UPDATE SET count = refusal.count + excluded.count"
)
_TALLIES = (
    "SELECT site_id, epoch_ms(hour), reason, detail, count FROM refusal "
    "WHERE site_id = $1 AND hour >= make_timestamp_ms($2) AND hour < make_timestamp_ms($3) ORDER BY ALL"
)

_VISITS = """
SELECT visit_id, any_value(site_id), any_value(visitor_id),
       epoch_ms(min(occurred_at)), epoch_ms(max(occurred_at)), {origin}
FROM event
WHERE {whole} AND visit_id IN (SELECT visit_id FROM event WHERE {some})
GROUP BY visit_id
"""
# The stamps are the same on all events of a visit, so any of them tells where it came from.
_VISITS_ORIGIN = ", ".join(f"any_value({name})" for name in _ORIGIN)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """The door to the library: its errors become ours."""
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.OutOfMemoryException,
        duckdb.FatalException,
        duckdb.ConnectionException,
    ) as error:
        text = str(error)
        if "lock" in text.lower():
            remedy = "another program has it open: stop it, or let it answer in your place."
        elif "memory" in text.lower():
            remedy = "raise HARU_EVENTS_MEMORY."
        else:
            remedy = "see that the data folder's disk has space and that this user may write there."
        raise StoreUnavailable(f"The event store does not answer ({text.splitlines()[0]}): {remedy}") from error


class DuckStore:
    """`haru.events.store.Store` on DuckDB."""

    def __init__(self, path: Path | None, memory: str = "512MB", threads: int = 2) -> None:
        """Open or make the file; None is a store in memory. Raises `StoreUnavailable`."""
        self._writing = threading.Lock()
        with _errors():
            self._connection = duckdb.connect(
                str(path) if path else ":memory:",
                config={
                    "memory_limit": memory,
                    "threads": threads,
                    # Nothing is ever fetched, and order inside a result is always asked for.
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "preserve_insertion_order": False,
                },
            )
            for statement in _SCHEMA:
                self._connection.execute(statement)
        if path is not None:
            path.chmod(0o600)

    def load(self, rows: Sequence[Row], position: int, tallies: Sequence[Tally] = ()) -> None:
        """See `Store.load`."""
        with self._writing, _errors(), self._cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                if rows:
                    cursor.register("batch", _columns(rows))
                    cursor.execute(f"INSERT INTO event SELECT {_SELECT} FROM batch")
                    cursor.unregister("batch")
                for tally in merged(tallies):
                    cursor.execute(_TALLY, [tally.site_id, tally.hour, tally.reason, tally.detail, tally.count])
                cursor.execute("DELETE FROM loaded")
                cursor.execute("INSERT INTO loaded VALUES ($1)", [position])
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise

    def position(self) -> int:
        """See `Store.position`."""
        with _errors(), self._cursor() as cursor:
            row = cursor.execute("SELECT coalesce(max(position), 0) FROM loaded").fetchone()
        return int(row[0]) if row else 0

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        """See `Store.visits`."""
        some = (
            "site_id = $1 AND occurred_at BETWEEN make_timestamp_ms($2) AND make_timestamp_ms($3) "
            "AND visitor_id IN (SELECT unnest($4::BIGINT[]))"
        )
        return self._visits("site_id = $1", some, [site_id, since, until, list(visitors)])

    def recent_visits(self, since: int) -> list[Visit]:
        """See `Store.recent_visits`."""
        return self._visits("true", "occurred_at >= make_timestamp_ms($1)", [since])

    def _visits(self, whole: str, some: str, parameters: list[Any]) -> list[Visit]:
        query = _VISITS.format(origin=_VISITS_ORIGIN, whole=whole, some=some)
        with _errors(), self._cursor() as cursor:
            rows = cursor.execute(query, parameters).fetchall()
        return [_visit(row) for row in rows]

    def tallies(self, site_id: int, since: int, until: int) -> list[Tally]:
        """See `Store.tallies`."""
        with _errors(), self._cursor() as cursor:
            return [Tally(*row) for row in cursor.execute(_TALLIES, [site_id, since, until]).fetchall()]

    def fetch(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """See `Store.fetch`."""
        compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        values = compiled.construct_params(dict(parameters or {}))
        names = compiled.positiontup or []  # type: ignore[attr-defined]
        with _errors(), self._cursor() as cursor:
            return cursor.execute(compiled.string, [(values or {})[name] for name in names]).fetchall()

    def sql(self, statement: ClauseElement) -> str:
        """See `Store.sql`."""
        return str(
            statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True, "literal_binds": True})
        )

    def delete_site(self, site_id: int) -> None:
        """See `Store.delete_site`."""
        with self._writing, _errors(), self._cursor() as cursor:
            cursor.execute("DELETE FROM event WHERE site_id = $1", [site_id])
            cursor.execute("DELETE FROM refusal WHERE site_id = $1", [site_id])

    def close(self) -> None:
        """See `Store.close`."""
        with self._writing, _errors():
            self._connection.close()

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        # A cursor is a connection of its own to the same database: threads don't wait for each other's queries.
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()


def _visit(row: Row) -> Visit:
    id, site_id, visitor_id, first, last, *origin = row
    return Visit(id, site_id, visitor_id, first, last, Origin(*origin))


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows as one array for each column: DuckDB reads arrays about twice as fast as lists of Python values."""
    return {
        name: np.array(values, dtype=_NUMBERS.get(kind, object))
        for (name, kind), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }
