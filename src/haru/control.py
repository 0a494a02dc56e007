"""The control socket: how a command asks the server that runs on the same data folder.

One process owns the embedded store, so while the server runs a command that needs the store asks the server over a Unix
socket of mode 0600 in the data folder. One line of JSON each way: {"call": name, ...} → {"answer": ...} or
{"error": ...}.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()

FILE = "control.sock"
MOST_BYTES = 64 * 1024
LONGEST_PATH = 100  # a Unix socket's path has at most 108 bytes, on some systems 104

Call = Callable[..., Awaitable[Any]]


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
    if len(os.fsencode(path)) <= LONGEST_PATH or not sys.platform.startswith("linux"):
        yield path
        return
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


class Server:
    """Answers calls; lives on the server's event loop."""

    def __init__(self, data_dir: Path, calls: Mapping[str, Call]) -> None:
        self._data_dir = data_dir
        self._calls = calls
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a killed server is replaced."""
        with contextlib.suppress(FileNotFoundError):
            (self._data_dir / FILE).unlink()
        mask = os.umask(0o177)
        try:
            with short_path(self._data_dir, FILE) as path:
                self._server = await asyncio.start_unix_server(self._answer, path, limit=MOST_BYTES)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(FileNotFoundError):
            (self._data_dir / FILE).unlink()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(msgspec.json.encode(await self._result(await reader.readline())) + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the command has gone, or sent more than a line may hold
        finally:
            writer.close()

    async def _result(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            call = self._calls[request.pop("call")]
        except (msgspec.DecodeError, KeyError):
            return {"error": "The server does not know this call: it may be of another release than the command."}
        try:
            return {"answer": await call(**request)}
        except Exception as error:
            log.exception("control_call_failed")
            return {"error": str(error) or type(error).__name__}


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
        with socket.socket(socket.AF_UNIX) as connection, short_path(self._data_dir, FILE) as path:
            connection.settimeout(self._timeout)
            try:
                connection.connect(path)
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                raise NotRunning from None
            try:
                connection.sendall(msgspec.json.encode({"call": name, **arguments}) + b"\n")
                with connection.makefile("rb") as answer:
                    line = answer.readline()
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
