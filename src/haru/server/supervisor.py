"""Supervisor: runs jobs for as long as the server runs, each again after its pause, and after a fault by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from haru.store.protocol import StoreTooNew, StoreUnavailable

log = logging.getLogger(__name__)

FIRST_BACKOFF = 0.5  # seconds before a job that failed is started again, twice as many each time
MAX_BACKOFF = 10.0  # after which a store that is back is in use; a job that went well for longer begins with the first

Context = TypeVar("Context")


@dataclass(frozen=True, slots=True)
class Job(Generic[Context]):
    """What a server does by itself, again and again."""

    name: str  # in `/health`, `/metrics` and the log
    function: Callable[[Context], Awaitable[None]]  # what blocks runs in a thread
    every: float  # seconds from the end of one call to the next
    why: str  # a sentence for whoever runs the server


class Supervisor:
    """Runs jobs, each in a task of its own: one that fails is logged, counted and started again, later each time.

    Lives on the event loop.
    """

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()  # how often each job failed
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, jobs: Iterable[Job[Context]], context: Context) -> None:
        """Start these jobs; each call of a job is given the context."""
        for job in jobs:
            self._tasks[job.name] = asyncio.create_task(self._run(job, context), name=job.name)

    async def stop(self) -> None:
        """Cancel every job and return when all have ended."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def states(self) -> dict[str, str]:
        """How each job is: ok, or stopped."""
        return {name: "stopped" if task.done() else "ok" for name, task in self._tasks.items()}

    async def _run(self, job: Job[Context], context: Context) -> None:
        backoff = FIRST_BACKOFF
        while True:
            begun = time.monotonic()
            try:
                while True:
                    await job.function(context)
                    await asyncio.sleep(job.every)
            except Exception as error:
                if time.monotonic() - begun > MAX_BACKOFF:
                    backoff = FIRST_BACKOFF
                self.restarts[job.name] += 1
                known = isinstance(error, StoreUnavailable | StoreTooNew)
                log.error(
                    "task_failed",
                    extra={"task": job.name, "error": str(error), "restart_in": backoff},
                    exc_info=None if known else error,
                )
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF)
