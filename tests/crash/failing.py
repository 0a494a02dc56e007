"""`haru serve` in which each background task fails once, soon after the start."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import OperationalError

from haru import cli
from haru.collect.visitor import Salts
from haru.live import CurrentVisitors
from haru.server import jobs
from haru.spool.writer import Writer
from haru.stats.asking import Asking
from haru.store.duckdb.store import DuckStore
from haru.store.loader import Loader
from haru.web.project import setup


def fails_once(owner: Any, name: str, error: BaseException, after: int = 0, caller: str = "") -> None:
    """Call number `after` (from 0) of the function raises; only calls that come by way of `caller` count, if named."""
    works: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        if not caller or any(frame.name == caller for frame in traceback.extract_stack()):
            calls += 1
            if calls == after + 1:
                raise error
        return works(*arguments, **named)

    setattr(owner, name, call)


if __name__ == "__main__":
    jobs.JOBS = tuple(replace(job, every=min(job.every, 0.5)) for job in jobs.JOBS)
    # Whoever looks for lost sites loads what waits too: that is not the loader's task.
    fails_once(Loader, "step", RuntimeError("loader"), caller="load_next")
    fails_once(DuckStore, "unfolded", RuntimeError("folding"))
    fails_once(Asking, "refresh", RuntimeError("refresh"))
    fails_once(Salts, "rotate", RuntimeError("collector"), after=1)  # the first is part of the start
    fails_once(CurrentVisitors, "prune", RuntimeError("visitors"))
    fails_once(setup, "check", OperationalError("accounts"), after=1)
    # Not an Exception: even that must not end the thread that writes. The first look is part of the start.
    fails_once(Writer, "_look_at_size", SystemExit("writer"), after=1)
    cli.main()
