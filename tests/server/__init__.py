"""A real server in a process of its own, for the tests that must kill one or look at one from outside."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from haru.server.control import Client
from tests import forking

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
START_SECONDS = 120
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`haru serve` on a data folder of its own."""

    #: Whether processes are forked from one that has imported Haru (tests/forking.py); set by tests/conftest.py.
    forks = False

    def __init__(self, data_dir: Path, *, forks: bool | None = None, **environment: str) -> None:
        """`forks` is for this server alone: False where it matters how a process begins, ends, or fills its memory."""
        if forks is not None:
            self.forks = forks
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("HARU_", "DJANGO_"))},
            "HARU_DATA_DIR": str(data_dir),
            "HARU_PORT": str(self.port),
            "HARU_BASE_URL": self.url,
            "HARU_RATE_LIMIT": "0",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | forking.Process | None = None
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def haru(
        self, *arguments: str, stdin: str = "", check: bool = True, module: str = "haru"
    ) -> subprocess.CompletedProcess[str]:
        """Run a `haru` command on the same data folder; `module` as for `start`."""
        if not self.forks:
            return self.python("-m", module, *arguments, stdin=stdin, check=check)
        done = forking.run(module, arguments, self.environment, self.data_dir.parent, stdin)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def python(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Python in the same surroundings."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=self.data_dir.parent,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def add_site(self, domain: str = "example.com", timezone: str = "UTC") -> str:
        """An account and a site; the site's token."""
        elsewhere = {"HARU_DATABASE_URL", "HARU_EVENTS_URL"} & set(self.environment)
        if not elsewhere and not any(self.data_dir.iterdir()):
            folder, token = _made(domain, timezone)
            shutil.copytree(folder, self.data_dir, dirs_exist_ok=True)
            return token
        return self.add_site_by_commands(domain, timezone)

    def add_site_by_commands(self, domain: str, timezone: str) -> str:
        """The same, and surely as a person would."""
        self.haru("user", "add", "owner@example.com", "--password-stdin", stdin="a long password\n", check=False)
        self.haru("site", "add", domain, "--timezone", timezone, "--owner", "owner@example.com")
        return self.token(domain)

    def token(self, domain: str) -> str:
        """The token of a site that is there."""
        (site,) = [row for row in json.loads(self.haru("site", "list", "--json").stdout) if row["domain"] == domain]
        return str(site["token"])

    def call(self, name: str) -> Any:
        """Ask the running server over its control socket."""
        return Client(self.data_dir).call(name)

    def start(self, *arguments: str, module: str = "haru", ready: str = "/health", dying: bool = False) -> Server:
        """Start it and wait until `ready` answers 200; `module` is what `python -m` runs in the place of `haru`.

        One that is `dying` may be killed before it is ready.
        """
        self.process = self._started(module, "serve", *arguments)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (ended := self.process.poll()) is not None:
                if dying and ended == -signal.SIGKILL:
                    return self
                raise AssertionError(f"the server ended at once:\n{self.log.read_text()}")
            try:
                if httpx.get(f"{self.url}{ready}", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server did not get ready:\n{self.log.read_text()}")

    def _started(self, module: str, *arguments: str) -> subprocess.Popen[bytes] | forking.Process:
        folder = self.data_dir.parent
        if self.forks:
            return forking.Process(module, arguments, self.environment, folder, Path(os.devnull), self.log, self.log)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments], env=self.environment, stdout=log, stderr=log, cwd=folder
            )

    def kill(self) -> None:
        """End it as a loss of power would: no signal it could handle."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=120)

    def collect(self, token: str, path: str = "/", **body: object) -> httpx.Response:
        return httpx.post(
            f"{self.url}/api/collect",
            headers={"Authorization": f"Bearer {token}", "User-Agent": FIREFOX},
            json={"p": path, **body},
            timeout=60,
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@cache
def _made(domain: str, timezone: str) -> tuple[Path, str]:
    """A data folder with an account and a site, made once: the commands take seconds. The site's token."""
    folder = Path(tempfile.mkdtemp(prefix="haru-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = Server(folder / "data")
    return server.data_dir, server.add_site_by_commands(domain, timezone)
