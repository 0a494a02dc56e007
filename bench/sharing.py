"""What an owner's page takes beside 30 guests of a shared link who change views, and what they leave behind.

`BENCH_PAST=1_000_000` is the number of events of the site.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path

import httpx
import psutil
from tests.server import Server

from bench.collect import history, sign_in
from bench.table import table
from bench.traffic import DAYS

PAST = int(os.environ.get("BENCH_PAST", "1_000_000"))
GUESTS = 30
PAGES = 12  # of the owner, in each part
AFTER_SECONDS = 75  # more than a round of refreshing
_LINK = """
from haru.web.project import setup
setup.configure()
from haru.sites import links
from haru.sites.models import Site
print(links.add_link(Site.objects.get(), "Board").slug)
"""


def view(chance: random.Random) -> str:
    """A period that hardly anyone has asked for."""
    first = date.today() - timedelta(DAYS - chance.randrange(DAYS // 2))
    return f"?period=custom&from={first}&to={first + timedelta(chance.randrange(20, DAYS // 2))}"


def pages(browser: httpx.Client, chance: random.Random) -> list[float]:
    """Seconds of some pages of the owner, one after the other."""
    took = []
    for _ in range(PAGES):
        begun = time.perf_counter()
        assert browser.get(f"/sites/example.com{view(chance)}").status_code == 200
        took.append(time.perf_counter() - begun)
    return took


class Guest(threading.Thread):
    """Someone with the link who changes views."""

    def __init__(self, address: str, number: int, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._chance = random.Random(1000 + number)
        self._stopped = stopped
        self.seen = 0

    def run(self) -> None:
        """Look at one view after the other."""
        with httpx.Client(timeout=120) as browser:
            while not self._stopped.is_set():
                answer = browser.get(f"{self._address}{view(self._chance)}")
                self.seen += answer.status_code == 200


def main() -> None:
    """Print the table."""
    chance, stopped = random.Random(1), threading.Event()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", HARU_LOG_LEVEL="warning") as server:
        server.add_site()
        history(server, PAST)
        slug = server.python("-c", _LINK).stdout.split()[-1]
        server.start()
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        owner = sign_in(server)
        pages(owner, chance)  # what is made once
        alone = pages(owner, chance)
        guests = [Guest(f"{server.url}/share/{slug}", number, stopped) for number in range(GUESTS)]
        begun = time.perf_counter()
        for guest in guests:
            guest.start()
        time.sleep(5)
        beside = pages(owner, chance)
        stopped.set()
        for guest in guests:
            guest.join()
        seen, lasted = sum(guest.seen for guest in guests), time.perf_counter() - begun
        busy = sum(process.cpu_times()[:2])
        time.sleep(AFTER_SECONDS)
        busy = sum(process.cpu_times()[:2]) - busy
    once, then = statistics.median(alone), statistics.median(beside)
    rows = [
        ["the owner's page, alone, median", f"{once * 1000:.0f} ms"],
        [f"beside {GUESTS} guests who change views, median", f"{then * 1000:.0f} ms"],
        ["worst", f"{max(beside) * 1000:.0f} ms"],
        ["ratio of the medians", f"{then / once:.1f}"],
        ["guests' pages a second meanwhile", f"{seen / lasted:.1f}"],
        [f"seconds of a core in the {AFTER_SECONDS} s after they left", f"{busy:.1f}"],
    ]
    table(f"An owner beside guests, {PAST:,} events", ["what", "measured"], rows)


if __name__ == "__main__":
    main()
