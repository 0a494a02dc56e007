"""The control socket: how a command asks the server that runs on the same data folder.

One process owns the embedded store, so while the server runs a command that needs the store asks the server over a Unix
socket of mode 0600 in the data folder. One line of JSON each way: {"call": name, ...} → {"answer": ...} or
{"error": ...}. A call that answers with a file sends its pieces first, each behind a line {"piece": its length}.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from haru.files import own
from haru.store.protocol import StoreUnavailable

log = logging.getLogger(__name__)

FILE = "control.sock"
MAX_BYTES = 64 * 1024
MAX_PATH = 100  # a Unix socket's path has at most 108 bytes, on some systems 104

Call = Callable[..., Awaitable[Any]]
Pieces = Callable[..., AsyncIterator[bytes]]


class ControlError(Exception):
    """The server refused or failed a call; the text says why."""


class NotRunning(ControlError):
    """No server runs on this data folder."""

    def __init__(self) -> None:
        super().__init__("No server runs on this data folder.")


@contextlib.contextmanager
def short_path(data_dir: Path, name: str) -> Iterator[str]:
    """A path to a socket in the folder that is short enough for the operating system, however deep the folder lies."""
    path = str(data_dir / name)
    if len(os.fsencode(path)) <= MAX_PATH or not sys.platform.startswith("linux"):
        yield path
        return
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def private_socket(data_dir: Path, name: str) -> socket.socket:
    """A Unix socket of this name, bound, that only this user may open; one that a killed server left is replaced.

    Raises `FileUnusable`.
    """
    with own(data_dir / name):
        (data_dir / name).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with short_path(data_dir, name) as path:
            found.bind(path)
    except BaseException:
        found.close()
        raise
    finally:
        os.umask(mask)
    return found


class Server:
    """Answers calls; lives on the server's event loop."""

    def __init__(self, data_dir: Path, calls: Mapping[str, Call], files: Mapping[str, Pieces] | None = None) -> None:
        """`files` are the calls that answer with the pieces of a file."""
        self._data_dir = data_dir
        self._calls = calls
        self._files = files or {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a killed server is replaced. Raises `FileUnusable`."""
        self._server = await asyncio.start_unix_server(
            self._answer, sock=private_socket(self._data_dir, FILE), limit=MAX_BYTES
        )

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            (self._data_dir / FILE).unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(await self._result(await reader.readline(), writer)) + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the command has gone, or sent more than a line may hold
        finally:
            writer.close()

    async def _result(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            name = request.pop("call")
            call = self._calls[name] if name not in self._files else None
        except (msgspec.DecodeError, KeyError):
            return {"error": "The server does not know this call: it may be of another release than the command."}
        try:
            if call is not None:
                return {"answer": await call(**request)}
            return {"answer": await _sent(self._files[name](**request), writer)}
        except ConnectionError:
            raise
        except Exception as error:
            known = isinstance(error, StoreUnavailable)
            log.error(
                "control_call_failed", extra={"call": name, "error": str(error)}, exc_info=None if known else error
            )
            return {"error": str(error) or type(error).__name__}


async def _sent(pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter) -> int:
    """Send the pieces, each when the one before is on its way; how many bytes they were."""
    size = 0
    async with contextlib.aclosing(pieces) as opened:  # type: ignore[type-var]  # every one here is a generator
        async for piece in opened:
            writer.write(msgspec.json.encode({"piece": len(piece)}) + b"\n" + piece)
            await writer.drain()
            size += len(piece)
    return size


class Client:
    """Asks the server that runs on a data folder. Blocking."""

    def __init__(self, data_dir: Path, timeout: float = 60.0) -> None:
        """`timeout` in seconds bounds the wait for one answer."""
        self._data_dir = data_dir
        self._timeout = timeout

    def is_up(self) -> bool:
        """Whether a server runs on this data folder and answers."""
        try:
            self.call("status")
        except NotRunning:
            return False
        return True

    def call(self, name: str, **arguments: Any) -> Any:
        """The server's answer to a call. Raises `NotRunning`, or `ControlError` when the server refused or failed."""
        pieces = self.pieces(name, **arguments)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                return end.value

    def pieces(self, name: str, **arguments: Any) -> Generator[bytes, None, Any]:
        """The pieces of the file that a call answers with, and what else it answers. Raises as `call` does."""
        with socket.socket(socket.AF_UNIX) as connection, short_path(self._data_dir, FILE) as path:
            connection.settimeout(self._timeout)
            try:
                connection.connect(path)
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                raise NotRunning from None
            try:
                connection.sendall(msgspec.json.encode({"call": name, **arguments}) + b"\n")
                with connection.makefile("rb") as answer:
                    while (line := answer.readline()).startswith(b'{"piece":'):
                        yield answer.read(msgspec.json.decode(line, type=dict[str, int])["piece"])
            except TimeoutError:
                raise ControlError(f"The server did not answer within {self._timeout:.0f} s.") from None
            except OSError as error:
                raise ControlError(f"The server did not answer ({error}).") from None
        if not line:
            raise ControlError("The server ended before it answered.")
        result = msgspec.json.decode(line, type=dict[str, Any])
        if "error" in result:
            raise ControlError(result["error"])
        return result["answer"]
