"""The compose files, brought up with podman-compose as docs/deploy.md says."""

from __future__ import annotations

import json
import secrets
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.containers import bases
from tests.containers.conftest import EMAIL, PASSWORD, sign_in, until, visit
from tests.containers.machine import BIN, ROOT, podman, run
from tests.server import free_port

CADDY_ADDRESS = "172.30.89.2"


class Stack:
    """What a compose file describes, from a folder that holds it as a checkout does."""

    def __init__(self, folder: Path, file: str) -> None:
        self.folder = folder
        self.file = file
        self.project = "haru-dev" if file == "docker-compose.yml" else "haru"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        shutil.copy(ROOT / file, folder)
        # The ports of the files may be in use on this machine.
        haru = f"services:\n  haru:\n    ports: !override ['127.0.0.1:{self.port}:4000']\n"
        caddy = "  caddy:\n    ports: !override []\n" if self.project == "haru" else ""
        (folder / "ports.yml").write_text(haru + caddy)

    def configure(self, url: str) -> None:
        """Make .env.prod of the example, as a person does: with an address and a password."""
        password = secrets.token_hex(24)
        values = {"HARU_BASE_URL": url, "POSTGRES_PASSWORD": password, "PGPASSWORD": password}
        lines = (ROOT / ".env.prod.example").read_text("utf-8").splitlines()
        names = [line.partition("=")[0] for line in lines]
        for name, value in values.items():
            lines[names.index(name)] = f"{name}={value}"
        (self.folder / ".env.prod").write_text("\n".join(lines))

    def compose(self, *arguments: str, stdin: str = "") -> str:
        files = ("-f", self.file, "-f", "ports.yml")
        return run(BIN / "podman-compose", *files, *arguments, stdin=stdin, cwd=self.folder, seconds=600)

    def haru(self, *arguments: str, stdin: str = "") -> str:
        return self.compose("exec", "-T", "haru", "haru", *arguments, stdin=stdin)

    def up(self, *options: str) -> None:
        self.compose(*options, "up", "--detach", "--no-build")
        until(lambda: httpx.get(f"{self.url}/health").status_code == 200)

    def token(self) -> str:
        return str(json.loads(self.haru("site", "list", "--json"))[0]["token"])

    def count(self, metric: str) -> int:
        asked = ("--site", "example.com", "--metrics", metric, "--range", "day", "--format", "json")
        return int(json.loads(self.haru("query", *asked))["results"][0]["metrics"][0])

    def exit_codes(self) -> dict[str, int]:
        """{service: exit code} of containers that have stopped."""
        names = podman("ps", "--all", "--quiet", f"--filter=label=io.podman.compose.project={self.project}").split()
        found = json.loads(podman("inspect", *names))
        labels = [each["Config"]["Labels"]["com.docker.compose.service"] for each in found]
        return dict(zip(labels, (each["State"]["ExitCode"] for each in found), strict=True))


def _stack(folder: Path, file: str) -> Iterator[Stack]:
    bases.postgres()
    stack = Stack(folder, file)
    try:
        yield stack
    finally:
        profile = ("--profile", "https") if stack.project == "haru" else ()
        stack.compose(*profile, "down", "--volumes")


@pytest.fixture
def production(image: str, tmp_path: Path) -> Iterator[Stack]:
    shutil.copy(ROOT / "Caddyfile", tmp_path)
    yield from _stack(tmp_path, "docker-compose.prod.yml")


@pytest.fixture
def development(image: str, tmp_path: Path) -> Iterator[Stack]:
    yield from _stack(tmp_path, "docker-compose.yml")


def _add_owner_before_it_is_reached(stack: Stack) -> None:
    stack.compose("up", "--detach", "--no-build", "postgres")
    # Docker waits for the health of what a service depends on; podman does only with systemd.
    until(lambda: podman("healthcheck", "run", f"{stack.project}_postgres_1") is not None)
    stack.compose("run", "--rm", "-T", "haru", "user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")


def _browser(url: str, **options: object) -> httpx.Client:
    return httpx.Client(base_url=url, follow_redirects=True, timeout=60, **options)  # type: ignore[arg-type]


def test_production_keeps_accounts_and_events_over_a_stop(production: Stack) -> None:
    production.configure(production.url)
    _add_owner_before_it_is_reached(production)
    production.up()
    production.haru("site", "add", "example.com")
    token = production.token()
    with _browser(production.url, headers={"Referer": production.url}) as browser:
        sign_in(browser)
        # A proxy on the machine itself is believed.
        assert visit(browser, token, "/before", address="203.0.113.7") == 200
        assert visit(browser, token, "/before", address="203.0.113.8") == 200
    until(lambda: production.count("pageviews") == 2)
    assert production.count("visitors") == 2
    production.compose("stop")
    assert production.exit_codes() == {"haru": 0, "postgres": 0}
    production.compose("down")
    production.up()
    assert production.token() == token
    assert production.count("pageviews") == 2
    with _browser(production.url, headers={"Referer": production.url}) as browser:
        assert "example.com" in sign_in(browser)
        assert visit(browser, token, "/after") == 200
    until(lambda: production.count("pageviews") == 3)


def test_caddy_brings_https(production: Stack) -> None:
    bases.caddy()
    production.configure("https://localhost")
    _add_owner_before_it_is_reached(production)
    production.up("--profile", "https")
    production.haru("site", "add", "example.com")
    root = ("exec", "haru_caddy_1", "cat", "/data/caddy/pki/authorities/local/root.crt")
    until(lambda: podman(*root))
    trust = ssl.create_default_context(cadata=podman(*root))
    url = f"https://{CADDY_ADDRESS}"
    # The certificate is for the name in HARU_BASE_URL, which is another machine's here.
    trust.check_hostname = False
    headers = {"Host": "localhost", "Referer": "https://localhost/"}
    with _browser(url, headers=headers, verify=trust) as browser:
        browser.event_hooks["request"].append(lambda request: request.extensions.update(sni_hostname="localhost"))
        until(lambda: browser.get("/health").status_code == 200)
        sign_in(browser)
        assert all(cookie.secure for cookie in browser.cookies.jar)
        assert visit(browser, production.token(), "/") == 200
    until(lambda: production.count("pageviews") == 1)


def test_development_has_postgresql_beside_it(development: Stack) -> None:
    development.up()
    development.haru("user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
    development.haru("demo", "--days", "2")
    stored = "select count(*) > 100 from haru_events.event"
    query = ("exec", "-T", "postgres", "psql", "--username=haru", "--tuples-only", "--command", stored)
    until(lambda: development.compose(*query).strip() == "t")
