"""The writer: the thread that puts a process's events into its spool, many with one commit, and then says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from haru.clock import hour_of
from haru.events.event import Event
from haru.events.ledger import RefusalCount
from haru.histogram import Histogram
from haru.spool.spool import MAX_IN_BATCH, Spool, SpoolFull, SpoolUnavailable

log = logging.getLogger(__name__)

MAX_WAITING = 20_000  # events that wait for a commit: more are refused, as memory is not a queue without end
GATHER_SECONDS = 0.002  # an event waits this long at most for others that arrive meanwhile to share its commit
REFUSAL_SECONDS = 1.0  # how long a refusal may wait in memory: what a kill can cost the ledger, never an event
SIZE_SECONDS = 1.0  # between looks at how large the file has grown
RESTART_SECONDS = 0.5  # before a thread that failed goes on

Entry = tuple[Event, str]  # an event and its idempotency key, "" for none
# What is said to whoever handed events over: None, all are on disk; else of each whether it is, or its key was counted
# already; or why none is.
Outcome = list[bool] | SpoolUnavailable | None
_Waiting = tuple[list[Entry], Callable[[Outcome], None]]


class Writer:
    """The one thread that writes a process's events: what came while a commit ran goes into the next one."""

    def __init__(self, spool: Spool, loop: asyncio.AbstractEventLoop, most_bytes: int = 0) -> None:
        """`most_bytes` is how large the spool may grow; 0 is no limit."""
        self._spool = spool
        self._loop = loop
        self._most_bytes = most_bytes
        self._waiting: deque[_Waiting] = deque()  # its append and popleft are atomic, so it needs no lock
        self._put = 0  # events handed over so far; the event loop's only
        self._taken = 0  # events that went into a commit so far; the thread's only
        self._counts: Counter[tuple[int, int, str, str]] = Counter()  # refusals; the event loop's only
        self._refusals: deque[RefusalCount] = deque()  # on their way into a commit
        self._wake = threading.Event()
        self._kicked = False  # whether `_kick` is about to look whether the thread should wake
        self._kick_seen = 0  # how many waited when it looked last
        self._kick_by = 0.0  # when it stops waiting for more
        self._closing = False
        self._size_seen = 0.0
        self.committed = threading.Event()  # set after each commit; the loader waits for it
        self.refusing = False  # whether the disk refused the last commit
        self.full = False  # whether the spool has grown to its limit
        self.restarts = 0  # how often the thread failed and went on
        self.commits = 0
        self.events = 0
        self.commit_seconds = Histogram((0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0))
        self.batch_events = Histogram((1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000))
        self._look_at_size()
        self._thread = threading.Thread(target=self._run, name="haru-spool", daemon=True)
        self._thread.start()

    def put(self, entries: list[Entry], done: Callable[[Outcome], None]) -> None:
        """Hand events over; `done` is called on the event loop when they are on disk, or were refused, all together.

        Call it on the event loop only.
        """
        if self.full or self._put - self._taken >= MAX_WAITING:
            sentence = "The spool is full: the event store has not taken events for long."
            self._loop.call_soon(done, SpoolFull(sentence))
            return
        self._waiting.append((entries, done))
        self._put += len(entries)
        if not self._kicked:
            self._kicked = True
            self._kick_seen = 0
            self._kick_by = time.perf_counter() + GATHER_SECONDS
            self._loop.call_soon(self._kick)

    async def written(self, event: Event, key: str = "") -> bool:
        """Hand an event over and wait: true when it is on disk, false for a key already counted.

        Raises `SpoolUnavailable` when the disk refuses.
        """
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self.put([(event, key)], lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, SpoolUnavailable):
            raise outcome
        return outcome is None or outcome[0]

    def refused(self, site_id: int, at: int, reason: str, detail: str = "") -> None:
        """Count a refusal at `at` (ms) for the ledger: it is on disk within about a second. On the event loop only."""
        if not self._counts:
            self._loop.call_later(REFUSAL_SECONDS, self._hand_over)
        self._counts[site_id, hour_of(at), reason, detail] += 1

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def waiting(self) -> int:
        """How many events wait for a commit."""
        return self._put - self._taken

    def close(self) -> None:
        """Write what waits, then end the thread and close the file."""
        self._hand_over()
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=30)
        self._spool.close()

    def _kick(self) -> None:
        """Wake the thread at the end of a turn of the loop that brought nothing more: its events share the commit.

        The first few requests after an answered commit would else make one of their own, which the others wait for.
        """
        waiting = self.waiting()
        if waiting > self._kick_seen and time.perf_counter() < self._kick_by:
            self._kick_seen = waiting
            self._loop.call_soon(self._kick)
            return
        self._kicked = False
        self._wake.set()

    def _hand_over(self) -> None:
        self._refusals.extend(RefusalCount(*key, count) for key, count in self._counts.items())
        self._counts.clear()
        self._wake.set()

    def _run(self) -> None:
        while True:
            try:
                if self._turn():
                    return
            except BaseException as error:
                # Without this thread nothing is collected: whatever went wrong is told, counted, and tried again.
                self.restarts += 1
                log.error(
                    "task_failed",
                    extra={"task": "writer", "error": str(error), "restart_in": RESTART_SECONDS},
                    exc_info=error,
                )
                time.sleep(RESTART_SECONDS)
                self._wake.set()

    def _turn(self) -> bool:
        """Wait for events, write them; true when the thread is to end."""
        self._wake.wait(SIZE_SECONDS if self.full or self.refusing else None)
        self._wake.clear()
        closing = self._closing
        waiting = self._next()
        refusals = [self._refusals.popleft() for _ in range(len(self._refusals))]
        if waiting or refusals or self.refusing:  # a disk that refused is tried again, asked or not
            self._commit(waiting, refusals)
        if time.monotonic() - self._size_seen > SIZE_SECONDS:
            self._look_at_size()
        if self._waiting:
            self._wake.set()
            return False
        return closing

    def _next(self) -> list[_Waiting]:
        """What goes into one commit: `MAX_IN_BATCH` events, and the rest of whatever was handed over with the last."""
        found: list[_Waiting] = []
        events = 0
        while self._waiting and events < MAX_IN_BATCH:
            found.append(self._waiting.popleft())
            events += len(found[-1][0])
        self._taken += events
        return found

    def _commit(self, waiting: list[_Waiting], refusals: list[RefusalCount]) -> None:
        outcomes: list[bool] | None = None
        failure: SpoolUnavailable | None = None
        begun = time.perf_counter()
        entries = [entry for entries, _ in waiting for entry in entries]
        try:
            events, keys = zip(*entries, strict=True) if entries else ((), ())
            outcomes = self._spool.write(events, keys, refusals)
            if self.refusing:
                log.info("spool_recovered", extra={"spool": self._spool.path.name})
            self.refusing = False
        except Exception as error:
            # Whatever went wrong, those who wait must hear of it and the thread must go on.
            if not self.refusing:
                log.error(
                    "spool_refused",
                    extra={"spool": self._spool.path.name, "error": str(error), "waiting": len(entries)},
                )
            self.refusing = True
            failure = error if isinstance(error, SpoolUnavailable) else SpoolUnavailable(str(error))
            self._refusals.extend(refusals)  # nobody waits for these: they go with the next commit
        else:
            self.commits += 1
            self.events += len(entries)
            self.commit_seconds.observe(time.perf_counter() - begun)
            self.batch_events.observe(len(entries))
        if waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, waiting, outcomes, failure)
        self.committed.set()

    def _look_at_size(self) -> None:
        self._size_seen = time.monotonic()
        with contextlib.suppress(SpoolUnavailable):
            full = bool(self._most_bytes) and self._spool.size() >= self._most_bytes
            if full and not self.full:
                log.error("spool_full", extra={"spool": self._spool.path.name, "most_bytes": self._most_bytes})
            elif self.full and not full:
                log.info("spool_has_room_again", extra={"spool": self._spool.path.name})
            self.full = full


def _settle(waiting: list[_Waiting], outcomes: list[bool] | None, failure: SpoolUnavailable | None) -> None:
    """Answer those who wait; runs on the event loop, once for each commit."""
    if failure is not None or outcomes is None:
        for _, done in waiting:
            done(failure)
        return
    start = 0
    for entries, done in waiting:
        end = start + len(entries)
        done(outcomes[start:end])
        start = end
