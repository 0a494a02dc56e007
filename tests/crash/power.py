"""Cut the power of a server again and again under load and look whether each answered event is there, once.

The machine goes on, of course: the server is killed, and its folder is replaced by what a disk would hold that kept what
was synced and any part of the rest (`tests.crash.disk`). `python -m tests.crash.power 60` prints the table alone.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.disk import Disk
from tests.crash.killed import MOMENTS
from tests.crash.soak import ANY_MOMENT, TURN_SECONDS, Sent, load, print_table, send_again, stored
from tests.server import Server

TURNS = 4  # so many cuts on one folder, then a new one: what is made on a first start must last as well
ALL_MOMENTS = [*MOMENTS, ANY_MOMENT, ANY_MOMENT]


def cut(server: Server, token: str, turn: int, moment: str, dice: random.Random, *, least: bool = False) -> Sent:
    """Start, load, cut the power, and leave the folder as the disk may have it; `least`: what it has in any case."""
    record = server.data_dir.with_suffix(".journal")
    record.unlink(missing_ok=True)
    server.environment["POWER_JOURNAL"] = str(record)
    server.environment.pop("CRASH_AT", None)
    seconds = TURN_SECONDS
    if moment == ANY_MOMENT:
        seconds = dice.uniform(0.05, 1.0)
    else:
        server.environment["CRASH_AT"] = f"{moment}:{dice.randrange(1, 12)}"
    server.start(module="tests.crash.unplugged", ready="/health/live", dying="CRASH_AT" in server.environment)
    sent = asyncio.run(load(server, token, turn, seconds, asyncio.Event()))
    assert server.process is not None
    assert server.process.returncode == -9, server.log.read_text()[-2000:]
    server.environment.pop("CRASH_AT", None)
    disk = Disk(record)
    put_back(server.data_dir, disk.least() if least else disk.image(dice))
    return sent


def put_back(folder: Path, image: dict[str, bytes]) -> None:
    """The folder holds these files and nothing else."""
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    for name, content in image.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


def cuts(folder: Path, count: int, seed: int) -> dict[str, Sent]:
    """So many cuts at moments in turn. What became of the events, by moment."""
    dice = random.Random(seed)
    table: dict[str, Sent] = {}
    for first in range(0, count, TURNS):
        with Server(folder / f"data-{first}", HARU_LOG_LEVEL="error") as server:
            token = server.add_site()
            rows: dict[int, Sent] = {}
            for turn in range(first, min(first + TURNS, count)):
                moment = ALL_MOMENTS[turn % len(ALL_MOMENTS)]
                rows[turn] = cut(server, token, turn, moment, dice)
            server.start()
            for row in rows.values():
                send_again(server, token, row)
            server.call("load")
            assert server.stop() == 0
        found = stored(server.data_dir)
        for turn, row in rows.items():
            row.lost = sum(found[path] == 0 for path in row.answered)
            row.doubled = sum(times - 1 for path, times in found.items() if path.startswith(f"/{turn}/"))
            table.setdefault(ALL_MOMENTS[turn % len(ALL_MOMENTS)], Sent()).add(row)
        every = Counter(path for row in rows.values() for path in row.answered)
        assert max(every.values(), default=1) == 1
        shutil.rmtree(server.data_dir)
    return table


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        table = cuts(Path(folder), count, seed)
    print(f"\n## {count} power cuts in {time.monotonic() - begun:.0f} s (seed {seed})\n")
    sys.exit(print_table("power cut", table))


if __name__ == "__main__":
    main()
