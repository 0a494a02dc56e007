"""How long do the panels of a dashboard take? 30 days of a site with 1 M events in 90 days, nothing cached."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bench.table import table
from haru.events.duckdb import DuckStore
from haru.events.event import COLUMNS
from haru.stats.query import Query, parse
from haru.stats.report import Reports, StatsSite

DAYS = 90
VISITS = 330_000  # about three events each
START = 1_767_225_600_000  # 2026-01-01
DAY_MS = 86_400_000
NOW = START + (DAYS - 1) * DAY_MS
ROUNDS = 7

_TOTALS = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"]


def _breakdown(dimension: str) -> dict[str, Any]:
    return {"metrics": ["visitors", "percentage"], "dimensions": [dimension], "pagination": {"limit": 9}}


PANELS: dict[str, dict[str, Any]] = {
    "totals, compared": {"metrics": _TOTALS, "include": {"comparisons": {"mode": "previous_period"}}},
    "series of visitors": {"metrics": ["visitors"], "dimensions": ["time"], "include": {"time_labels": True}},
    "sources": _breakdown("visit:source"),
    "channels": _breakdown("visit:channel"),
    "pages": _breakdown("event:page"),
    "entry pages": _breakdown("visit:entry_page"),
    "exit pages": _breakdown("visit:exit_page"),
    "countries": _breakdown("visit:country"),
    "devices": _breakdown("visit:device"),
    "browsers": _breakdown("visit:browser"),
    "operating systems": _breakdown("visit:os"),
}


def traffic(path: Path, visits: int = VISITS, days: int = DAYS, seed: int = 1) -> int:
    """Write a store of one site's made-up events, the same for the same seed; returns how many there are."""
    random = np.random.default_rng(seed)
    start = np.sort(random.integers(0, days * DAY_MS, visits)) + START
    sizes = np.minimum(random.geometric(1 / 3.03, visits), 60)
    visit = np.repeat(np.arange(visits), sizes)
    step = np.arange(len(visit)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    gaps = np.where(step == 0, 0, random.exponential(60_000, len(visit)).astype(np.int64))
    since = np.cumsum(gaps)
    at = start[visit] + since - np.repeat(since[np.cumsum(sizes) - sizes], sizes)
    order = np.argsort(at, kind="stable")
    visit, step, at = visit[order], step[order], at[order]
    size = len(at)
    ids = np.arange(1, size + 1)
    opener = np.zeros(visits, np.int64)
    opener[visit[step == 0]] = ids[step == 0]

    def popular(words: list[str], count: int) -> Any:
        weights = 1 / np.arange(1, len(words) + 1)
        return np.array(words, dtype=object)[random.choice(len(words), count, p=weights / weights.sum())]

    def stamp(*words: str) -> Any:
        return popular(list(words), visits)[visit]

    # A visitor has another id each day.
    person = random.zipf(1.6, visits) % 2_000_000 + random.integers(0, 2500, visits)
    visitor = person.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + (start // DAY_MS).astype(np.uint64)
    chance = random.random(size)
    columns: dict[str, Any] = {
        "id": ids,
        "site_id": np.ones(size, np.int64),
        "occurred_at": at,
        "visitor_id": (visitor * np.uint64(0xC2B2AE3D27D4EB4F)).view(np.int64)[visit],
        "visit_id": opener[visit],
        "name": np.where(
            (step > 0) & (chance < 0.12), "engagement", np.where((step > 0) & (chance > 0.95), "signup", "pageview")
        ).astype(object),
        "path": popular([f"/page/{n}" for n in range(3000)], size),
        "source": stamp("", "Google", "Hacker News", "X", *(f"s{n}.example" for n in range(200))),
        "channel": stamp("", "Organic Search", "Referral", "Organic Social", "Email", "Paid Search"),
        "country": stamp("DE", "US", "FR", "GB", "IN", "", *(f"{a}{b}" for a in "ABCD" for b in "EFGHIJKLMN")),
        "device": stamp("Desktop", "Mobile", "Tablet"),
        "browser": stamp("Chrome", "Safari", "Firefox", "Edge", "Opera", ""),
        "os": stamp("Windows", "iOS", "Android", "macOS", "Linux"),
        "interactive": np.ones(size, np.bool_),
    }
    for name, kind in COLUMNS:
        if name not in columns:
            columns[name] = np.full(size, "", object) if kind == "VARCHAR" else np.zeros(size, np.int64)
    select = ", ".join(f"make_timestamp_ms({n})" if kind == "TIMESTAMP" else n for n, kind in COLUMNS)
    store = DuckStore(path)
    store.open()  # makes the tables
    store.close()
    with duckdb.connect(str(path)) as connection:
        connection.register("batch", {name: columns[name] for name, _ in COLUMNS})
        connection.execute(f"INSERT INTO event SELECT {select} FROM batch")
    return size


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _at_once(reports: Reports, site: StatsSite, queries: list[Query]) -> None:
    """Ask as a browser does that loads all panels of a page."""
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda query: reports.answer(site, query, NOW), queries))


def main() -> None:
    """Print the table."""
    site = StatsSite(1, "Europe/Berlin")
    queries = {name: parse({"date_range": "30d", **query}) for name, query in PANELS.items()}
    with tempfile.TemporaryDirectory() as folder:
        size = traffic(Path(folder) / "events.duckdb")
        store = DuckStore(Path(folder) / "events.duckdb")
        times: dict[str, list[float]] = {name: [] for name in [*queries, "all together"]}
        for _ in range(ROUNDS):
            reports = Reports(store)  # with an empty cache
            for name, query in queries.items():
                times[name].append(_milliseconds(lambda: reports.answer(site, query, NOW)))  # noqa: B023
            times["all together"].append(sum(times[name][-1] for name in queries))
        together = [
            _milliseconds(lambda: _at_once(Reports(store), site, list(queries.values()))) for _ in range(ROUNDS)
        ]
        warm = _milliseconds(lambda: [reports.answer(site, query, NOW) for query in queries.values()])
        store.close()
    rows = [[name, f"{statistics.median(found):.1f}", f"{min(found):.1f}"] for name, found in times.items()]
    rows.append(["all together, asked at once", f"{statistics.median(together):.1f}", f"{min(together):.1f}"])
    rows.append(["all together, cached", f"{warm:.2f}", ""])
    table(f"Panels of 30 days, {size:,} events in {DAYS} days", ["panel", "ms, median", "ms, best"], rows)


if __name__ == "__main__":
    main()
