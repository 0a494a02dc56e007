"""How long commands take that open no event store, and the memory of a server at rest and of a collect process."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from tests.server import Server

from bench.table import table

ROUNDS = 7
REST_SECONDS = 10
COMMANDS = ("--version", "--help", "chekc", "site add --help", "check --settings", "user list", "site list")


def started(server: Server, words: str) -> tuple[float, float]:
    """Seconds that passed and seconds of processor time."""
    before, at = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "haru", *words.split()], env=server.environment, capture_output=True)
    passed, after = time.perf_counter() - at, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", HARU_LOG_LEVEL="warning") as server:
        server.add_site()
        rows = []
        for words in COMMANDS:
            rounds = [started(server, words) for _ in range(ROUNDS)]
            passed, processor = (statistics.median(kind) * 1e3 for kind in zip(*rounds, strict=True))
            least = min(kind for _, kind in rounds) * 1e3
            rows.append([f"haru {words}", f"{passed:.0f}", f"{processor:.0f}", f"{least:.0f}"])
        table("Commands", ["command", "ms passed", "ms of processor time", "at least"], rows)

        sizes = []
        for workers in ("0", "1"):
            server.start("--workers", workers)
            time.sleep(REST_SECONDS)
            assert server.process is not None
            process = psutil.Process(server.process.pid)
            sizes.append([f"haru serve --workers {workers}", f"{process.memory_info().rss / 1e6:.0f}"])
            sizes += [["  its collect process", f"{one.memory_info().rss / 1e6:.0f}"] for one in process.children()]
            server.stop()
        table(f"Memory after {REST_SECONDS} s at rest", ["process", "resident MB"], sizes)


if __name__ == "__main__":
    main()
