"""The composition root: opens the node, routes requests, closes all in order.

Hits, the tracker, /metrics and the health pages are answered here or in `collect`; all else goes to Django.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from haru.collect.endpoint import Endpoint
from haru.collect.formats import FORMATS
from haru.files import keep_private, own
from haru.http import Receive, Scope, Send, respond
from haru.server import control, health, logs, metrics, proxy, serving
from haru.server.node import Node
from haru.server.protocol import is_local
from haru.server.serving import Tracker
from haru.settings import BadSetting, Settings, current
from haru.stats.asking import Waiter
from haru.stats.asking import current as current_waiter

log = logging.getLogger(__name__)

LOCK = "haru.lock"


class FolderInUse(BadSetting):
    """Another server runs on the data folder."""


def lock_folder(data_dir: Path) -> TextIO:
    """Make this process the data folder's one server until it is closed. Raises `FolderInUse` and `FileUnusable`."""
    with own(data_dir / LOCK):
        file = (data_dir / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FolderInUse(
            f"Another Haru server runs on {data_dir}: stop it, or give this one a folder of its own with HARU_DATA_DIR."
        ) from None
    return file


class Application:
    """Routes one connection; opens and closes the node with the server's lifespan."""

    def __init__(self, settings: Settings, *, checked: bool = False, development: bool = False) -> None:
        """For `checked` and `development` see `Node`."""
        self._settings = settings
        self._checked = checked
        self._development = development
        self.node: Node | None = None
        self.failure: Exception | None = None  # why it did not start
        from haru.web.project import setup

        setup.configure()
        # Both need Django set up.
        from django.core.asgi import get_asgi_application

        from haru.web.dashboard.stream import Stream

        self._new_stream = Stream
        self._django = get_asgi_application()
        self._tracker = Tracker()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http" or self.node is None:
            return
        if is_local(scope.get("server")):
            _name_peer(scope)
        path = scope["path"]
        if path.encode() in FORMATS:
            await self.node.collector.endpoint(scope, receive, send)
        elif path == Tracker.PATH:
            await self._tracker(scope, receive, send)
        elif path == "/health":
            await health.answer(self.node, send)
        elif path == "/health/live":
            await health.answer_live(self.node.counts(), send)
        elif path == "/metrics":
            await metrics.answer(self.node, scope, send)
        elif path.startswith(("/sites/", "/share/")) and path.endswith("/live") and path.count("/") == 3:
            if self.node.pages_closed:
                await respond(send, 503, self.node.pages_closed.encode() + b"\n", b"text/plain; charset=utf-8")
            else:
                await self._stream(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    def endpoint(self) -> Endpoint | None:
        """The collect endpoint, once it is open."""
        return self.node.collector.endpoint if self.node else None

    def closing(self) -> None:
        """The server was asked to stop."""
        if self.node is not None:
            self.node.closing.set()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._open()
                except Exception as error:
                    log.error("start_failed", extra={"error": str(error)})
                    self.failure = error
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                if self.node is not None:
                    await self.node.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Django answers. When the client leaves, queries that nobody else waits for are ended."""
        waiter = Waiter()

        async def watched() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "http.disconnect":
                waiter.leave()
            return message

        # Each connection is a task with a context of its own, which Django hands on to the thread of the view.
        before = current_waiter.set(waiter)
        try:
            await self._django(scope, watched, send)  # type: ignore[arg-type]  # its Send takes any Mapping
        finally:
            current_waiter.reset(before)

    async def _open(self) -> None:
        """Open and start the node; what was opened of one that cannot start is closed."""
        node = Node(self._settings, checked=self._checked, development=self._development)
        try:
            self._stream = self._new_stream(node.live, node.closing)
            await node.start()
        except BaseException:
            await node.stop()
            raise
        self.node = node
        serving.settle_memory()


def _name_peer(scope: Scope) -> None:
    """A request on the Unix socket: a worker says who asked it."""
    peer = next((value for name, value in scope["headers"] if name == proxy.PEER), b"")
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != proxy.PEER]
    scope["client"] = (peer.decode("latin-1"), 0) if peer else None


def allow_many_connections() -> None:
    """Raise the number of files this process and its workers may hold open as far as the system lets anyone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(
    settings: Settings,
    started: Callable[[], None] | None = None,
    *,
    checked: bool = False,
    development: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises `PortUnavailable`, `FolderInUse`, `FileUnusable`, and what keeps the node from starting: `StoreHeld`,
    `StoreTooNew`, `SpoolUnavailable`.

    For `checked` and `development` see `Node`.
    """
    logs.configure(settings)
    # A page that is being rendered gives the interpreter up after a tenth of a millisecond instead of five: the event
    # loop, which answers collect, waits that long at most for each thread that computes.
    sys.setswitchinterval(0.0001)
    allow_many_connections()
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_folder(settings.data_dir))
        listener = stack.enter_context(serving.listener(settings.host, settings.port))
        if settings.workers:
            listener.close()  # it was free: the workers share it, and this keeps it for them
            stack.enter_context(serving.listener(settings.host, settings.port, shared=True))
            listener = stack.enter_context(control.private_socket(settings.data_dir, proxy.FILE))
            stack.callback((settings.data_dir / proxy.FILE).unlink, missing_ok=True)
        application = Application(settings, checked=checked, development=development)
        if started is not None:
            started()
        log.info(
            "serving",
            extra={"url": settings.base_url, "host": settings.host, "port": settings.port, "workers": settings.workers},
        )
        try:
            serving.run(serving.Server(application, application.endpoint, application.closing, settings), listener)
        except SystemExit:
            if application.failure is not None:
                raise application.failure from None
            raise
        log.info("stopped", extra={"outcome": "every event that was answered is on disk"})


def application() -> Application:
    """For other ASGI servers: `uvicorn --factory haru.server.application:application`."""
    keep_private()
    settings = current()
    logs.configure(settings)
    return Application(settings)
