from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from haru.collect.ratelimit_storage import shared_storage
from haru.server.worker import Assignment, Worker
from tests.server import ROOT, free_port

# What a process that only collects has no use for; each takes 8 to 20 MB.
HEAVY = {"chdb", "clickhouse_connect", "django", "duckdb", "numpy", "psycopg", "psycopg_pool", "sqlalchemy"}

PROGRAM = """
import atexit, json, sys
from haru.server import worker
atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
worker.main()
"""


def test_a_collect_process_loads_no_engine_and_no_web_framework(tmp_path: Path) -> None:
    storage = shared_storage()
    ours, theirs = socket.socketpair()
    with (
        ours,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
            pass_fds=(theirs.fileno(), storage.descriptor),
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                "HARU_DATA_DIR": str(tmp_path),
                "HARU_PORT": str(free_port()),
            },
        ) as process,
    ):
        theirs.close()
        ours.sendall(msgspec.json.encode(Assignment(1, storage.descriptor, storage.key)) + b"\n")
        assert ours.recv(1) == b"{", "it tells what it counted as soon as it collects"
        ours.shutdown(socket.SHUT_RDWR)
        printed, _ = process.communicate(timeout=120)
    modules = msgspec.json.decode(printed, type=list[str])
    assert "ua_parser" in modules
    assert "ua_parser_builtins.matchers" not in modules, "patterns are compiled once, by the parser's Rust core"
    loaded = {name.partition(".")[0] for name in modules}
    assert not loaded & HEAVY


async def test_a_process_whose_own_task_fails_ends_so_that_another_is_started() -> None:
    async def failing() -> None:
        raise OSError("no")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Worker(Assignment(1, 0, b""), theirs)
        worker.server = Stoppable()  # type: ignore[assignment]
        task = asyncio.create_task(failing())
        task.add_done_callback(worker._ended)
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert worker.server is not None
    assert worker.server.should_exit


class Stoppable:
    should_exit = False
