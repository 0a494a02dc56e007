"""Processes of Haru that are forked from one that has imported it: they start and end in a fraction of the time.

What they do in between is the same, but for passwords, which are hashed in fewer rounds. What a process is before it imports Haru, and how the interpreter ends, is not.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from django.conf import settings
from django.db import connections

ROOT = Path(__file__).parent.parent


class Process:
    """A forked `python -m module`; as far as it goes a `subprocess.Popen`."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        stdin: Path,
        stdout: Path,
        stderr: Path,
    ) -> None:
        """Start it in `folder`. It reads from the file `stdin`, and adds to the files `stdout` and `stderr`."""
        self.args = [sys.executable, "-m", module, *arguments]
        files = (str(stdin), str(stdout), str(stderr))
        self._process = _forks().Process(
            target=_run, args=(module, list(arguments), dict(environment), str(folder), files), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, less than 0 for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments` to its end, as `subprocess.run` does."""
    with tempfile.TemporaryDirectory(prefix="haru-fork-") as temporary:
        files = [Path(temporary) / name for name in ("in", "out", "err")]
        files[0].write_text(stdin)
        process = Process(module, arguments, environment, folder, *files)
        try:
            code = process.wait(300)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, code, *(file.read_bytes().decode() for file in files[1:]))


@cache
def _forks() -> ForkServerContext:
    """Forks from a process of its own, which has imported Haru and knows no settings."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.forked"])
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("HARU_", "DJANGO_"))]:
        del os.environ[name]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


def _run(module: str, arguments: list[str], environment: dict[str, str], folder: str, files: Sequence[str]) -> None:
    """Be `python -m module`; in the forked process."""
    assert "tests.forked" in sys.modules
    atexit.unregister(os._exit)
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        opened = os.open(file, flags | os.O_CREAT | (os.O_APPEND if number else 0), 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:  # what an interpreter that ends does, but for taking down every module
        threading._shutdown()
        atexit._run_exitfuncs()
        if settings.configured:
            connections.close_all()
