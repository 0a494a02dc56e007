"""A node in this process, on a data folder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from haru import settings
from haru.collect import sites
from haru.collect.sites import Site
from haru.server.node import Node
from tests.server import FIREFOX

SITE = Site(id=1, domain="example.com", token="t-one")


def made(folder: Path, **environment: str) -> Node:
    """A node that knows `SITE`, not started; to be called on an event loop."""
    folder.mkdir(exist_ok=True)
    sites.write(folder, [SITE])
    return Node(settings.read({"HARU_DATA_DIR": str(folder), **environment}), checked=True)


@asynccontextmanager
async def opened(folder: Path, **environment: str) -> AsyncIterator[Node]:
    """The same, stopped at the end."""
    node = made(folder, **environment)
    try:
        yield node
    finally:
        await node.stop()


class Answer:
    """What an ASGI application sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def send(self, message: Any) -> None:
        """For the application."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]


def scope(path: str, *, headers: dict[str, str] | None = None, method: str = "GET", **more: Any) -> dict[str, Any]:
    """A request as a server hands it on."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("203.0.113.9", 4711),
        "server": ("127.0.0.1", 4000),
        **more,
    }


async def ask(application: Any, path: str, *, body: bytes = b"", **more: Any) -> Answer:
    """The answer of an ASGI application to one request."""
    answer = Answer()
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    await application(scope(path, **more), receive, answer.send)
    return answer


async def collect(node: Node, path: str = "/") -> int:
    """Send a pageview; the status of the answer."""
    headers = {"authorization": f"Bearer {SITE.token}", "user-agent": FIREFOX}
    body = b'{"p": "%s"}' % path.encode()
    return (await ask(node.collector.endpoint, "/api/collect", method="POST", headers=headers, body=body)).status


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread or task does."""
    async with asyncio.timeout(120):
        while not true():  # noqa: ASYNC110  # it tells by what it sets
            await asyncio.sleep(0.001)
