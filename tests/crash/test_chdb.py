"""A real server on embedded ClickHouse: what was answered is there after a kill, once, and the numbers are right."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from sqlalchemy import column, select, table

from haru.settings import read
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spools
from haru.store.loader import Loader
from haru.store.opening import event_store
from tests.crash.test_kill import load
from tests.rounds import long, rounds
from tests.server import Server

pytestmark = pytest.mark.crash

# In a process of its own, as a process has one chDB folder: the numbers that rest there and in the spool.
_READ = "import sys; from tests.crash.test_chdb import report; report(sys.argv[1], sys.argv[2])"


def report(data_dir: str, url: str) -> None:
    """Print how often each path is stored, when all that waits in the spool is loaded."""
    folder = Path(data_dir)
    store = event_store(read({"HARU_DATA_DIR": data_dir, "HARU_EVENTS_URL": url}))
    for _ in Loader(Spools(folder), store, IdempotencyKeys(folder)).drain(int(time.time() * 1000)):
        pass
    paths = Counter(path for (path,) in store.fetch(select(column("path")).select_from(table("event"))))
    store.close()
    print(json.dumps(paths))


def stored_paths(server: Server, url: str) -> dict[str, int]:
    done = server.python("-c", _READ, str(server.data_dir), url)
    paths: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return paths


@long
def test_every_answered_event_is_there_once_after_kills_under_load(tmp_path: Path) -> None:
    kills = (150, rounds(300, 700))
    url = f"chdb://{tmp_path / 'data' / 'clicks'}"
    answered: list[str] = []
    with Server(tmp_path / "data", HARU_EVENTS_URL=url) as server:
        token = server.add_site()
        key = server.haru("key", "add", "reader", "--user", "owner@example.com").stdout.split()[-1]
        for turn, kill_after in enumerate(kills):
            server.start()
            answered += asyncio.run(load(server, token, f"turn-{turn}", kill_after))
        server.start()
        assert server.collect(token, "/after").status_code == 200
        answered.append("/after")
        server.call("load")
        query = {"site_id": "example.com", "metrics": ["pageviews", "visitors"], "date_range": "day"}
        found = httpx.post(
            f"{server.url}/api/v2/query", json=query, headers={"Authorization": f"Bearer {key}"}, timeout=30
        ).json()
        pageviews, visitors = found["results"][0]["metrics"]
        assert visitors == 1
        assert server.stop() == 0
        paths = stored_paths(server, url)
        assert [path for path in answered if path not in paths] == []
        assert [path for path, count in paths.items() if count > 1] == []
        assert pageviews == len(paths) >= len(answered) >= sum(kills)
        assert server.haru("reset", "--yes").returncode == 0
        assert list(server.data_dir.iterdir()) == []
