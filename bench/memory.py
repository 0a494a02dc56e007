"""Whether memory stays level under minutes of load."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import psutil
from tests.server import FIREFOX, Server

from bench.table import table
from haru.demo import load

MINUTES = float(os.environ.get("BENCH_MINUTES", "10"))
RATE = 1_000
PARTS = 20


def requests(url: str, token: str, part: int) -> list[bytes]:
    """Other visitors and pages in each part, so that what grows with them is seen."""
    return [
        load.request(
            f"{url}/api/collect",
            token,
            json.dumps({"p": f"/{part}/{number}", "r": f"https://site-{part}-{number}.example/"}).encode(),
            FIREFOX.replace("140.0", f"{part}.{number}"),
        )
        for number in range(256)
    ]


def main() -> None:
    """Print the table."""
    sizes = []
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", HARU_LOG_LEVEL="warning") as server:
        token = server.add_site()
        server.start()
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        begun = time.monotonic()
        events = 0
        for part in range(PARTS):
            outcome = load.at_rate(server.url, requests(server.url, token, part), MINUTES * 60 / PARTS, RATE)
            assert set(outcome.statuses) == {200}, outcome.statuses
            events += len(outcome.latencies)
            sizes.append((time.monotonic() - begun, process.memory_info().rss))
    rows = [[f"{at / 60:.1f}", f"{size / 1e6:.0f}"] for at, size in sizes]
    table(f"Memory under {RATE:,} events/s, {events:,} in all", ["minutes", "resident MB"], rows)


if __name__ == "__main__":
    main()
