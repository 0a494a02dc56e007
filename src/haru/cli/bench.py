"""`haru bench`: what this machine can carry."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.output import columns, echo

CONNECTIONS = 64
PREFIX = "haru-bench-"  # of the folder
START_SECONDS = 60
DAY_SECONDS = 86_400
PEAK = 5  # a site's busiest minutes have about five times the traffic of its average
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0"


@click.command("bench")
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True, help="Length of each part.")
@click.option(
    "--workers", type=click.IntRange(0, 64), default=0, show_default=True, help="Processes that only collect."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def bench(seconds: float, workers: int, as_json: bool) -> None:
    """Measure what this machine can carry, with a server of its own on the data folder's disk.

    It makes a folder in the data folder, serves on a free port of this machine, sends events to it, and removes the
    folder. A server that runs meanwhile keeps its events but shares the machine.

    \b
    Examples:
      haru bench
      haru bench --seconds 20 --workers 2
    """
    data_dir = context.settings().data_dir
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=data_dir) as folder:
        found = _measured(Path(folder), seconds, workers)
    if as_json:
        echo(json.dumps(found, indent=2))
        return
    lines = {
        "events answered in a second, each on disk": f"{found['events_per_second']:,.0f}",
        f"at {found['rate']:,.0f} a second: answered within, half of them": f"{found['p50_ms']:.1f} ms",
        "  99 of 100": f"{found['p99_ms']:.1f} ms",
        "until the dashboard could show the last": f"{found['shown_after_ms']:,.0f} ms",
        "server's memory after that": f"{found['memory_mb']:,.0f} MB",
    }
    echo(columns(lines.items()))
    a_day = _rounded(found["events_per_second"] * DAY_SECONDS / PEAK)
    echo(
        f"\nThis machine carries about {a_day} events a day: the busiest minutes have about {PEAK} times the average. "
        "The sender of the load ran on it too."
    )


def _rounded(number: float) -> str:
    if number >= 1e6:
        return f"{number / 1e6:,.0f} million"
    return f"{number / 1e3:,.0f} thousand"


def _measured(folder: Path, seconds: float, workers: int) -> dict[str, float]:
    from haru.demo import load

    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HARU_", "DJANGO_"))} | {
        "HARU_DATA_DIR": str(folder),
        "HARU_PORT": str(port),
        "HARU_HOST": "127.0.0.1",
        "HARU_BASE_URL": url,
        "HARU_RATE_LIMIT": "0",
        "HARU_WORKERS": str(workers),
        "HARU_LOG_LEVEL": "warning",
    }
    token = _site(environment, folder)
    requests = [_request(f"{url}/api/collect", token, number) for number in range(CONNECTIONS)]
    with _server(environment, folder, url) as process:
        load.closed(url, requests, min(1.0, seconds))  # warm
        most = load.closed(url, requests, seconds)
        _all_counted(most)
        rate = min(2_000.0, most.per_second / 4)
        time.sleep(1)
        outcome = load.at_rate(url, requests, seconds, rate)
        _all_counted(outcome)
        begun = time.perf_counter()
        while _waiting(folder):
            time.sleep(0.005)
        return {
            "events_per_second": most.per_second,
            "rate": rate,
            "p50_ms": outcome.percentile(0.5),
            "p99_ms": outcome.percentile(0.99),
            "shown_after_ms": (time.perf_counter() - begun) * 1000,
            "memory_mb": _memory(process.pid),
        }


def _request(url: str, token: str, number: int) -> bytes:
    from haru.demo import load

    version = 120 + number % 20
    body = {"p": f"/page/{number % 20}?utm_source=news", "r": "https://www.google.com/", "sw": 1920, "sh": 1080}
    return load.request(url, token, json.dumps(body).encode(), AGENT.format(version, version))


def _all_counted(outcome: object) -> None:
    from haru.demo import load

    assert isinstance(outcome, load.Outcome)
    if set(outcome.statuses) - {200}:
        raise Failure(f"The server did not take every event: answers by status {dict(outcome.statuses)}.")


def _site(environment: dict[str, str], folder: Path) -> str:
    for arguments, stdin in (
        (("user", "add", "bench@example.com", "--password-stdin"), "four words for now\n"),
        (("site", "add", "bench.example", "--owner", "bench@example.com"), ""),
        (("site", "list", "--json"), ""),
    ):
        done = subprocess.run(  # noqa: S603  # this very program
            [sys.executable, "-m", "haru", *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if done.returncode:
            raise Failure(f"The server to measure could not be made: {done.stderr.strip()}")
    return str(json.loads(done.stdout)[0]["token"])


@contextmanager
def _server(environment: dict[str, str], folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    import httpx

    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # this very program
            [sys.executable, "-m", "haru", "serve"], env=environment, stdout=output, stderr=output, cwd=folder
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                shutil.copyfileobj(log.open(), sys.stderr)
                raise Failure("The server to measure did not start.")
            try:
                if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def _waiting(folder: Path) -> int:
    from haru.server.control import Client

    return int(Client(folder).call("status")["spool_depth"])


def _memory(pid: int) -> float:
    """Resident megabytes; 0 where the system doesn't tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
