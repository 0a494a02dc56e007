"""How many events a second the loader brings from the spool into the store."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from bench.table import table
from haru.events.event import Event, Origin
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spool, Spools
from haru.store.duckdb.store import DuckStore
from haru.store.loader import Loader

EVENTS = 400_000
BATCH = 100  # events of one commit of the spool


def events(count: int, now: int) -> list[Event]:
    """Of 20,000 visitors on 20 sites, in the order of arrival, as a busy quarter of an hour brings them."""
    dice = random.Random(5)
    made = []
    for number in range(count):
        visitor = dice.randrange(20_000)
        origin = Origin("Google", "Organic Search", "google.com", country="DE", device="Desktop", browser="Firefox")
        at = now - 900_000 + number * 900_000 // count
        made.append(Event(visitor % 20 + 1, at, visitor * 7919, visitor * 7919, f"/page/{dice.randrange(300)}", origin))
    return made


def main() -> None:
    """Print the table."""
    now = int(time.time() * 1000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spool = Spool(folder / "spool.sqlite3")
        made = events(EVENTS, now)
        with spool.transaction() as transaction:
            for start in range(0, EVENTS, BATCH):
                transaction.append(made[start : start + BATCH])
        spool.close()
        spools, store = Spools(folder), DuckStore(folder / "events.duckdb")
        loader = Loader(spools, store, IdempotencyKeys(folder))
        loader.start(now)
        begun, used = time.perf_counter(), time.process_time()
        stored = sum(load.events for load in loader.drain(now))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        store.close()
        size = (folder / "events.duckdb").stat().st_size
    assert stored == EVENTS
    rows = [
        ["events/s from the spool into the store", f"{EVENTS / seconds:,.0f}", "30,000"],
        ["processor time of an event", f"{cpu / EVENTS * 1e6:.1f} µs", ""],
        ["bytes of an event in the store", f"{size / EVENTS:.0f}", ""],
    ]
    table(f"Loading of {EVENTS:,} events", ["what", "measured", "aim"], rows)


if __name__ == "__main__":
    main()
