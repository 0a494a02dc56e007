"""How many durable events one core takes, how long an answer takes at 2,000 a second while dashboards refresh, and
how long until the dashboard shows an event. The server has the first core, the load the second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psutil
from tests.server import FIREFOX, Server, free_port

from bench.table import table
from bench.traffic import Traffic, fill_duckdb
from haru.demo import load as load
from haru.store.duckdb.store import DuckStore

CONNECTIONS = 64
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = 3
RATE = 2000
PAST = int(os.environ.get("BENCH_PAST", "10_000_000"))  # events of the site whose dashboard is open
REQUEST = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_NUMBER = """
from haru.web.project import setup
setup.configure()
from haru.sites.models import Site
print(Site.objects.get().pk)
"""


def pin(process: psutil.Process, core: int) -> None:
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})
    process.cpu_affinity([core])


def requests(url: str, token: str) -> list[bytes]:
    """One for each connection, of different visitors and pages."""
    made = []
    for number in range(CONNECTIONS):
        body = {
            "p": f"https://example.com/page/{number % 20}?utm_source=news{number % 3}",
            "r": "https://www.google.com/",
            "sw": 1920,
            "sh": 1080,
            "tz": "Europe/Berlin",
        }
        agent = FIREFOX.replace("140.0", f"{120 + number % 20}.0")
        made.append(load.request(f"{url}/api/collect", token, json.dumps(body).encode(), agent))
    return made


def resident(process: psutil.Process) -> str:
    return f"{process.memory_info().rss / 1e6:.0f} MB"


def sign_in(server: Server) -> httpx.Client:
    client = httpx.Client(base_url=server.url, timeout=30, follow_redirects=True, headers={"Referer": server.url})
    page = client.get("/account/login/")
    found = REQUEST.search(page.text)
    assert found is not None
    answer = client.post(
        "/account/login/",
        data={"login": "owner@example.com", "password": "a long password", "csrfmiddlewaretoken": found[1]},
    )
    assert "haru_session" in client.cookies, answer.text[:2000]
    return client


def collecting(server: Server) -> psutil.Process:
    """The process that answers: the server's first collect process, or the server."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    return next((each for each in process.children() if "haru.server.worker" in each.cmdline()), process)


def throughput(folder: Path, workers: int = 0) -> list[list[str]]:
    port = free_port()
    empty = subprocess.Popen([sys.executable, "-m", "bench.empty", str(port)])
    with Server(folder / f"data-{workers}", HARU_LOG_LEVEL="warning", HARU_WORKERS=str(workers)) as server:
        try:
            token = server.add_site()
            server.start()
            assert server.process is not None
            process = psutil.Process(server.process.pid)
            time.sleep(3)
            idle = resident(process)
            if workers:
                pin(process, 1)  # loads and serves pages, beside the load
            pin(collecting(server), 0)
            pin(psutil.Process(empty.pid), 0)
            os.sched_setaffinity(0, {1})
            durable, nothing = [], []
            for _ in range(ROUNDS):  # in turn, so that both see the machine's good and bad moments
                outcome = load.closed(f"{server.url}/", requests(server.url, token), SECONDS)
                assert set(outcome.statuses) == {200}, outcome.statuses
                durable.append(outcome.per_second)
                url = f"http://127.0.0.1:{port}"
                outcome = load.closed(f"{url}/", requests(url, token), SECONDS)
                assert set(outcome.statuses) == {204}, outcome.statuses
                nothing.append(outcome.per_second)
            ratio = statistics.median(a / b for a, b in zip(durable, nothing, strict=True))
            how = "one collect process" if workers else "one process for all"
            return [
                [f"durable events/s, {how}, one core, 64 connections", f"{statistics.median(durable):,.0f}", ""],
                ["empty handler answering 204, same server", f"{statistics.median(nothing):,.0f}", ""],
                ["ratio", f"{ratio:.2f}", "0.6 or more"],
                ["resident memory of the server, idle", idle, "" if workers else "under 160 MB"],
                ["resident memory of the server, after that load", resident(process), ""],
            ]
        finally:
            os.sched_setaffinity(0, {0, 1})
            empty.kill()
            empty.wait()


def growth(folder: Path) -> list[list[str]]:
    """Events a second with one process for all, and with two that collect, on both cores beside the load."""
    rates = {}
    for workers in (0, 2):
        with Server(folder / f"workers-{workers}", HARU_LOG_LEVEL="warning", HARU_WORKERS=str(workers)) as server:
            token = server.add_site()
            server.start()
            time.sleep(2)
            found = [load.closed(f"{server.url}/", requests(server.url, token), SECONDS) for _ in range(ROUNDS)]
            assert all(set(outcome.statuses) == {200} for outcome in found)
            rates[workers] = statistics.median(outcome.per_second for outcome in found)
    return [
        ["events/s on both cores with the load, one process", f"{rates[0]:,.0f}", ""],
        ["the same with two collect processes", f"{rates[2]:,.0f} ({rates[2] / rates[0]:.2f} times)", ""],
    ]


def history(server: Server, events: int) -> None:
    """Give the one site of a server that does not run a past of so many events, the last of them now."""
    path, number = server.data_dir / "events.duckdb", int(server.python("-c", _NUMBER).stdout.split()[-1])
    fill_duckdb(path, Traffic(events, sites=1))
    with closing(duckdb.connect(str(path))) as store:
        store.execute("CREATE TEMP TABLE last AS SELECT now()::TIMESTAMP - max(occurred_at) AS since FROM event")
        store.execute("UPDATE event SET site_id = $1, occurred_at = occurred_at + (SELECT since FROM last)", [number])
    with closing(DuckStore(path)) as folding:  # as a server has long done with the past
        while folding.fold():
            pass


def watch(url: str, cookies: dict[str, str], stop: Any, seen: Any) -> None:
    """Ask for a dashboard's whole page each second until told to stop; puts the seconds that each took into `seen`."""
    views = []
    with httpx.Client(base_url=url, cookies=cookies, timeout=30) as client:
        while not stop.wait(1.0):
            begun = time.perf_counter()
            assert client.get("/sites/example.com?period=day").status_code == 200
            views.append(time.perf_counter() - begun)
            if len(views) == 1:
                seen.put(None)
    seen.put(views)


def latency(folder: Path, workers: int = 0) -> list[list[str]]:
    with Server(folder / f"latency-{workers}", HARU_LOG_LEVEL="warning", HARU_WORKERS=str(workers)) as server:
        token = server.add_site()
        history(server, PAST)
        server.start()
        dashboard = sign_in(server)
        load.at_rate(server.url, requests(server.url, token), 2, RATE)  # warm
        # A process of its own: as a thread it would hold up the sender, which counts as the server's slowness.
        processes = multiprocessing.get_context("spawn")
        stop, seen = processes.Event(), processes.Queue()
        watcher = processes.Process(target=watch, args=(server.url, dict(dashboard.cookies), stop, seen))
        watcher.start()
        seen.get(timeout=30)  # it is there and asks
        outcome = load.at_rate(server.url, requests(server.url, token), SECONDS * 2, RATE)
        stop.set()
        views = seen.get(timeout=30)
        watcher.join()
        assert set(outcome.statuses) == {200}, outcome.statuses
        assert views
        past = f"a dashboard of {PAST / 1e6:.0f} M events each second"
        how = f"{workers} collect process, {past}" if workers else f"one process, {past}"
        return [
            [f"p50 at {RATE:,}/s, {how}", f"{outcome.percentile(0.5):.1f} ms", ""],
            ["p99", f"{outcome.percentile(0.99):.1f} ms", "under 8 ms"],
            ["the dashboard's whole page meanwhile, median", f"{statistics.median(views) * 1000:.0f} ms", ""],
            ["event to dashboard, median of 20", *delay(server, dashboard, token)],
        ]


def delay(server: Server, dashboard: httpx.Client, token: str) -> tuple[str, str]:
    """From the answer to an event until the tick that tells an open dashboard of it, and the totals that show it."""
    delays = []
    with dashboard.stream("GET", "/sites/example.com/live", timeout=30) as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data:"))
        for number in range(20):
            time.sleep(1.2)  # a watcher gets one tick a second at most: each event finds it ready
            begun = time.perf_counter()
            assert server.collect(token, f"/delay/{number}").status_code == 200
            next(line for line in lines if line.startswith("data:"))
            assert dashboard.get("/sites/example.com/panels/top?period=day").status_code == 200
            delays.append(time.perf_counter() - begun)
    return f"{statistics.median(delays) * 1000:.0f} ms (worst {max(delays) * 1000:.0f})", "under 1 s"


def _rows(folder: Path) -> list[list[str]]:
    return (
        throughput(folder)
        + throughput(folder, workers=1)
        + growth(folder)
        + latency(folder)
        + latency(folder, workers=1)
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table("Collect", ["what", "measured", "aim"], _rows(Path(folder)))


if __name__ == "__main__":
    main()
