"""How long do suggestions take while somebody types? A million events of the site in the period, on DuckDB.

`BENCH_EVENTS=2` (millions, of which the site has half), `BENCH_ROUNDS=5`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.query import NOW, SITE, Cost, milliseconds
from bench.table import table
from bench.traffic import Traffic, fill_duckdb
from haru.stats import suggestions
from haru.stats.answers import Reports
from haru.stats.suggestions import parse_wanted, suggest
from haru.store.duckdb.store import DuckStore

EVENTS = int(float(os.environ.get("BENCH_EVENTS", "2")) * 1_000_000)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
# What is typed for each; the last of them is found among seldom values only.
TYPED = {
    "visit:source": "goo",
    "visit:country": "ger",
    "visit:referrer": "1999",
    "event:page": "own-2999",
    "visit:entry_page": "own-2999",
    "event:name": "sign",
    "event:props:": "p",
    "event:props:plan": "pro",
}


def _cost(reports: Reports, dimension: str, text: str) -> Cost:
    wanted = parse_wanted(dimension, text, "91d", [])
    return milliseconds(lambda: suggest(reports, SITE, wanted, NOW))


def _shown(costs: list[Cost]) -> str:
    return " / ".join(f"{statistics.median(values):.1f}" for values in zip(*costs, strict=True))


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.duckdb"
        fill_duckdb(path, Traffic(EVENTS))
        store = DuckStore(path)
        while store.fold():
            pass
        rows = []
        for dimension, text in TYPED.items():
            opened: list[Cost] = []
            first: list[Cost] = []
            typed: list[Cost] = []
            for _ in range(ROUNDS):
                reports = Reports(store)
                opened.append(_cost(reports, dimension, ""))
                first.append(_cost(reports, dimension, text))
                typed.append(_cost(reports, dimension, text))
                time.sleep(0.05)
            rows.append([dimension, text, *map(_shown, (opened, first, typed))])
        head = ["ms passed / of processor time", "typed", "the menu opens", "a text is typed", "again"]
        title = f"Suggestions of {EVENTS // 2:,} events in the period, {suggestions.SEARCHED:,} values searched"
        table(title, head, rows)
        store.close()


if __name__ == "__main__":
    main()
