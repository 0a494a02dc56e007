"""`haru user`: list, password and remove, beside a running server and without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.server import Server

pytestmark = pytest.mark.crash
OWNER, MATE, PASSWORD, NEW = "owner@example.com", "mate@example.com", "a long password", "quite another secret"
MAKE_MATE = f"""
from haru.web.project import setup
setup.prepare()
from haru.accounts.registry import create_user
from haru.sites import registry
registry.set_role(registry.find_site("example.com"), create_user("{MATE}", "{PASSWORD}"), "viewer")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as server:
        server.add_site()
        server.python("-c", MAKE_MATE)
        yield server


def people(server: Server) -> dict[str, dict[str, object]]:
    return {row["email"]: row for row in json.loads(server.haru("user", "list", "--json").stdout)}


def signed_in(server: Server, email: str, password: str = PASSWORD) -> httpx.Client | None:
    browser = httpx.Client(base_url=server.url, timeout=60)
    browser.get("/account/login/")
    form = {"login": email, "password": password, "csrfmiddlewaretoken": browser.cookies["haru_csrf"]}
    return browser if browser.post("/account/login/", data=form).is_redirect else None


class Watcher(threading.Thread):
    """Reads the live stream of example.com until it, or the server, ends."""

    def __init__(self, browser: httpx.Client) -> None:
        super().__init__(daemon=True)
        self._browser = browser
        self.watches = threading.Event()
        self.lines: list[str] = []

    def run(self) -> None:
        with (
            suppress(httpx.RemoteProtocolError),
            self._browser.stream("GET", "/sites/example.com/live", timeout=60) as stream,
        ):
            for line in stream.iter_lines():
                self.lines.append(line)
                self.watches.set()


def test_everyone_is_listed_with_their_sites(server: Server) -> None:
    rows = people(server)
    assert list(rows) == [MATE, OWNER]
    assert rows[OWNER]["sites"] == [{"domain": "example.com", "role": "owner"}]
    assert rows[MATE]["sites"] == [{"domain": "example.com", "role": "viewer"}]
    assert (rows[MATE]["confirmed"], rows[MATE]["may_sign_in"], rows[MATE]["api_keys"]) == (True, True, 0)
    head, mate, _ = server.haru("user", "list").stdout.splitlines()
    assert head.split() == ["address", "confirmed", "registered", "API", "keys", "sites"]
    assert mate.split()[:2] == [MATE, "yes"]
    assert mate.endswith("example.com (viewer)")


def test_a_new_password_ends_sessions_and_open_dashboards(server: Server) -> None:
    server.start()
    browser = signed_in(server, MATE)
    owner = signed_in(server, OWNER)
    assert browser is not None
    assert owner is not None
    watcher, other = Watcher(browser), Watcher(owner)
    for one in (watcher, other):
        one.start()
        assert one.watches.wait(60)
    done = server.haru("user", "password", MATE.upper(), "--password-stdin", stdin=f"{NEW}\n")
    assert "has a new password" in done.stdout
    assert NEW not in done.stdout + done.stderr
    watcher.join(20)  # by itself the stream looks after 30 seconds
    assert "event: gone" in watcher.lines
    assert other.is_alive()
    assert browser.get("/sites").status_code == 302
    assert owner.get("/sites").status_code == 200
    assert signed_in(server, MATE) is None
    assert signed_in(server, MATE, NEW) is not None


REFUSED = [
    (("password", "nobody@example.com", "--password-stdin"), f"{NEW}\n", "There is no account for nobody@example.com"),
    (("password", MATE, "--password-stdin"), "short\n", "at least 10"),
    (("password", MATE, "--password-stdin"), "", "no password on its first line"),
    (("password", MATE), "", "say --password-stdin"),
    (("remove", "nobody@example.com", "--yes"), "", "There is no account for nobody@example.com"),
    (("remove", OWNER, "--yes"), "", "owns example.com: say with --sites-to EMAIL who owns them then"),
    (("remove", OWNER, "--sites-to", OWNER, "--yes"), "", "name another account"),
    (("remove", OWNER, "--sites-to", "nobody@example.com", "--yes"), "", "There is no account for nobody"),
    (("remove", MATE), "n\n", "Aborted"),
    (("remove", MATE), "", "Aborted"),
]


def test_what_cannot_be_done_is_said_and_changes_nothing(server: Server) -> None:
    before = people(server)
    for arguments, stdin, says in REFUSED:
        done = server.haru("user", *arguments, stdin=stdin, check=False)
        assert done.returncode in {1, 2}, arguments
        assert says in " ".join((done.stdout + done.stderr).replace("│", " ").split()), arguments
        assert "Traceback" not in done.stderr
    assert people(server) == before


def test_a_person_is_removed_with_sessions_keys_and_open_dashboards(server: Server) -> None:
    key = server.haru("key", "add", "notebook", "--user", MATE).stdout.split()[-1]
    server.start()
    browser = signed_in(server, MATE)
    assert browser is not None
    watcher = Watcher(browser)
    watcher.start()
    assert watcher.watches.wait(60)
    assert "Removed mate@example.com." in server.haru("user", "remove", MATE, "--yes").stdout
    watcher.join(20)
    assert "event: gone" in watcher.lines
    assert browser.get("/sites").status_code == 302
    assert signed_in(server, MATE) is None
    query = {"site_id": "example.com", "metrics": ["visitors"], "date_range": "day"}
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.post(f"{server.url}/api/v2/query", headers=headers, json=query, timeout=60).status_code == 401
    assert list(people(server)) == [OWNER]


def test_the_sites_of_a_removed_person_go_to_whom_one_says(server: Server) -> None:
    token = server.token("example.com")
    done = server.haru("user", "remove", OWNER, "--sites-to", MATE, stdin="y\n")
    assert "mate@example.com owns example.com." in done.stdout
    assert people(server)[MATE]["sites"] == [{"domain": "example.com", "role": "owner"}]
    assert server.token("example.com") == token
    server.haru("user", "remove", MATE, "--yes", check=False)
    assert list(people(server)) == [MATE]


def test_nobody_is_listed_where_nobody_is(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        assert "There is no account yet" in server.haru("user", "list").stdout
        assert server.haru("user", "list", "--json").stdout == "[]\n"


def test_a_key_is_offered_only_what_an_endpoint_asks_for(server: Server) -> None:
    done = server.haru("key", "add", "shop", "--user", OWNER, "--scope", "events:write", check=False)
    assert done.returncode == 2
    assert "choose from stats:read, sites:write" in " ".join(done.stderr.replace("│", " ").split())
    assert people(server)[OWNER]["api_keys"] == 0
