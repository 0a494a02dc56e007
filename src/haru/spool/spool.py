"""The spool: accepted events on disk, in the order of arrival, until the store has them.

SQLite in WAL mode with `synchronous=FULL`: a commit that returned survives a kill and a loss of power. A row is what
one commit brought, many events at once: the interpreter's lock, which pages that render compete for, is then taken a
few times for each commit and not for each event.

`Spool` is a file; `Spools` are all the files of a data folder, as the loader reads them: one for each process that
collects, in which `haru.spool.writer` writes to it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from haru import files
from haru.clock import DAY_MS, now_ms
from haru.events.columns import Row
from haru.events.event import Event
from haru.events.ledger import RefusalCount
from haru.settings import Settings

KEY_LIFETIME_MS = DAY_MS  # an idempotency key is remembered this long
MAX_IN_BATCH = 2_000  # events of one row: bounds what a reader must hold at once
CHECKPOINT_BYTES = 4 << 20  # of the write-ahead log: beyond it, it is copied into the file
RESTART_BYTES = 64 << 20  # beyond it, writers are made to wait until it can begin again from its start
FILE = "spool.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT, written_at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS identity (name TEXT NOT NULL);
INSERT INTO identity SELECT hex(randomblob(8)) WHERE NOT EXISTS (SELECT * FROM identity);
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


class Imported(msgspec.Struct, array_like=True, gc=False):
    """Rows of a file of events on their way into the store: their visits are known, they get new ids there."""

    name: str  # of the import: what the store remembers its ids by
    first: int  # the least id in the file
    span: int  # how many ids there are from it to the greatest
    start: int  # how many rows of the file come before these
    rows: list[Row]  # with the ids and visit ids of the file


class Body(msgspec.Struct, array_like=True, gc=False):
    """What one commit brought. New fields go to the end, with a default."""

    events: list[Event]
    keys: list[tuple[int, str]] = []  # idempotency keys: (place in `events`, key)
    refusals: list[RefusalCount] = []  # since the commit before
    imported: Imported | None = None

    def __len__(self) -> int:
        return len(self.events) + (len(self.imported.rows) if self.imported else 0)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One row of a spool, as the loader gets it."""

    id: int  # grows with each commit to the file
    written_at: int  # ms
    body: Body


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Body).decode


class SpoolUnavailable(Exception):
    """The disk refuses the spool; nothing was written. The text says what to do."""


class SpoolFull(SpoolUnavailable):
    """The spool has grown to its limit, as the store has not taken events for long; nothing was written."""


class Transaction:
    """Writes that become durable together, or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, events: Sequence[Event]) -> None:
        """Add events at the end."""
        for start in range(0, len(events), MAX_IN_BATCH):
            self.append_body(Body(list(events[start : start + MAX_IN_BATCH])))

    def append_body(self, body: Body) -> None:
        """Add one row."""
        self._connection.execute("INSERT INTO batch (written_at, body) VALUES (?, ?)", (now_ms(), _encode(body)))

    def add_import_checkpoint(self, site_id: int, digest: bytes, lines: int) -> None:
        """Keep an import checkpoint: a log or file with this digest of its first lines is imported so far."""
        self._connection.execute("INSERT OR IGNORE INTO mark VALUES (?, ?, ?)", (site_id, lines, digest))

    def first_use(self, site_id: int, key: str, at: int) -> bool:
        """Remember an idempotency key; false when it was seen in the last 24 hours. `at` in ms."""
        self._connection.execute("DELETE FROM key WHERE at < ?", (at - KEY_LIFETIME_MS,))
        cursor = self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?)", (site_id, key, at))
        return cursor.rowcount == 1


@contextlib.contextmanager
def usable(what: str) -> Iterator[None]:
    """While a file of the spool is used: what SQLite or the system refuses becomes `SpoolUnavailable`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise SpoolUnavailable(
            f"{what} cannot be used ({error}): see that the data folder's disk has space and that this user may write "
            "there."
        ) from error


class Spool:
    """One file. One object belongs to one thread at a time; several processes may each have one."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open or make the file. Raises `SpoolUnavailable`.

        `durable` is what events need; a reader that only lets go of what the store has does without.
        """
        self.path = path
        with self._errors():
            self._connection = files.database(path, durable=durable)
            # Copying the write-ahead log into the file is left to `checkpoint`, off the path of an answer.
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in _SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise
            # What the store remembers positions by: a file that was lost and made again is another spool.
            (self.name,) = self._connection.execute("SELECT name FROM identity").fetchone()
            (self._page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return usable(f"The spool {self.path.name}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write several things that are on disk together when the block ends. Raises `SpoolUnavailable`."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise

    def append(self, events: Sequence[Event]) -> None:
        """Add events at the end; when it returns they are on disk."""
        with self.transaction() as transaction:
            transaction.append(events)

    def write(
        self, events: Sequence[Event], keys: Sequence[str], refusals: Sequence[RefusalCount] = ()
    ) -> list[bool] | None:
        """One commit of a server: events with their idempotency keys ("" for none), and refusals.

        Answers which events were written, false for one whose key was seen in the last 24 hours; None for all.
        """
        if not any(keys):
            with self._errors():
                # One statement is a transaction of its own: the interpreter's lock changes hands once.
                try:
                    Transaction(self._connection).append_body(Body(list(events), [], list(refusals)))
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.rollback()
                    raise
            return None
        with self.transaction() as transaction:
            pairs = list(zip(events, keys, strict=True))
            fresh = [not key or transaction.first_use(event.site_id, key, event.at) for event, key in pairs]
            kept = [pair for pair, first in zip(pairs, fresh, strict=True) if first]
            if kept or refusals:
                places = [(place, key) for place, (_, key) in enumerate(kept) if key]
                transaction.append_body(Body([event for event, _ in kept], places, list(refusals)))
        return fresh

    def read(self, after: int, most: int) -> list[Batch]:
        """The rows that follow the one with the id `after`, in order, until they hold `most` events or more."""
        batches: list[Batch] = []
        events = 0
        with self._errors():
            cursor = self._connection.execute(
                "SELECT id, written_at, body FROM batch WHERE id > ? ORDER BY id LIMIT ?", (after, most)
            )
            for id, written_at, body in cursor:
                batches.append(Batch(id, written_at, _decode(body)))
                events += len(batches[-1].body)
                if events >= most:
                    break
            cursor.close()
        return batches

    def acknowledge(self, position: int) -> None:
        """Let go of the rows up to this id: the store has them."""
        with self._errors():
            self._connection.execute("DELETE FROM batch WHERE id <= ?", (position,))
            self._checkpoint()

    def _checkpoint(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            size = self.path.with_name(f"{self.path.name}-wal").stat().st_size
            if size > CHECKPOINT_BYTES:
                mode = "RESTART" if size > RESTART_BYTES else "PASSIVE"
                self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def start_after(self, position: int) -> None:
        """Give ids above this one only. Keeps positions growing when a spool was lost and the store was not."""
        with self.transaction():
            (last,) = self._connection.execute(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'batch'), 0)"
            ).fetchone()
            if last < position:
                self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'batch'")
                self._connection.execute("INSERT INTO sqlite_sequence VALUES ('batch', ?)", (position,))

    def events(self) -> list[Event]:
        """All that wait for the store, in order: for people and tests."""
        with self._errors():
            bodies = self._connection.execute("SELECT body FROM batch ORDER BY id").fetchall()
        return [event for (body,) in bodies for event in _decode(body).events]

    def waiting(self) -> tuple[int, int | None]:
        """How many rows wait for the store, and when the oldest was written (ms)."""
        with self._errors():
            count, oldest = self._connection.execute("SELECT count(*), min(written_at) FROM batch").fetchone()
        return int(count), oldest

    def depth(self) -> int:
        """How many events wait for the store, those of files included. Reads them all: for people and tests."""
        with self._errors():
            bodies = self._connection.execute("SELECT body FROM batch ORDER BY id").fetchall()
        return sum(len(_decode(body)) for (body,) in bodies)

    def size(self) -> int:
        """Bytes that what waits takes in the file."""
        with self._errors():
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int((pages - free) * self._page_bytes)

    def import_checkpoints(self, site_id: int) -> dict[int, set[bytes]]:
        """For a site: up to which lines logs and files were imported, each with the digests they had there."""
        checkpoints: dict[int, set[bytes]] = {}
        with self._errors():
            for lines, digest in self._connection.execute(
                "SELECT lines, digest FROM mark WHERE site_id = ?", (site_id,)
            ):
                checkpoints.setdefault(lines, set()).add(digest)
        return checkpoints

    def forget_site(self, site_id: int) -> None:
        """Remove what is remembered of a site's imports and keys."""
        with self.transaction():
            self._connection.execute("DELETE FROM mark WHERE site_id = ?", (site_id,))
            self._connection.execute("DELETE FROM key WHERE site_id = ?", (site_id,))

    def close(self) -> None:
        """Close the file."""
        with self._errors():
            self._connection.close()


def spool_path(settings: Settings, worker: int = 0) -> Path:
    """Where the spool of a collect process lies; 0 is the server's own and that of commands."""
    return settings.data_dir / (f"spool-{worker}.sqlite3" if worker else FILE)


class Spools:
    """Every spool of a data folder, for the one who loads. Belongs to one thread at a time.

    A spool that a process which is no more left behind is among them: what it holds was answered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, Spool] = {}

    def refresh(self) -> list[Spool]:
        """Those that have come since included. Raises `SpoolUnavailable`."""
        for path in sorted(self._folder.glob("spool*.sqlite3")):
            if path not in self._open:
                self._open[path] = Spool(path, durable=False)
        return list(self._open.values())

    def read(self, positions: Mapping[str, int], most: int) -> list[tuple[str, Batch]]:
        """What follows the positions: (spool, row), by the moment of writing, up to about `most` events of each."""
        spools = self.refresh()
        found = [(spool.name, batch) for spool in spools for batch in spool.read(positions.get(spool.name, 0), most)]
        if len(spools) > 1:
            found.sort(key=lambda entry: entry[1].written_at)  # stable: each file keeps its own order
        return found

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Let go of the rows up to these ids: the store has them."""
        for spool in self._open.values():
            if spool.name in positions:
                spool.acknowledge(positions[spool.name])

    def start_after(self, positions: Mapping[str, int]) -> None:
        """Give ids above these only, in each file: positions keep growing when a spool was lost and the store not."""
        for spool in self.refresh():
            spool.start_after(positions.get(spool.name, 0))

    def waiting(self) -> tuple[int, int | None]:
        """How many rows wait for the store, and when the oldest was written (ms)."""
        counts = [spool.waiting() for spool in self.refresh()]
        return sum(count for count, _ in counts), min((at for _, at in counts if at is not None), default=None)

    def depth(self) -> int:
        """How many events wait for the store. Reads them all: for people and tests."""
        return sum(spool.depth() for spool in self.refresh())

    def close(self) -> None:
        """Close the files."""
        for spool in self._open.values():
            spool.close()
        self._open.clear()
