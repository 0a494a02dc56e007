"""Kill a server again and again under load and look whether each answered event is there, once.

`python -m tests.crash.soak 100` prints the table of docs/reliability.md and ends with 1 when an event is lost or doubled.
`tests.crash.power` does the same with the power.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx

from tests.crash.killed import MOMENTS
from tests.server import FIREFOX, Server

SENDERS = 24
TURN_SECONDS = 6.0  # the longest that a turn waits for its moment
ANY_MOMENT = "at any moment, from outside"


@dataclass
class Sent:
    """What one turn, or all of them, came to."""

    kills: int = 0
    answered: list[str] = field(default_factory=list)  # paths
    again: list[str] = field(default_factory=list)  # paths with a key that were not answered
    unanswered: int = 0
    lost: int = 0
    doubled: int = 0

    def add(self, other: Sent) -> None:
        """Take in what another came to."""
        self.kills += other.kills
        self.answered += other.answered
        self.again += other.again
        self.unanswered += other.unanswered
        self.lost += other.lost
        self.doubled += other.doubled


async def load(server: Server, token: str, turn: int, seconds: float, died: asyncio.Event) -> Sent:
    """Send until the server died; those whose answer did not come are to be sent again with the same key."""
    sent = Sent(kills=1)
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
    limits = httpx.Limits(max_connections=SENDERS)

    async with httpx.AsyncClient(headers=headers, timeout=5, limits=limits) as client:

        async def sender(number: int) -> None:
            count = 0
            while not died.is_set():
                path = f"/{turn}/{number}/{count}"
                keyed = count % 3 == 0
                count += 1
                try:
                    answer = await client.post(
                        f"{server.url}/api/collect", json={"p": path, **({"id": path} if keyed else {})}
                    )
                except httpx.TransportError:
                    sent.unanswered += 1
                    if keyed:
                        sent.again.append(path)
                    await asyncio.sleep(0.01)
                    continue
                assert answer.status_code == 200, answer.text
                sent.answered.append(path)

        async def watcher() -> None:
            assert server.process is not None
            deadline = time.monotonic() + seconds
            while server.process.poll() is None:
                if time.monotonic() > deadline:
                    server.kill()
                await asyncio.sleep(0.002)
            died.set()

        await asyncio.gather(watcher(), *(sender(number) for number in range(SENDERS)))
    return sent


def soak(folder: Path, kills: int, seed: int) -> dict[str, Sent]:
    """So many kills at moments in turn. What became of the events, by moment."""
    dice = random.Random(seed)
    moments = [*MOMENTS, ANY_MOMENT, ANY_MOMENT]
    table: dict[str, Sent] = {}
    with Server(folder / "data", HARU_LOG_LEVEL="error") as server:
        token = server.add_site()
        for turn in range(kills):
            moment = moments[turn % len(moments)]
            seconds = TURN_SECONDS
            server.environment.pop("CRASH_AT", None)
            if moment == ANY_MOMENT:
                seconds = dice.uniform(0.05, 1.0)
            else:
                server.environment["CRASH_AT"] = f"{moment}:{dice.randrange(4, 12)}"
            server.start(module="tests.crash.killed")
            sent = asyncio.run(load(server, token, turn, seconds, asyncio.Event()))
            assert server.process is not None
            assert server.process.returncode == -9, server.log.read_text()[-2000:]
            table.setdefault(moment, Sent()).add(sent)
        server.environment.pop("CRASH_AT", None)
        server.start()
        for row in table.values():
            send_again(server, token, row)
        server.call("load")
        assert server.stop() == 0
    found = stored(folder / "data")
    for row in table.values():
        row.lost = sum(found[path] == 0 for path in row.answered)
    every = Counter(path for row in table.values() for path in row.answered)
    assert max(every.values()) == 1
    for path, times in found.items():
        if times > 1:
            table[moments[int(path.split("/")[1]) % len(moments)]].doubled += times - 1
    return table


def send_again(server: Server, token: str, row: Sent) -> None:
    """As a careful sender does: the same events with the same keys, to the server that is there now."""
    for path in row.again:
        answer = server.collect(token, path, id=path)
        assert answer.status_code == 200, answer.text
        row.answered.append(path)


def stored(data_dir: Path) -> Counter[str]:
    """How often each path is in the store."""
    with closing(duckdb.connect(str(data_dir / "events.duckdb"), read_only=True)) as store:
        return Counter(path for (path,) in store.execute("SELECT path FROM event").fetchall())


def print_table(what: str, table: dict[str, Sent]) -> int:
    """Print what became of the events; 1 when one was lost or doubled."""
    print(f"| {what} | times | answered | cut off | lost | doubled |\n|---|---|---|---|---|---|")
    total = Sent()
    for row in table.values():
        total.add(row)
    for moment, row in [*table.items(), ("all", total)]:
        print(f"| {moment} | {row.kills} | {len(row.answered):,} | {row.unanswered:,} | {row.lost} | {row.doubled} |")
    return int(bool(total.lost or total.doubled))


def main() -> None:
    """Print the table."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        table = soak(Path(folder), kills, seed)
    print(f"\n## {kills} kills in {time.monotonic() - begun:.0f} s (seed {seed})\n")
    sys.exit(print_table("killed", table))


if __name__ == "__main__":
    main()
