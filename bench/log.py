"""How many lines of an access log are imported in a second, from the file to the store."""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path

from tests.server import Server

from bench.table import table

LINES = 100_000
AGENTS = [
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64")
    for version in range(100, 140)
]
REFERRERS = ["-", "https://www.google.com/", "https://news.ycombinator.com/item?id=1", "https://example.com/"]


def write_log(path: Path) -> None:
    """A combined log as a small site has it: a third of the lines are assets."""
    dice = random.Random(7)
    with path.open("w") as file:
        for number in range(LINES):
            minute, second = divmod(number // 20, 60)
            hour, minute = divmod(minute, 60)
            address = f"198.51.{dice.randrange(256)}.{dice.randrange(256)}"
            page = f"/static/{dice.randrange(40)}.css" if dice.random() < 0.33 else f"/post/{dice.randrange(300)}"
            file.write(
                f'{address} - - [17/May/2025:{hour:02}:{minute:02}:{second:02} +0000] "GET {page} HTTP/1.1" 200 5120 '
                f'"{dice.choice(REFERRERS)}" "{dice.choice(AGENTS)}"\n'
            )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        write_log(log)
        with Server(Path(folder) / "data") as server:
            server.add_site()
            begun = time.perf_counter()
            summary = json.loads(server.haru("import", "log", str(log), "--site", "example.com", "--json").stdout)
            seconds = time.perf_counter() - begun
        rows = [
            ["lines/s, the command's start and the load into the store included", f"{LINES / seconds:,.0f}", "20,000"],
            ["of these lines pageviews", f"{summary['imported']:,}", ""],
        ]
        table("Import of a log", ["what", "measured", "aim"], rows)


if __name__ == "__main__":
    main()
