"""A collect process: `python -m haru.server.worker <descriptor>`, started by `haru.server.workers`.

It answers hits and the tracker itself and hands every other request to the server's own process, over a Unix
socket in the data folder. The descriptor is its end of a pair of sockets: the server says who it is and when sites
changed, it says each second what it counted, and when the other end is gone it ends too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from typing import Any

import msgspec

from haru.collect.collector import HOUSEKEEPING_SECONDS, Collector
from haru.collect.formats import FORMATS
from haru.collect.ratelimit_storage import SharedStorage
from haru.files import keep_private
from haru.http import Receive, Scope, Send
from haru.server import health, logs, serving
from haru.server.proxy import Forward
from haru.server.serving import Tracker
from haru.settings import current

log = logging.getLogger("haru.server.worker")  # which runs as `__main__`

COUNTS_SECONDS = 1.0


class Assignment(msgspec.Struct):
    """What the server tells a worker first."""

    number: int  # from 1
    storage: int  # descriptor of the table that all limit by
    key: bytes


class Worker:
    """The ASGI application of a collect process."""

    def __init__(self, assignment: Assignment, channel: socket.socket) -> None:
        self._assignment = assignment
        self._channel = channel
        self._tracker = Tracker()
        self._forward = Forward(current().data_dir)
        self._tasks: list[asyncio.Task[None]] = []
        self.collector: Collector | None = None
        self.server: serving.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and self.collector is not None:
            path = scope["path"]
            if path.encode() in FORMATS:
                await self.collector.endpoint(scope, receive, send)
            elif path == Tracker.PATH:
                await self._tracker(scope, receive, send)
            elif path == "/health/live":
                await health.answer_live([self.collector.counts()], send)
            else:
                await self._forward(scope, receive, send)

    def closing(self) -> None:
        """The process was asked to stop."""
        self._forward.end_streams()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    storage = SharedStorage(self._assignment.storage, self._assignment.key)
                    self.collector = Collector(current(), self._assignment.number, storage)
                except Exception as error:
                    log.error("worker_start_failed", extra={"error": str(error)})
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                self._tasks = [asyncio.create_task(self._housekeep()), asyncio.create_task(self._talk())]
                for task in self._tasks:
                    task.add_done_callback(self._ended)
                serving.settle_memory()
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                if self.collector is not None:
                    await self.collector.close()
                await self._forward.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A background task failed: the process ends, and the server counts that and starts another."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(
                "task_failed", extra={"task": f"worker-{self._assignment.number}", "error": str(error)}, exc_info=error
            )
            if self.server is not None:
                self.server.should_exit = True

    async def _housekeep(self) -> None:
        assert self.collector is not None
        while True:
            await self.collector.housekeep()
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def _talk(self) -> None:
        """Tell the server what was counted; hear of changed sites, and of its end."""
        assert self.collector is not None
        reader, writer = await asyncio.open_connection(sock=self._channel)
        counting = asyncio.create_task(self._count(writer))
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                self.collector.sites.refresh()
        counting.cancel()
        if self.server is not None:
            self.server.should_exit = True

    async def _count(self, writer: asyncio.StreamWriter) -> None:
        assert self.collector is not None
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(msgspec.json.encode(self.collector.counts()) + b"\n")
                await writer.drain()
                await asyncio.sleep(COUNTS_SECONDS)


def main() -> None:
    """Serve until the server ends, or SIGTERM."""
    keep_private()
    settings = current()
    logs.configure(settings)
    channel = socket.socket(fileno=int(sys.argv[1]))
    first = b""
    while not first.endswith(b"\n"):
        part = channel.recv(1)
        if not part:
            return
        first += part
    assignment = msgspec.json.decode(first, type=Assignment)
    os.set_inheritable(assignment.storage, False)
    application: Any = Worker(assignment, channel)
    application.server = serving.Server(
        application,
        lambda: application.collector and application.collector.endpoint,
        application.closing,
        settings,
    )
    with serving.listener(settings.host, settings.port, shared=True) as listener:
        serving.run(application.server, listener)


if __name__ == "__main__":
    main()
