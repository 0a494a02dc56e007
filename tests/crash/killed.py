"""`haru serve` that kills itself at a named moment, as SIGKILL would: `CRASH_AT=<moment>:<times>` in the environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from haru import cli
from haru.spool import writer
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spool, Spools, Transaction
from haru.store.duckdb.store import DuckStore

# Moments: what is wrapped, and whether death comes before or after it.
MOMENTS: dict[str, tuple[Any, str, str]] = {
    "before the spool's commit": (Spool, "write", "before"),
    "in the midst of the spool's commit": (Transaction, "append_body", "after"),
    "between the spool's commit and the answer": (writer, "_settle", "before"),
    "after the answer": (writer, "_settle", "after"),
    "when the spool was read": (Spools, "read", "after"),
    "when keys were claimed": (IdempotencyKeys, "duplicates", "after"),
    "before the store's commit": (DuckStore, "load", "before"),
    "between the store's commit and the acknowledgement": (DuckStore, "load", "after"),
    "in the midst of the acknowledgement": (Spool, "_checkpoint", "before"),
    "after the acknowledgement": (Spools, "acknowledge", "after"),
}


def arm(moment: str, times: int) -> None:
    """Die at the `times`-th of these moments."""
    owner, name, when = MOMENTS[moment]
    work: Callable[..., Any] = getattr(owner, name)
    left = times

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = work(*arguments, **named)
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, name, deadly)


if __name__ == "__main__":
    if "CRASH_AT" in os.environ:
        at, _, count = os.environ["CRASH_AT"].rpartition(":")
        arm(at, int(count))
    cli.main()
