"""How HTTP is served, by the server and by each worker alike: uvicorn's settings, the tracker, whole answers."""

from __future__ import annotations

import gc
import hashlib
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from haru.collect.endpoint import Endpoint
from haru.collect.protocol import protocol

BACKLOG = 4096
GRACE_SECONDS = 10  # for requests under way when the server is asked to stop

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def config(application: Any, door: Callable[[], Endpoint | None]) -> uvicorn.Config:
    """uvicorn's settings; `door` is asked for the collect endpoint of each request."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=protocol(door),  # type: ignore[arg-type]  # a factory does as well as a class
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )


class Server(uvicorn.Server):
    """uvicorn, told to let the live streams go when it is asked to stop: they would hold it up for ever."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        """`closing` is called as soon as the server is asked to stop."""
        super().__init__(config)
        self._closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM."""
        self._closing()
        super().handle_exit(sig, frame)


def settle_memory() -> None:
    """Take what the start made out of the garbage collector's sight, and have it look less often.

    A full collection of a few hundred thousand modules, models and templates stops the loop for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def run(server: Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM. Raises SystemExit when the application did not start."""
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not server.started:
        raise SystemExit(3)


def listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound TCP socket; `shared` lets several processes bind the same port. Raises OSError."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((host, port))
    except BaseException:
        found.close()
        raise
    return found


class Tracker:
    """`/js/haru.js`: the script that pages load, kept in memory with its ETag."""

    PATH = "/js/haru.js"

    def __init__(self) -> None:
        path = Path(__file__).parent / "web" / "static" / "build" / "haru.js"
        self._script = path.read_bytes() if path.is_file() else b""
        self._etag = b'"%s"' % hashlib.blake2b(self._script, digest_size=12).hexdigest().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the script, or 304 when the browser has it."""
        headers = [
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            # Pages keep it for a day; with the ETag the check after that costs no body.
            (b"cache-control", b"public, max-age=86400, stale-while-revalidate=604800"),
            (b"etag", self._etag),
            (b"x-content-type-options", b"nosniff"),
        ]
        if not self._script:
            await respond(send, 503, b"The tracker is not built: run `make build`.\n", b"text/plain")
        elif dict(scope["headers"]).get(b"if-none-match") == self._etag:
            await respond(send, 304, b"", b"", headers)
        else:
            body = b"" if scope["method"] == "HEAD" else self._script
            headers.append((b"content-length", str(len(self._script)).encode()))
            await respond(send, 200, body, b"text/javascript; charset=utf-8", headers)


async def respond(send: Send, status: int, body: bytes, content_type: bytes, headers: Headers | None = None) -> None:
    """Send a whole answer."""
    lines = list(headers or [])
    if content_type:
        lines.append((b"content-type", content_type))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
