"""The event store on ClickHouse: a server, a cluster, or chDB, which is ClickHouse inside this process.

ClickHouse has no transactions, so this is how a batch is loaded wholly or not at all, and once:

- Who loads holds an **epoch**, a number that nobody had before (`haru.store.clickhouse.lease`). Its batches have the
  numbers epoch·2³² + 1, + 2, ...; every row of events and refusals holds the number of its batch.
- A batch is its rows of events, its refusals, and then one row of `progress` with its number, last id and positions.
  That last row is written in one piece: with it the batch is **committed**, without it it is not.
- An epoch begins with a row of `progress` of its own, the **fence**: `batch` is epoch·2³², `after` is the newest
  committed batch at that moment, and last id and positions are those of that batch. The newest row of `progress` by
  `batch` says how far the store is.

So a row is left over from a batch that was never committed when its number lies between `after` and the number of
a fence. Such rows are removed when an epoch begins, before anything else is read.

Why nothing is lost and nothing is counted twice, wherever a process dies or a message is lost:

1. *A crash before the commit.* The next start takes a new epoch, whose fence names the batch before: the rows of the
   cut batch lie in the gap and go. Its events are still in the spool, and are loaded under new numbers, however they
   are cut this time.
2. *A crash after the commit.* The fence takes over its position: the spool is read after it.
3. *An answer that was lost.* The same batch comes again, to the same epoch: its number and its tokens (made from the
   epoch and the bytes of the batch) are the same, and ClickHouse drops an insert whose token it knows. Another batch
   in its place begins a new epoch first, as in 1. Tokens of two epochs differ, so what was removed can come again.
4. *An insert that arrives late*, from a process that died: its number lies in the gap, whatever it is. A row of
   `progress` is older than the fence and says nothing; other rows are not seen by 1 and are removed by the look that
   follows for as long as an insert may run.
5. *Two loaders.* The new one writes its epoch and then reads what is committed; the old one writes its commit and then
   reads the newest epoch. Whatever the order, the new one knows the commit, or the old one learns that it lost its
   place: then it lets nothing go from its spool and begins again from what the store says (`StoreMoved`).

Between its first insert and its commit a batch can be seen by queries: a number may be some milliseconds early, and
after a crash too high until the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.sql import ClauseElement

from haru.events.columns import COLUMNS, Row
from haru.events.event import Origin
from haru.events.ledger import RefusalCount, merge
from haru.events.visits import Visit
from haru.store.clickhouse import sql as sql
from haru.store.clickhouse import tables as ddl
from haru.store.clickhouse.client import ANSWER_SECONDS, WRITE_SECONDS, Address, ClickHouseClient
from haru.store.clickhouse.lease import Lease
from haru.store.migrations import Migration, migrate
from haru.store.protocol import Progress, StoreMoved, StoreUnavailable
from haru.store.rows import visit_of
from haru.store.stop import Stop

_EPOCH = 1 << 32  # batches of an epoch, more than it can ever have
_GAPS = 64  # the newest fences, whose gaps are looked into
_LATE_SECONDS = ANSWER_SECONDS + WRITE_SECONDS  # how long an insert of a process that died may still arrive
_SCANNED = 5_000  # rows of a scan that are in memory at once
_ORIGIN = Origin.__struct_fields__

_PROGRESS = "SELECT batch, last_id, positions FROM progress ORDER BY batch DESC LIMIT 1"
_FENCES = f"SELECT any(after), epoch FROM progress GROUP BY epoch ORDER BY epoch DESC LIMIT {_GAPS}"
_REFUSAL_COUNTS = (
    "SELECT site_id, toUnixTimestamp64Milli(hour), reason, detail, sum(count) FROM refusal "
    "WHERE site_id = {site_id} AND hour >= {since} AND hour < {until} "
    "GROUP BY site_id, hour, reason, detail ORDER BY hour, reason, detail"
)
_SITES = "SELECT DISTINCT site_id FROM event UNION DISTINCT SELECT DISTINCT site_id FROM refusal WHERE site_id <> 0"
_VISITS = (
    "SELECT visit_id, any(site_id), any(visitor_id), toUnixTimestamp64Milli(min(occurred_at)), "
    # The stamps are the same on all events of a visit, so any of them tells where it came from.
    f"toUnixTimestamp64Milli(max(occurred_at)), {', '.join(f'any({name})' for name in _ORIGIN)} "
    "FROM event WHERE {whole} AND visit_id IN (SELECT visit_id FROM event WHERE {some}) GROUP BY visit_id"
)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class ClickHouseStore:
    """`haru.store.protocol.Store` on ClickHouse; what each call means is said there."""

    engine = "clickhouse"

    def __init__(
        self, address: Address, memory: int = 0, threads: int = 0, holder: str = "", name: str = "unnamed"
    ) -> None:
        """`memory` (bytes, of chDB) and `threads` are the most a statement may use; 0 leaves it to the server.

        `holder` tells loaders apart and `name` shows one to people; chDB's folder can have one process only.
        """
        self._client = ClickHouseClient(address, memory if address.path else 0, threads)
        self._layout = address.layout
        self._lease = Lease(self._client, "embedded" if address.path else holder or uuid.uuid4().hex, name)
        self._writing = threading.RLock()
        self._opening = threading.Lock()
        self._prepared = False
        self._batch = 0  # the newest committed batch, of this store's own epoch
        self._after = 0  # the batch that was the newest when the epoch began
        self._known: Progress | None = None  # how far the store is, as whoever loads believes
        self._attempt = ""  # digest of a batch that was begun and is not known to be committed
        self._late_until = 0.0

    def open(self) -> None:
        with self._opening:
            if not self._prepared:
                _prepare(self._client, self._layout)
                self._prepared = True

    def acquire(self) -> None:
        with self._writing:
            if self._attempt or not self._lease.epoch:
                self._take()

    def load(self, rows: Sequence[Row], progress: Progress, refusals: Sequence[RefusalCount] = ()) -> None:
        """Raises `StoreHeld`, and `StoreMoved` when another loader has worked on the store."""
        content = hashlib.blake2b(_encode((rows, progress, refusals)), digest_size=16).hexdigest()
        with self._writing:
            if self._done_already(content, progress):
                return
            batch = self._batch + 1
            self._attempt = content
            token = f"{self._lease.epoch}-{content}"
            if rows:
                self._insert("event", ddl.EVENT, [*zip(*rows, strict=True), [batch] * len(rows)], token)
            if counted := [msgspec.structs.astuple(refusal) for refusal in merge(refusals)]:
                self._insert("refusal", ddl.REFUSAL, [*zip(*counted, strict=True), [batch] * len(counted)], token)
            self._commit(batch, self._after, progress, token)
            self._see_that_it_is_ours()
            self._batch, self._known, self._attempt = batch, progress, ""

    def _done_already(self, content: str, progress: Progress) -> bool:
        """Whether this batch is committed: it was tried before. After it the store is held, whichever the answer."""
        if self._lease.epoch and not self._attempt:
            return False
        known = self._known
        if self._lease.epoch and self._attempt == content:
            self._see_that_it_is_ours()
            batch, found = self._committed()
            if batch <= self._batch:
                return False
            self._batch, self._known, self._attempt = batch, found, ""
            return True
        # The first batch, or another one in the place of one that failed.
        self._take()
        if known is None or self._known == known:
            return False
        if self._known == progress:
            return True
        self._forget()
        self._known = known
        raise StoreMoved("The event store is not where this loader left it: it begins again.")

    def _see_that_it_is_ours(self) -> None:
        if self._lease.lost:
            self._forget()
            raise StoreMoved("Another loader has taken this event store over: this one begins again.")

    def _take(self) -> None:
        """Begin an epoch: what is committed stands, the rest is removed."""
        self.open()
        self._forget()
        ((newest,),) = self._client.query("SELECT max(epoch) FROM progress")
        epoch = self._lease.take((newest or 0) + 1)
        try:
            after, progress = self._committed()
            self._commit(epoch * _EPOCH, after, progress, f"fence-{epoch}")
            self._remove_left_over()
        except BaseException:
            self._forget()
            raise
        self._batch, self._after, self._known = epoch * _EPOCH, after, progress
        if not self._client.embedded:
            self._late_until = time.monotonic() + _LATE_SECONDS
            self._lease.keep(self._look_for_late)

    def _forget(self) -> None:
        """Hold no epoch any more. What whoever loads believes the store to be stays known."""
        self._lease.epoch = 0
        self._batch, self._after, self._attempt = 0, 0, ""

    def _committed(self) -> tuple[int, Progress]:
        """The newest committed batch and how far it brings the store."""
        rows = self._client.query(_PROGRESS)
        if not rows:
            return 0, Progress()
        batch, last_id, positions = rows[0]
        return batch, Progress(last_id, positions)

    def _commit(self, batch: int, after: int, progress: Progress, token: str) -> None:
        row = [[batch // _EPOCH], [batch], [after], [progress.last_id], [dict(progress.positions)]]
        self._insert("progress", ddl.PROGRESS, row, token)

    def _insert(self, table: str, columns: Sequence[tuple[str, str]], data: Sequence[Any], token: str) -> None:
        self._client.insert(table, columns, data, token)

    def _remove_left_over(self) -> None:
        """Remove the rows of batches that were never committed."""
        gaps = [(after, epoch * _EPOCH) for after, epoch in self._client.query(_FENCES)]
        where = " OR ".join(f"(batch > {after} AND batch < {fence})" for after, fence in gaps)
        for table, name in (("event", self._layout.events), ("refusal", "refusal")):
            ((count,),) = self._client.query(f"SELECT count() FROM {table} WHERE {where}")
            if count:
                self._client.command(ddl.delete(self._layout, name, where), {"mutations_sync": 2})

    def _look_for_late(self) -> None:
        if time.monotonic() < self._late_until:
            with self._writing:
                self._remove_left_over()

    def progress(self) -> Progress:
        self.open()
        _, progress = self._committed()
        return progress

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        wanted = list(visitors)
        if not wanted:
            return []
        some = (
            f"site_id = {int(site_id)} AND occurred_at >= {_moment(since)} AND occurred_at <= {_moment(until)} "
            f"AND visitor_id IN {sql.literal(wanted)}"
        )
        return self._visits(f"site_id = {int(site_id)}", some)

    def recent_visits(self, since: int) -> list[Visit]:
        return self._visits("1", f"occurred_at >= {_moment(since)}")

    def _visits(self, whole: str, some: str) -> list[Visit]:
        self.open()
        rows = self._client.query(_VISITS.format(whole=whole, some=some))
        return [visit_of(row) for row in rows]

    def refusal_counts(self, site_id: int, since: int, until: int) -> list[RefusalCount]:
        self.open()
        found = self._client.query(
            _REFUSAL_COUNTS.format(site_id=int(site_id), since=_moment(since), until=_moment(until))
        )
        return [RefusalCount(*row) for row in found]

    def sites(self) -> set[int]:
        self.open()
        return {site_id for (site_id,) in self._client.query(_SITES)}

    def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None, stop: Stop | None = None
    ) -> list[Row]:
        self.open()
        return self._client.query(sql.text(statement, parameters), stop=stop)

    def scan(self, site_id: int | None, since: int, until: int) -> Iterator[list[Row]]:
        self.open()
        columns = ", ".join(f"toUnixTimestamp64Milli({n})" if kind == "TIMESTAMP" else n for n, kind in COLUMNS)
        site = "1" if site_id is None else f"site_id = {int(site_id)}"
        yield from self._client.stream(
            f"SELECT {columns} FROM event WHERE {site} AND occurred_at >= {_moment(since)} "
            f"AND occurred_at < {_moment(until)} ORDER BY id",
            _SCANNED,
        )

    def sql(self, statement: ClauseElement) -> str:
        return sql.text(statement)

    def delete_site(self, site_id: int) -> None:
        with self._writing:
            self.open()
            for table in (self._layout.events, "refusal"):
                where = f"site_id = {int(site_id)}"
                self._client.command(ddl.delete(self._layout, table, where), {"mutations_sync": 2})

    def destroy(self) -> None:
        """The tables go, the database stays."""
        self.acquire()
        self._lease.stop()  # its thread may want the lock
        with self._writing:
            for statement in ddl.drops(self._layout):
                self._client.command(statement)
            self._forget()
            self._known = None
            self._prepared = False
            self._client.close()

    def close(self) -> None:
        self._lease.stop()  # its thread may want the lock
        with self._writing:
            with contextlib.suppress(StoreUnavailable):
                self._lease.release()
            self._forget()
            self._prepared = False
            self._client.close()


def _moment(ms: int) -> str:
    return f"fromUnixTimestamp64Milli({int(ms)}, 'UTC')"


def _prepare(client: ClickHouseClient, layout: ddl.Layout) -> None:
    """Bring the tables up to date. Raises `StoreTooNew`."""

    def apply(migration: Migration) -> None:
        for statement in migration.statements:
            client.command(statement)
        columns = (("number", "UInt32"), ("title", "String"))
        client.insert("version", columns, [[migration.number], [migration.title]], f"version-{migration.number}")

    migrate(ddl.migrations(layout), _version(client), apply)


def _version(client: ClickHouseClient) -> int:
    """The number of the last migration; 0 when there are no tables."""
    if not client.query("SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'version'"):
        return 0
    ((version,),) = client.query("SELECT max(number) FROM version")
    return int(version or 0)
