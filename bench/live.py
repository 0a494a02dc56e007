"""What a thousand open dashboards cost, and how soon a tick reaches them all."""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from tests.server import Server

from bench.collect import sign_in
from bench.table import table

WATCHERS = 1_000
ROUNDS = 8


class Watcher:
    """One open stream; when it heard of the last tick."""

    def __init__(self) -> None:
        self.ticked = asyncio.Event()
        self.at = 0.0

    async def run(self, port: int, cookie: str) -> None:
        """Read for ever."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /sites/example.com/live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        try:
            while line := await reader.readline():
                if line.startswith(b"event: tick"):
                    self.at = time.perf_counter()
                    self.ticked.set()
        finally:
            writer.close()


async def measured(server: Server, cookie: str, token: str) -> tuple[float, list[float], list[float]]:
    """Bytes for each watcher; seconds from the answer to the last of them, and from the first to the last."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    watchers = [Watcher() for _ in range(WATCHERS)]
    tasks = [asyncio.create_task(watcher.run(server.port, cookie)) for watcher in watchers[:20]]
    await asyncio.gather(*(watcher.ticked.wait() for watcher in watchers[:20]))
    before = process.memory_info().rss
    for watcher in watchers[20:]:
        tasks.append(asyncio.create_task(watcher.run(server.port, cookie)))
        await asyncio.sleep(0.002)
    await asyncio.gather(*(watcher.ticked.wait() for watcher in watchers))
    await asyncio.sleep(2)
    each = (process.memory_info().rss - before) / (WATCHERS - 20)
    reached, spread = [], []
    for number in range(ROUNDS):
        await asyncio.sleep(1.7)
        for watcher in watchers:
            watcher.ticked.clear()
        answer = await asyncio.to_thread(server.collect, token, f"/{number}")
        assert answer.status_code == 200
        begun = time.perf_counter()
        await asyncio.gather(*(watcher.ticked.wait() for watcher in watchers))
        moments = [watcher.at for watcher in watchers]
        reached.append(max(moments) - begun)
        spread.append(max(moments) - min(moments))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return each, reached, spread


def main() -> None:
    """Print the table."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", HARU_LOG_LEVEL="warning") as server:
        token = server.add_site()
        server.start()
        browser = sign_in(server)
        cookie = f"haru_session={browser.cookies['haru_session']}"
        each, reached, spread = asyncio.run(measured(server, cookie, token))
    rows = [
        [f"memory of {WATCHERS:,} open dashboards", f"{each * WATCHERS / 1e6:.0f} MB", "under 60 MB"],
        ["a tick, from the first to the last of them, median", f"{statistics.median(spread) * 1000:.0f} ms", "300 ms"],
        ["worst", f"{max(spread) * 1000:.0f} ms", ""],
        ["from an event's answer until all heard, median", f"{statistics.median(reached) * 1000:.0f} ms", ""],
    ]
    table("Open dashboards", ["what", "measured", "aim"], rows)


if __name__ == "__main__":
    main()
