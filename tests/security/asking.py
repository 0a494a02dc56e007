"""A process of its own that answers one query, on standard input, and tells what it took. Memory is what it grew by."""

from __future__ import annotations

import json
import resource
import sys
import time

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import QueryError, parse
from tests.stats.made import filled, journey, ms

NOON = ms("2026-05-20 12:00")
SITE = StatsSite(1, "UTC")


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Answer, and print what it took."""
    reports = Reports(filled([event for v in range(1, 200) for event in journey(v, NOON, (0, f"/{v}"), (1, "/x"))]))
    reports.answer(SITE, parse({"metrics": ["visitors"], "date_range": "day", "dimensions": ["event:page"]}), NOON)
    data = json.load(sys.stdin)
    before, begun, text = peak_mb(), time.perf_counter(), ""
    try:
        reports.answer(SITE, parse(data), NOON)
    except QueryError as error:
        text = str(error)
    seconds = time.perf_counter() - begun
    json.dump({"seconds": seconds, "megabytes": peak_mb() - before, "error": text}, sys.stdout)


if __name__ == "__main__":
    main()
