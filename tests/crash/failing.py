"""`haru serve` in which each background task fails once, soon after the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import OperationalError

from haru import cli, node
from haru.collect.visitor import Salts
from haru.events.duckdb import DuckStore
from haru.events.loader import Loader
from haru.events.writer import Writer
from haru.live import Live
from haru.stats.report import Reports
from haru.web import setup


def fails_once(owner: Any, name: str, error: BaseException, after: int = 0) -> None:
    """Calls number `after` (from 0) of the function raises."""
    works: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == after + 1:
            raise error
        return works(*arguments, **named)

    setattr(owner, name, call)


if __name__ == "__main__":
    node.FOLD_PAUSE = node.REFRESH = node.ACCOUNTS_SECONDS = 0.5
    fails_once(Loader, "step", RuntimeError("loader"), after=1)
    fails_once(DuckStore, "unfolded", RuntimeError("folding"))
    fails_once(Reports, "refresh_hot", RuntimeError("refresh"))
    fails_once(Salts, "rotate", RuntimeError("collector"), after=1)  # the first is part of the start
    fails_once(Live, "prune", RuntimeError("visitors"))
    fails_once(setup, "check", OperationalError("accounts"), after=1)
    # Not an Exception: even that must not end the thread that writes. The first look is part of the start.
    fails_once(Writer, "_look_at_size", SystemExit("writer"), after=1)
    cli.main()
