"""How long do the questions of a dashboard take? 30 days of the busiest of 20 sites, 90 days of events, three sizes.

`BENCH_SIZES=1,10,100` (millions of events), `BENCH_STORES=duckdb,postgresql,chdb`, `BENCH_ROUNDS=5`, `BENCH_FOLDER`
(where DuckDB's files are made, and kept when it is named: made once they are taken again).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import column, func, select
from sqlalchemy import table as table_of

from bench.table import table
from bench.traffic import DAY_MS, DAYS, START, Traffic, batches, fill_duckdb, first
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.sql.counters import E
from haru.stats.vocabulary.periods import moment
from haru.store.clickhouse.client import Address
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.duckdb.store import DuckStore
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Store

NOW = START + (DAYS - 1) * DAY_MS
SITE = StatsSite(1, "Europe/Berlin")
SIZES = [int(float(size) * 1_000_000) for size in os.environ.get("BENCH_SIZES", "1,10").split(",")]
STORES = os.environ.get("BENCH_STORES", "duckdb,postgresql,chdb").split(",")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
LOADED = 200_000  # events that go through `Store.load`, to see how fast that is
BATCH = 10_000  # events of one such call
BULK = 20  # such batches at once, for the rest

_TOTALS = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"]
_COMPARED = {"comparisons": {"mode": "previous_period"}}


def _breakdown(dimension: str) -> dict[str, Any]:
    return {"metrics": ["visitors"], "dimensions": [dimension], "pagination": {"limit": 9}}


# The page as it is first shown, then what its other tabs ask.
PAGE: dict[str, dict[str, Any]] = {
    "totals, compared": {"metrics": _TOTALS, "include": _COMPARED},
    "series of visitors, compared": {
        "metrics": ["visitors"],
        "dimensions": ["time:day"],
        "include": {"time_labels": True, **_COMPARED},
    },
    "sources": _breakdown("visit:source"),
    "pages": _breakdown("event:page"),
    "countries": _breakdown("visit:country"),
    "browsers": _breakdown("visit:browser"),
}
TABS: dict[str, dict[str, Any]] = {
    "channels": _breakdown("visit:channel"),
    "campaigns": _breakdown("visit:utm_campaign"),
    "entry pages": _breakdown("visit:entry_page"),
    "exit pages": _breakdown("visit:exit_page"),
    "regions": _breakdown("visit:region"),
    "operating systems": _breakdown("visit:os"),
    "devices": _breakdown("visit:device"),
    "screens": _breakdown("visit:screen"),
}
PANELS = {**PAGE, **TABS}

# What the page's questions read.
_READ = (E.visitor_id, E.visit_id, E.id, E.occurred_at, E.name, E.path, E.source, E.country, E.browser)
_READ_BY_TABS = (E.channel, E.utm_campaign, E.region, E.os, E.device, E.screen)


@dataclass(frozen=True, slots=True)
class Made:
    """A store with its events, and how it came about."""

    store: Store
    events: int
    load_rate: float  # events a second through `Store.load`
    bulk_rate: float  # straight into the table, or through `Store.load` in larger batches
    fold_rate: float  # 0 when the store does not fold
    bytes: int


@contextlib.contextmanager
def _duckdb(folder: Path, events: int) -> Iterator[Made]:
    path = folder / f"{events}.duckdb"
    bulk = 0.0
    if not path.exists():
        begun = time.perf_counter()
        size = fill_duckdb(path, Traffic(events))
        bulk = size / (time.perf_counter() - begun)
    store = DuckStore(path)
    begun = time.perf_counter()
    waiting = store.unfolded()
    while store.fold():
        pass
    fold = waiting / (time.perf_counter() - begun) if waiting else 0.0
    store.close()  # all that is in the log goes to the file
    loaded = DuckStore(folder / "loaded.duckdb")
    rate = _load_rate(loaded)
    loaded.close()
    (folder / "loaded.duckdb").unlink()
    ((size,),) = store.fetch(select(func.count(E.id)))
    yield Made(store, size, rate, bulk, fold, path.stat().st_size)
    store.close()


def _filled(store: Store, events: int, size: Callable[[], int]) -> Made:
    """All events go through `Store.load`, as there is no other way: the first as a server loads, the rest in bulk."""
    made = batches(Traffic(events).days(), BATCH)

    def load(most: int, at_once: int) -> tuple[int, float]:
        count, begun = 0, time.perf_counter()
        while count < most and (some := list(islice(made, at_once))):
            rows = [row for batch, _ in some for row in batch]
            store.load(rows, some[-1][1])
            count += len(rows)
        return count, count / (time.perf_counter() - begun)

    first_count, rate = load(min(LOADED, events // 2), 1)
    rest, bulk = load(events * 2, BULK)
    return Made(store, first_count + rest, rate, bulk, 0.0, size())


@contextlib.contextmanager
def _postgresql(_: Path, events: int) -> Iterator[Made]:
    from tests.postgres import cluster

    with cluster() as server:
        store = PostgresStore(server.database())
        store.acquire()
        sizes = select(func.sum(func.pg_total_relation_size(column("oid")))).select_from(table_of("pg_class"))
        # A partition's indexes are counted with it.
        partitions = sizes.where(column("relname").like("event_2%"), column("relkind") == "r")
        yield _filled(store, events, lambda: int(store.fetch(partitions)[0][0]))
        store.close()


@contextlib.contextmanager
def _chdb(folder: Path, events: int) -> Iterator[Made]:
    # A process has one folder of chDB.
    store = ClickHouseStore(Address(folder / "chdb", database=f"bench_{events}"), 4_000_000_000, 2)
    store.acquire()
    parts = select(func.sum(column("bytes_on_disk"))).select_from(table_of("parts", schema="system"))
    ours = parts.where(column("active") == 1, column("database") == f"bench_{events}")
    yield _filled(store, events, lambda: int(store.fetch(ours)[0][0]))
    store.destroy()


OPENERS: dict[str, Callable[[Path, int], contextlib.AbstractContextManager[Made]]] = {
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "chdb": _chdb,
}


def _load_rate(store: Store) -> float:
    made = list(batches(first(Traffic(LOADED * DAYS // 4).days(), 4), BATCH))
    begun = time.perf_counter()
    for rows, progress in made:
        store.load(rows, progress)
    return sum(len(rows) for rows, _ in made) / (time.perf_counter() - begun)


Cost = tuple[float, float]  # ms that passed, ms of processor time: the second says most on a busy machine


def milliseconds(work: Callable[[], object]) -> Cost:
    """How long it takes."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - begun) * 1000, (time.process_time() - used) * 1000


def scan(store: Store, columns: tuple[Any, ...], days: int) -> None:
    """Read these columns of the site's events of the last days, once, and do as little as one can with them."""
    within = (E.site_id == SITE.id, E.occurred_at >= moment(NOW - days * DAY_MS), E.occurred_at < moment(NOW))
    store.fetch(select(*(func.max(column) for column in columns)).where(*within))


def measured(made: Made) -> dict[str, Cost]:
    """Milliseconds of each question and of all together, medians of some rounds, each with an empty cache."""
    queries = {name: parse({"date_range": "30d", **query}) for name, query in PANELS.items()}

    def ask(names: list[str], reports: Reports) -> None:
        for name in names:
            reports.answer(SITE, queries[name], NOW)

    found: dict[str, list[Cost]] = {}
    for _ in range(ROUNDS):
        rounds = {
            **{name: milliseconds(lambda n=name: ask([n], Reports(made.store))) for name in PANELS},  # type: ignore[misc]
            "the page, all panels": milliseconds(lambda: ask(list(PAGE), Reports(made.store))),
            "the page and every tab": milliseconds(lambda: ask(list(PANELS), Reports(made.store))),
            "one scan of what the page reads, 60 days": milliseconds(lambda: scan(made.store, _READ, 60)),
            "one scan of what page and tabs read, 60 days": milliseconds(
                lambda: scan(made.store, (*_READ, *_READ_BY_TABS), 60)
            ),
        }
        for name, value in rounds.items():
            found.setdefault(name, []).append(value)
    warm = Reports(made.store)
    ask(list(PANELS), warm)
    found["the page, from the cache"] = [milliseconds(lambda: ask(list(PAGE), warm)) for _ in range(ROUNDS)]
    return {
        name: (statistics.median(passed for passed, _ in costs), statistics.median(used for _, used in costs))
        for name, costs in found.items()
    }


def main() -> None:
    """Print a table for each store."""
    with contextlib.ExitStack() as held:
        named = os.environ.get("BENCH_FOLDER")
        folder = Path(named) if named else Path(held.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for engine in STORES:
            columns = []
            for size in SIZES:
                if shutil.disk_usage(folder).free < size * 100:
                    print(f"{size:,} events: the disk has no room for them")
                    continue
                with OPENERS[engine](folder, size) as made:
                    columns.append((made, measured(made)))
            _print(engine, columns)


def _print(engine: str, columns: list[tuple[Made, dict[str, Cost]]]) -> None:
    def shown(value: float, form: str = ",.0f") -> str:
        return format(value, form) if value else ""

    rows = [
        ["events/s by `Store.load`", *(shown(made.load_rate) for made, _ in columns)],
        ["events/s in bulk", *(shown(made.bulk_rate) for made, _ in columns)],
        ["events/s folded", *(shown(made.fold_rate) for made, _ in columns)],
        ["bytes on disk of an event", *(f"{made.bytes / made.events:.0f}" for made, _ in columns)],
    ]
    rows += [
        [
            f"{name}, ms",
            *(" / ".join(f"{value:,.{1 if value < 10 else 0}f}" for value in times[name]) for _, times in columns),
        ]
        for name in (columns[0][1] if columns else [])
    ]
    compared = (
        ("the page, all panels", "one scan of what the page reads, 60 days"),
        ("the page and every tab", "one scan of what page and tabs read, 60 days"),
    )
    rows += [
        [
            f"{whole}: scans",
            *(
                " / ".join(f"{w / p:.1f}" for w, p in zip(times[whole], times[part], strict=True))
                for _, times in columns
            ),
        ]
        for whole, part in compared
    ]
    head = [
        "30 days of a site with half the traffic; ms passed / of processor time",
        *(f"{made.events:,}" for made, _ in columns),
    ]
    table(f"Questions, {engine}, {DAYS} days of 20 sites", head, rows)


if __name__ == "__main__":
    main()
