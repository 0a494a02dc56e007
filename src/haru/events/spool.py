"""The spool: accepted events on disk, in the order of arrival, until the store has them.

SQLite in WAL mode with `synchronous=FULL`: a commit that returned survives a kill and a loss of power. `Spool` is the
file; `Writer` is the one thread that writes to it for a server, many events with each commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

from haru.events.event import Arrival, Event

log = structlog.get_logger()

KEY_LIFETIME_MS = 24 * 60 * 60 * 1000  # an idempotency key is remembered this long
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (
    site_id INTEGER NOT NULL, lines INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (site_id, lines, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key (
    site_id INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site_id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS key_at ON key (at);
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


class SpoolUnavailable(Exception):
    """The disk refuses the spool; nothing was written. The text says what to do."""


class Transaction:
    """Writes that become durable together, or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, events: Sequence[Event]) -> None:
        """Add events at the end."""
        self._connection.executemany("INSERT INTO event (body) VALUES (?)", [(_encode(event),) for event in events])

    def mark(self, site_id: int, digest: bytes, lines: int) -> None:
        """Remember that a log with this digest of its first lines is imported so far."""
        self._connection.execute("INSERT OR IGNORE INTO mark VALUES (?, ?, ?)", (site_id, lines, digest))


class Spool:
    """The file. One object belongs to one thread at a time; several processes may each have one."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises `SpoolUnavailable`."""
        self._path = path
        with self._errors():
            path.touch(mode=0o600, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise SpoolUnavailable(
                f"The spool {self._path.name} cannot be used ({error}): see that the data folder's disk has space and "
                "that this user may write there."
            ) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write several things that are on disk together when the block ends. Raises `SpoolUnavailable`."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
            except BaseException:
                self._connection.rollback()
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._connection.rollback()
                raise

    def append(self, events: Sequence[Event]) -> None:
        """Add events at the end; when it returns they are on disk."""
        with self.transaction() as transaction:
            transaction.append(events)

    def write(self, bodies: Sequence[tuple[int, str, int, bytes]], acknowledged: int) -> list[bool]:
        """One commit of a server: encoded events as (site id, idempotency key or "", moment in ms, body).

        Also lets go of the events up to `acknowledged`, which the store has. Answers which events were written: false
        for one whose key was seen in the last 24 hours.
        """
        written: list[bool] = []
        with self._errors():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                if any(key for _, key, _, _ in bodies):
                    written = [self._first_use(site_id, key, at) for site_id, key, at, _ in bodies]
                    fresh = [(body,) for (*_, body), first in zip(bodies, written, strict=True) if first]
                else:
                    written = [True] * len(bodies)
                    fresh = [(body,) for *_, body in bodies]
                connection.executemany("INSERT INTO event (body) VALUES (?)", fresh)
                if acknowledged:
                    connection.execute("DELETE FROM event WHERE id <= ?", (acknowledged,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise
        return written

    def _first_use(self, site_id: int, key: str, at: int) -> bool:
        if not key:
            return True
        self._connection.execute("DELETE FROM key WHERE at < ?", (at - KEY_LIFETIME_MS,))
        cursor = self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?)", (site_id, key, at))
        return cursor.rowcount == 1

    def read(self, after: int, most: int) -> list[Arrival]:
        """Up to `most` events that arrived after the one with the id `after`, in order."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT id, body FROM event WHERE id > ? ORDER BY id LIMIT ?", (after, most)
            ).fetchall()
        return [Arrival(id, _decode(body)) for id, body in rows]

    def acknowledge(self, position: int) -> None:
        """Let go of the events up to this id: the store has them."""
        with self.transaction():
            self._connection.execute("DELETE FROM event WHERE id <= ?", (position,))

    def start_after(self, position: int) -> None:
        """Give ids above this one only. Keeps ids unique when a spool was lost and the store was not."""
        with self.transaction():
            (last,) = self._connection.execute(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"
            ).fetchone()
            if last < position:
                self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'event'")
                self._connection.execute("INSERT INTO sqlite_sequence VALUES ('event', ?)", (position,))

    def depth(self) -> int:
        """How many events wait for the store."""
        with self._errors():
            (count,) = self._connection.execute("SELECT count(*) FROM event").fetchone()
        return int(count)

    def marks(self, site_id: int) -> dict[int, set[bytes]]:
        """For a site: the numbers of lines up to which logs were imported, each with the digests they had there."""
        marks: dict[int, set[bytes]] = {}
        with self._errors():
            for lines, digest in self._connection.execute(
                "SELECT lines, digest FROM mark WHERE site_id = ?", (site_id,)
            ):
                marks.setdefault(lines, set()).add(digest)
        return marks

    def forget_site(self, site_id: int) -> None:
        """Remove what is remembered of a site's imports and keys."""
        with self.transaction():
            self._connection.execute("DELETE FROM mark WHERE site_id = ?", (site_id,))
            self._connection.execute("DELETE FROM key WHERE site_id = ?", (site_id,))

    def close(self) -> None:
        """Close the file."""
        with self._errors():
            self._connection.close()


_Waiting = tuple[tuple[int, str, int, bytes], asyncio.Future[bool]]


class Writer:
    """The one thread that writes a server's events: what came while a commit ran goes into the next one."""

    def __init__(self, spool: Spool, loop: asyncio.AbstractEventLoop) -> None:
        self._spool = spool
        self._loop = loop
        self._waiting: deque[_Waiting] = deque()  # its append and popleft are atomic, so it needs no lock
        self._acknowledged = 0
        self._wake = threading.Event()
        self._closing = False
        self.committed = threading.Event()  # set after each commit; the loader waits for it
        self.refusing = False  # whether the disk refused the last commit
        self._thread = threading.Thread(target=self._run, name="haru-spool", daemon=True)
        self._thread.start()

    def put(self, event: Event, key: str = "") -> asyncio.Future[bool]:
        """Hand an event over; the future is done when it is on disk: true, or false for a key already counted.

        It raises `SpoolUnavailable` when the disk refuses. Call it on the event loop only.
        """
        future: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(((event.site_id, key, event.at, _encode(event)), future))
        if not self._wake.is_set():  # under load it mostly is, and asking is cheaper than setting
            self._wake.set()
        return future

    def acknowledge(self, position: int) -> None:
        """The store has the events up to this id: they go with the next commit."""
        self._acknowledged = max(self._acknowledged, position)
        self._wake.set()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what waits, then end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        done = 0
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            acknowledged = self._acknowledged
            if (waiting or acknowledged > done) and self._commit(waiting, acknowledged if acknowledged > done else 0):
                done = acknowledged
            if closing and not self._waiting:
                return

    def _commit(self, waiting: list[_Waiting], acknowledged: int) -> bool:
        outcome: list[bool] | Exception
        try:
            outcome = self._spool.write([entry for entry, _ in waiting], acknowledged)
            if self.refusing:
                log.info("spool_recovered")
            self.refusing = False
        except Exception as error:
            # Whatever went wrong, those who wait must hear of it and the thread must go on.
            if not self.refusing:
                log.error("spool_refused", error=str(error), waiting=len(waiting))
            self.refusing = True
            outcome = error if isinstance(error, SpoolUnavailable) else SpoolUnavailable(str(error))
        if waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, waiting, outcome)
            self.committed.set()
        return not self.refusing


def _settle(waiting: list[_Waiting], outcome: list[bool] | Exception) -> None:
    """Answer those who wait; runs on the event loop, once for each commit."""
    if isinstance(outcome, Exception):
        for _, future in waiting:
            if not future.done():
                future.set_exception(outcome)
        return
    for (_, future), written in zip(waiting, outcome, strict=True):
        if not future.done():
            future.set_result(written)
