"""How HTTP is served, by the server and by each worker alike: uvicorn's settings, the tracker, whole answers."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast

import uvicorn

import haru
from haru.collect.endpoint import Endpoint
from haru.http import Receive, Scope, Send, respond
from haru.server.connections import Limits
from haru.server.protocol import CollectProtocol, protocol
from haru.settings import BadSetting, Settings

BACKLOG = 4096
GRACE_SECONDS = 10  # for requests under way when the server is asked to stop


class Server(uvicorn.Server):
    """uvicorn with Haru's settings, limits and way to stop."""

    def __init__(
        self,
        application: Any,
        endpoint: Callable[[], Endpoint | None],
        closing: Callable[[], None],
        settings: Settings,
    ) -> None:
        """`endpoint` gives the collect endpoint that takes a request; `closing` is called when the server is asked to
        stop, to let the live streams go: they would hold it up.
        """
        self._limits = Limits(settings)
        self._closing = closing
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=protocol(endpoint, self._limits),  # type: ignore[arg-type]  # a factory does as well as a class
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


class PortUnavailable(BadSetting):
    """Another program has the port, or this user may not."""


def listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound TCP socket; `shared` lets several processes bind the same port. Raises `PortUnavailable`."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise PortUnavailable(
            f"Port {port} on {host} is unavailable ({error.strerror}): stop the program that has it, or name another "
            "with --port."
        ) from None
    return sock


class Tracker:
    """`/js/haru.js`: the script that pages load, kept in memory with its ETag."""

    PATH = "/js/haru.js"

    def __init__(self) -> None:
        path = Path(haru.__file__).parent / "web" / "static" / "build" / "haru.js"
        self._forms = [form for encoding, ending in _ENCODINGS if (form := _form(path, encoding, ending))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the script, or 304 when the browser has it."""
        headers_sent = dict(scope["headers"])
        encodings = _encodings(headers_sent.get(b"accept-encoding", b""))
        form = next((form for form in self._forms if not form.encoding or form.encoding in encodings), None)
        if form is None:
            await respond(send, 503, b"The tracker is not built: run `make build`.\n", b"text/plain")
            return
        headers = [
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            # Pages keep it for a day; with the ETag the check after that costs no body.
            (b"cache-control", b"public, max-age=86400, stale-while-revalidate=604800"),
            (b"etag", form.etag),
            (b"vary", b"accept-encoding"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if headers_sent.get(b"if-none-match") == form.etag:
            await respond(send, 304, b"", b"", headers)
            return
        if form.encoding:
            headers.append((b"content-encoding", form.encoding))
        headers.append((b"content-length", str(len(form.body)).encode()))
        body = b"" if scope["method"] == "HEAD" else form.body
        await respond(send, 200, body, b"text/javascript; charset=utf-8", headers)


class _Form(NamedTuple):
    """One of the forms in which a file is sent."""

    encoding: bytes
    body: bytes
    etag: bytes


_ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"), (b"", ""))  # the smallest first


def _form(path: Path, encoding: bytes, ending: str) -> _Form | None:
    try:
        body = path.with_name(path.name + ending).read_bytes()
    except FileNotFoundError:
        return None
    return _Form(encoding, body, b'"%s"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode())


def _encodings(accept_encoding: bytes) -> set[bytes]:
    """The encodings that an Accept-Encoding header names and does not refuse."""
    parts = (part.replace(b" ", b"").lower().partition(b";") for part in accept_encoding.split(b","))
    return {name for name, _, weight in parts if weight not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}}
