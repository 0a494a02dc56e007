"""The files that one pageview, one question and one page of the dashboard walk through: `python -m bench.walk [-v]`.

It follows the calls as a reader of the code does, who reads each function once, where it is called first. Each step
from a file into another is an entry; one into a file that the walk has left before is a return. A file that calls no
other on this walk is looked up, as a table is: the columns "on the way" leave those out. `-v` prints the steps, with
what is looked up in brackets.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import haru
from bench.table import table

SOURCE = str(Path(haru.__file__).parent) + os.sep
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DOMAIN, TOKEN = "example.com", "walk"


class Walk:
    """The functions that run inside the block, in whichever thread, in the order of their first calls."""

    def __init__(self) -> None:
        self.functions: dict[CodeType, None] = {}
        self.callers: set[str] = set()  # files that call others

    def __enter__(self) -> Walk:
        _walks.append(self)
        sys.setprofile(_follow)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        _walks.remove(self)

    def steps(self, *, on_the_way: bool = False) -> list[str]:
        """The files, in order; one again for each time that the walk comes back to it."""
        files: list[str] = []
        for function in self.functions:
            file = _name(function)
            if files[-1:] != [file] and (file in self.callers or not on_the_way):
                files.append(file)
        return files


_walks: list[Walk] = []


def _name(function: CodeType) -> str:
    return function.co_filename.removeprefix(SOURCE)


def _follow(frame: FrameType, event: str, _: object) -> None:
    if event != "call" or not frame.f_code.co_filename.startswith(SOURCE):
        return
    caller = frame.f_back
    while caller is not None and not caller.f_code.co_filename.startswith(SOURCE):
        caller = caller.f_back
    for walk in _walks:
        walk.functions.setdefault(frame.f_code)
        if caller is not None and caller.f_code.co_filename != frame.f_code.co_filename:
            walk.callers.add(_name(caller.f_code))


def pageview(folder: Path) -> Walk:
    """One pageview from the request to the answer, which follows the commit; its spool is on disk."""
    from haru.collect import sites
    from haru.collect.collector import Collector
    from haru.settings import read

    async def run() -> Walk:
        sites.write(folder, [sites.Site(id=1, domain=DOMAIN, token=TOKEN)])
        collector = Collector(read({"HARU_DATA_DIR": str(folder)}))
        headers = {"user-agent": FIREFOX, "authorization": f"Bearer {TOKEN}"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/collect",
            "query_string": b"",
            "client": ("203.0.113.9", 1234),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": json.dumps({"p": "/"}).encode(), "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            assert message.get("status", 200) == 200, message

        await collector.endpoint(scope, receive, send)
        with Walk() as walk:
            await collector.endpoint(scope, receive, send)
        await collector.close()
        return walk

    threading.setprofile(_follow)  # the thread of the writer is started with the collector
    try:
        return asyncio.run(run())
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]


def question(*, folded: bool, **keys: Any) -> Walk:
    """One question that nobody asked before, from JSON to rows."""
    from tests.stats.made import filled, journey

    from haru.stats.answers import Reports
    from haru.stats.plan import StatsSite
    from haru.stats.query import parse
    from haru.store.protocol import Folding

    now = int(time.time() * 1000)
    store = filled(journey(100, now - 7_200_000, (0, "/"), (1, "/pricing"), source="Google"))
    if folded:
        assert isinstance(store, Folding)
        store.fold(1_000)
    reports, site = Reports(store), StatsSite(1, "Europe/Berlin")
    with Walk() as walk:
        reports.answer(site, parse({"date_range": "7d", **keys}), now)
    return walk


def page() -> Walk:
    """The dashboard of a site, for its owner, signed in; it was asked for once before."""
    from django.test import Client
    from tests.stats.made import filled, journey

    from haru.accounts.registry import create_user
    from haru.live import Live
    from haru.sites.registry import create_site
    from haru.stats.answers import Reports
    from haru.web.project import services

    owner = create_user("owner@example.com", "a long enough secret")
    site = create_site(DOMAIN, "Europe/Berlin", owner)
    store = filled(journey(100, int(time.time() * 1000) - 7_200_000, (0, "/"), site_id=site.pk))

    def use() -> None:
        services.use(
            services.Services(
                reports=Reports(store),
                live=Live(),
                sites_changed=list,
                delete_events=lambda _: None,
                refusal_counts=lambda *_: [],
            )
        )

    browser = Client(SERVER_NAME="localhost")
    browser.force_login(owner)
    use()
    assert browser.get(f"/sites/{DOMAIN}").status_code == 200
    use()  # nothing is in its cache
    with Walk() as walk:
        assert browser.get(f"/sites/{DOMAIN}").status_code == 200
    return walk


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARU_DATA_DIR"] = folder
        from haru.web.project import setup

        setup.prepare()
        asked = {"metrics": ["visitors"], "dimensions": ["visit:source"]}
        walks: dict[str, Callable[[], Walk]] = {
            "a pageview": lambda: pageview(Path(folder)),
            "a question": lambda: question(folded=False, **asked),
            "a question about folded visits": lambda: question(folded=True, metrics=["bounce_rate"]),
            "a page of the dashboard": page,
        }
        made = {name: walk() for name, walk in walks.items()}
    for name, walk in made.items() if "-v" in sys.argv[1:] else ():
        print(f"\n{name}")
        for step in walk.steps():
            print(f"  {step}" if step in walk.callers else f"    ({step})")
    rows = [
        [name, str(len(walk.functions)), *_counts(walk.steps()), *_counts(walk.steps(on_the_way=True))]
        for name, walk in made.items()
    ]
    counted = ("files", "entries", "returns")
    table("Walks", ["of", "functions", *counted, *(f"{name} on the way" for name in counted)], rows)


def _counts(steps: list[str]) -> list[str]:
    return [str(len(set(steps))), str(len(steps)), str(len(steps) - len(set(steps)))]


if __name__ == "__main__":
    main()
