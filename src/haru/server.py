"""How HTTP is served, by the server and by each worker alike: uvicorn's settings, the tracker, whole answers."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn

from haru.collect.connections import Limits
from haru.collect.endpoint import Endpoint
from haru.collect.protocol import CollectProtocol, protocol
from haru.settings import Settings

BACKLOG = 4096
GRACE_SECONDS = 10  # for requests under way when the server is asked to stop

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Server(uvicorn.Server):
    """uvicorn with Haru's settings, limits and way to stop."""

    def __init__(
        self,
        application: Any,
        door: Callable[[], Endpoint | None],
        closing: Callable[[], None],
        settings: Settings,
    ) -> None:
        """`door` is asked for the collect endpoint of each request; `closing` is called when the server is asked to
        stop, to let the live streams go: they would hold it up.
        """
        self._limits = Limits(settings)
        self._closing = closing
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=protocol(door, self._limits),  # type: ignore[arg-type]  # a factory does as well as a class
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                backlog=BACKLOG,
            )
        )

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            self._limits.sweep(cast("set[CollectProtocol]", self.server_state.connections), time.monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called when the server stops, for whatever reason."""
        self._closing()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM; the second Ctrl-C does not wait for whatever holds up the first."""
        if self.should_exit and sig == signal.SIGINT:
            _end_at_once(sig, frame)
        self._closing()
        super().handle_exit(sig, frame)


def _end_at_once(sig: int, frame: FrameType | None) -> None:
    os.write(2, b"Ended at once. Every event that was answered is on disk.\n")
    os._exit(128 + sig)


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
        signal.signal(signal.SIGINT, _end_at_once)
        gc.unfreeze()  # Python frees nothing that is frozen when it ends, and DuckDB's binding complains of each object
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
