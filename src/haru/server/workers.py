"""The server's side of its collect processes: start them, hear what they count, start again the one that died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from functools import partial

import msgspec

from haru.collect.collector import Counts
from haru.collect.ratelimit_storage import SharedStorage, shared_storage
from haru.server.serving import GRACE_SECONDS
from haru.server.supervisor import Job
from haru.server.worker import Assignment

log = logging.getLogger(__name__)

WHY = "Starts a collect process and hears what it counts; when the process ends, another one is started."

_decode = msgspec.json.Decoder(Counts).decode


class WorkerDied(Exception):
    """A collect process ended although nobody asked it to."""


class Workers:
    """So many collect processes. Lives on the event loop."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.latest: dict[int, Counts] = {}  # what each said last
        self._ended: dict[int, Counts] = {}  # what those that died had counted, by number
        self._storage: SharedStorage | None = shared_storage() if count else None
        self._channels: dict[int, asyncio.StreamWriter] = {}
        self._closing = False

    def jobs(self) -> list[Job[Workers]]:
        """A job for each process: it goes on until the process ends, and fails then with `WorkerDied`."""
        return [
            Job(f"worker-{number}", partial(Workers._run, number=number), 0, WHY) for number in range(1, self.count + 1)
        ]

    def counts(self) -> list[Counts]:
        """What the processes that run and those before them counted."""
        return [*self.latest.values(), *self._ended.values()]

    def sites_changed(self) -> None:
        """Tell all that the file of sites was rewritten."""
        for channel in self._channels.values():
            channel.write(b"sites\n")

    async def _run(self, number: int) -> None:
        assert self._storage is not None
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220, S603  # a millisecond; asyncio's own wants a watcher
                [sys.executable, "-m", "haru.server.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), self._storage.descriptor),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the server, which tells them in order
                # It opens no store: it is told of none, as to check the address alone takes that store's driver.
                env={**os.environ, "HARU_EVENTS_URL": ""},
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        assignment = Assignment(number, self._storage.descriptor, self._storage.key)
        writer.write(msgspec.json.encode(assignment) + b"\n")
        self._channels[number] = writer
        log.info("worker_started", extra={"worker": number, "pid": process.pid})
        try:
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    self.latest[number] = _decode(line)
            raise WorkerDied(f"the collect process {number} ended (exit code {await asyncio.to_thread(process.wait)})")
        finally:
            del self._channels[number]
            writer.close()  # it sees the end of the channel and ends in order
            try:
                await asyncio.shield(asyncio.to_thread(process.wait, GRACE_SECONDS + 5))
            except subprocess.TimeoutExpired:
                process.kill()
            if (last := self.latest.pop(number, None)) is not None:
                self._ended[number] = _sum(self._ended.get(number), last)


def _sum(one: Counts | None, other: Counts) -> Counts:
    """What two processes counted; of moments (waiting, refusing) nothing is left."""
    other.waiting, other.refusing, other.full, other.alive = 0, False, False, True
    if one is None:
        return other
    for field in ("answers", "refusals"):
        counts = getattr(one, field)
        for key, count in getattr(other, field).items():
            counts[key] = counts.get(key, 0) + count
    one.accepted += other.accepted
    one.commits += other.commits
    one.restarts += other.restarts
    for field in ("seconds", "commit_seconds", "batch_events"):
        (a, x), (b, y) = getattr(one, field), getattr(other, field)
        setattr(one, field, ([m + n for m, n in zip(a, b, strict=True)], x + y))
    return one
