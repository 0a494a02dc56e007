"""Moving house: every event, the refusal ledger and the progress of one event store to another, and the proof.

The source is read month by month. Each batch tells the target how much has come so far, in its own transaction, so a
move that was killed goes on where it was. At the end both are read again and compared: the rows of every month and
site by a checksum, and every metric.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import msgspec
from sqlalchemy import func, select

from haru.clock import DAY_MS, LATEST_MS
from haru.events.columns import NAMES, Row
from haru.events.ledger import RefusalCount
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Query, QueryError, parse
from haru.stats.sql.counters import EVENT
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.metrics import METRICS
from haru.stats.vocabulary.periods import Dates
from haru.store.protocol import Progress, Store

BATCH = 10_000  # rows or refusals of one load
# What the target's progress knows of a move that is not finished: how much has come, and of which source.
MOVED, FROM_ID, FROM_ROWS = "move", "move/last-id", "move/rows"

_SITE, _AT = NAMES.index("site_id"), NAMES.index("occurred_at")
_encode = msgspec.msgpack.Encoder().encode


class MoveRefused(Exception):
    """The move cannot be made; the text says why and what to do."""


@dataclass(slots=True)
class Sum:
    """What a site's month holds: the number of its rows, and a sum over them that no order changes."""

    rows: int = 0
    digest: int = 0

    def add(self, row: Row) -> None:
        """One more row."""
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(hashlib.blake2b(_encode(row), digest_size=8).digest())) % 2**64


Place = tuple[date, int]  # first of a month in UTC, site id
Sums = dict[Place, Sum]


@dataclass(frozen=True, slots=True)
class Line:
    """One month of one site in the report."""

    month: date
    site_id: int
    before: Sum
    after: Sum
    metrics: dict[str, tuple[object, object]]  # name → before and after

    @property
    def differences(self) -> list[str]:
        """What is not the same, in words."""
        found = [f"{name} {then} → {now}" for name, (then, now) in self.metrics.items() if then != now]
        if self.before.rows != self.after.rows:
            found.insert(0, f"rows {self.before.rows:,} → {self.after.rows:,}")
        elif self.before.digest != self.after.digest:
            found.insert(0, "the rows say something else")
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """What the comparison of both stores found."""

    lines: list[Line]
    ledger: tuple[int, int]  # refusals before and after
    differences: list[str] = field(default_factory=list)  # beside those of the lines

    @property
    def equal(self) -> bool:
        """Whether the target holds what the source holds."""
        return not self.differences and not any(line.differences for line in self.lines)


def move(source: Store, target: Store, ledgers: Iterable[int], said: Callable[[str], None]) -> Report:
    """Copy everything and compare. Both stores are held; neither is closed.

    `ledgers` are further sites whose refusals move; those that the source has are added. `said` hears in
    words how far it is. Raises `MoveRefused`, `StoreHeld` and `StoreUnavailable`.
    """
    source.acquire()
    target.acquire()
    origin, rows = source.progress(), _count(source)
    before = target.progress()
    done = before.positions.get(MOVED, 0)
    if done:
        if (before.positions.get(FROM_ID), before.positions.get(FROM_ROWS)) != (origin.last_id, rows):
            raise MoveRefused(
                "The target holds part of a move, and the source has changed since: empty the target, then move again."
            )
        said(f"going on after {done:,}")
    elif _count(target) or before.last_id:
        raise MoveRefused("The target holds events already: name an empty store, so that nothing is mixed.")
    sites = sorted({0, *ledgers, *source.sites()})
    refusals = [refusal for site_id in sites for refusal in source.refusal_counts(site_id, 0, LATEST_MS)]
    checkpoints = {FROM_ID: origin.last_id, FROM_ROWS: rows}
    sums: Sums = {}
    come = 0
    for batch in _batches(_rows(source, sums)):
        come += len(batch)
        fresh = batch[max(0, len(batch) - (come - done)) :] if come > done else []
        if fresh:
            # The last id is the source's from the beginning, so that no id is ever given twice.
            target.load(fresh, Progress(origin.last_id, {**checkpoints, MOVED: come}))
            said(f"{come:,} of {rows:,} events")
    for start in range(0, len(refusals), BATCH):
        come += len(refusals[start : start + BATCH])
        if come > done:
            target.load([], Progress(origin.last_id, {**checkpoints, MOVED: come}), refusals[start : start + BATCH])
    target.load([], Progress(origin.last_id, {**origin.positions, **dict.fromkeys((*checkpoints, MOVED), 0)}))
    said("comparing")
    return _compared(source, target, sums, sites, refusals)


def _compared(source: Store, target: Store, sums: Sums, sites: list[int], refusals: list[RefusalCount]) -> Report:
    found: Sums = {}
    for _ in _rows(target, found):
        pass
    metrics = _metrics()
    reports = Reports(source), Reports(target)
    lines = []
    for month, site_id in sorted({*sums, *found}):
        answers = [_numbers(each, site_id, month, metrics) for each in reports]
        before, after = sums.get((month, site_id), Sum()), found.get((month, site_id), Sum())
        pairs = dict(zip(metrics, zip(*answers, strict=True), strict=True))
        lines.append(Line(month, site_id, before, after, pairs))
    copied = [refusal for site_id in sites for refusal in target.refusal_counts(site_id, 0, LATEST_MS)]
    differences = []
    if sorted(map(_encode, refusals)) != sorted(map(_encode, copied)):
        differences.append("the refusal ledger is not the same")
    then, now = source.progress(), target.progress()
    if then.last_id != now.last_id or any(now.positions.get(name) != at for name, at in then.positions.items()):
        differences.append("the progress of the loader is not the same")
    return Report(lines, (sum(t.count for t in refusals), sum(t.count for t in copied)), differences)


def _rows(store: Store, sums: Sums) -> Iterator[Row]:
    """Every row, month by month; what was read is added to the sums."""
    for start, end in _months(store):
        month = _day(start)
        for some in store.scan(None, start, end):
            for row in some:
                key = (month, row[_SITE])
                if key not in sums:
                    sums[key] = Sum()
                sums[key].add(row)
                yield row


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _months(store: Store) -> list[tuple[int, int]]:
    """The months (UTC, ms, the end not included) from the first event to the last."""
    ((first, last),) = store.fetch(select(func.min(EVENT.c.occurred_at), func.max(EVENT.c.occurred_at)))
    if first is None or not _count(store):
        return []
    months = []
    at, end = _day(periods.milliseconds(first)).replace(day=1), periods.milliseconds(last)
    while (start := _ms(at)) <= end:
        at = (at + timedelta(days=32)).replace(day=1)
        months.append((start, _ms(at)))
    return months


def _count(store: Store) -> int:
    ((count,),) = store.fetch(select(func.count()).select_from(EVENT))
    return int(count)


def _metrics() -> tuple[str, ...]:
    """Every metric that can be asked of a whole site."""
    found = []
    for name in METRICS:
        try:
            parse({"metrics": [name], "date_range": "day"})
        except QueryError:
            continue
        found.append(name)
    return tuple(found)


def _numbers(reports: Reports, site_id: int, month: date, metrics: tuple[str, ...]) -> tuple[object, ...]:
    last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    query = Query(metrics, Dates(month, last))
    answer = reports.answer(StatsSite(site_id, "UTC"), query, _ms(last) + DAY_MS, fresh=True)
    return tuple(answer.rows[0].metrics)


def _day(at_ms: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date()


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
