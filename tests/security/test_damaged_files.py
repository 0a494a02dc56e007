"""Files of the data folder are damaged, or something else lies in their place: collecting goes on where it can, and what
is said names the file and what to do.
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from django.db import DatabaseError, OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper

from haru.events.columns import COLUMNS
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress, StoreUnavailable
from haru.web.project import errors
from tests.events.made import NOON
from tests.live.test_idle import signed_in
from tests.server import Server
from tests.stats.made import journey, stored


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def health(server: Server) -> dict[str, object]:
    return dict(httpx.get(f"{server.url}/health", timeout=30).json())


def scribble(path: Path, offset: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(offset).randbytes(size))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store's file of some blocks."""
    path = tmp_path_factory.mktemp("whole") / "events.duckdb"
    store = DuckStore(path, threads=1)
    events = [
        e for n in range(1, 4_001) for e in journey(10 * n, NOON + n, (0, f"/{n}"), (1, "/b"), source=f"{n}.example")
    ]
    store.load([tuple(event[name] for name, _ in COLUMNS) for event in events], Progress(40_001, {"spool": 1}))
    store.fold()
    store.close()
    return path.read_bytes()


@pytest.mark.parametrize("place", range(16))
def test_whatever_is_damaged_of_the_store_is_said_and_is_no_other_error(
    whole: bytes, tmp_path: Path, place: int
) -> None:
    path = tmp_path / "events.duckdb"
    path.write_bytes(whole)
    # The three heads of the file, and then all over it.
    scribble(path, [0, 4096, 8192][place] if place < 3 else len(whole) * place // 17, 4096)
    store = DuckStore(path, threads=1)
    query = parse({"metrics": ["visitors", "bounce_rate"], "date_range": "all", "dimensions": ["visit:source"]})
    row = tuple(stored(50_000, NOON, 50_000)[name] for name, _ in COLUMNS)
    said = []
    for what in (
        store.open,
        store.progress,
        store.sites,
        store.folded,
        store.unfolded,
        lambda: store.recent_visits(0),
        lambda: store.visits(1, [10], 0, 2 * NOON),
        lambda: store.refusal_counts(1, 0, 2 * NOON),
        lambda: Reports(store).answer(StatsSite(1, "UTC"), query, NOON),
        lambda: list(store.scan(1, 0, 2 * NOON)),
        lambda: store.load([row], Progress(50_000, {"spool": 2})),
        store.fold,
        lambda: store.delete_site(1),
        store.close,
    ):
        try:
            what()
        except StoreUnavailable as error:
            said.append(str(error))
    assert all("the file is damaged" in sentence and "backup" in sentence for sentence in said), said
    assert said or place >= 3


def test_a_damaged_store_stops_no_collecting_and_what_came_is_counted_when_it_is_put_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        assert server.collect(token, "/before").status_code == 200
        server.call("load")
        assert server.stop() == 0
        path = server.data_dir / "events.duckdb"
        backup = path.read_bytes()
        scribble(path, 0, 12_288)
        server.start(ready="/health/live")
        assert server.collect(token, "/meanwhile").status_code == 200
        until(lambda: "damaged" in str(health(server)["store"]), "health names it")
        assert server.process is not None
        assert server.process.poll() is None
        refused = server.haru("query", "--site", "example.com", "--range", "all", check=False)
        assert refused.returncode == 1
        assert "put events.duckdb back from a backup" in refused.stderr
        assert "Traceback" not in refused.stderr + server.log.read_text()
        path.write_bytes(backup)
        until(lambda: httpx.get(f"{server.url}/health").status_code == 200, "it goes on by itself")
        assert server.collect(token, "/after").status_code == 200
        server.call("load")
        key = server.haru("key", "add", "a", "--user", "owner@example.com").stdout.split()[-1]
        cookie = signed_in(server)
        # Now under the running server: its blocks are read again when they are needed.
        scribble(path, 4096, max(0, path.stat().st_size - 4096))
        assert server.collect(token, "/last").status_code == 200
        with suppress(Exception):
            server.call("load")
        assert server.collect(token, "/very last").status_code == 200
        asked = {"site_id": "example.com", "metrics": ["visitors", "bounce_rate"], "date_range": "all"}
        for question in (asked, asked | {"dimensions": ["event:page"]}, asked | {"dimensions": ["visit:source"]}):
            answer = httpx.post(
                f"{server.url}/api/v2/query", json=question, headers={"Authorization": f"Bearer {key}"}, timeout=60
            )
            assert answer.status_code in {200, 503}
            assert answer.status_code == 200 or "try again" in answer.json()["error"]
        page = httpx.get(f"{server.url}/sites/example.com", headers={"Cookie": cookie}, timeout=60)
        assert page.status_code in {200, 503}
        assert server.process.poll() is None
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert "Traceback" not in server.log.read_text()
        path.write_bytes(backup)
        server.stop()


@pytest.mark.parametrize("name", ["control.sock", "haru.lock", "salts.json", "migrate.lock"])
def test_a_folder_in_the_place_of_a_file_is_named_and_is_no_port(tmp_path: Path, name: str) -> None:
    server = Server(tmp_path / "data")
    if name != "migrate.lock":
        server.add_site()
    for file in (server.data_dir / name, server.data_dir / f"{Path(name).stem}.json"):
        file.unlink(missing_ok=True)
    (server.data_dir / name).mkdir(parents=True)
    done = server.haru("serve", check=False)
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert f"{server.data_dir / name} cannot be used (Is a directory)" in sentence
    assert "move it away" in sentence
    assert "Traceback" not in done.stderr
    assert "Port" not in done.stderr


def test_a_port_that_another_has_is_a_port(tmp_path: Path) -> None:
    import socket

    server = Server(tmp_path / "data")
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        done = server.haru("serve", check=False)
    assert done.returncode == 1
    assert f"Port {server.port} on 127.0.0.1 is unavailable (Address already in use)" in done.stderr


def sqlite_error(database: Path, *statements: str) -> str:
    with closing(sqlite3.connect(database)) as connection:
        try:
            for statement in statements:
                connection.execute(statement)
        except sqlite3.Error as error:
            return str(error)
    raise AssertionError("there is no error")


def refusal(database: str, *statements: str) -> Exception:
    """What Django makes of the error of PostgreSQL in which statements end."""
    wrapper = DatabaseWrapper({})
    with psycopg.connect(database) as connection, pytest.raises(DatabaseError) as caught, wrapper.wrap_database_errors:
        for statement in statements:
            connection.execute(statement)
    return caught.value


@pytest.mark.parametrize("path", ["/sites", "/api/v1/sites"])
def test_a_fault_of_accounts_in_postgresql_is_one_of_the_accounts(rf, database: str, path: str) -> None:
    table = "CREATE TABLE t (x int)"
    raised = "DO $$ BEGIN RAISE EXCEPTION 'invalid page in block 0' USING ERRCODE = '%s'; END $$"
    for error, sentence in (
        (refusal(database, "SET TRANSACTION READ ONLY", table), "its disk is full or read-only"),
        (refusal(database, raised % "53100"), "The accounts are unavailable"),
        (refusal(database, raised % "XX001"), "The accounts are unavailable"),
        (refusal(database, raised % "XX002"), "The accounts are unavailable"),
        (refusal(database, table, "SET ROLE pg_monitor", "SELECT * FROM t"), "The accounts are unavailable"),
        (refusal(database, "SELECT * FROM nothing"), "Something broke here"),
    ):
        try:
            raise error
        except Exception:
            response = errors.server_error(rf.get(path))
        assert sentence in response.content.decode()
        assert response.status_code == (500 if "broke" in sentence else 503)


def test_accounts_in_postgresql_that_become_read_only_stop_no_collecting(tmp_path: Path, database: str) -> None:
    def become(read_only: str) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(
                f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = {read_only}"
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def sign_in() -> httpx.Response:
        with httpx.Client(base_url=server.url, headers={"Referer": server.url}, timeout=30) as browser:
            page = browser.get("/account/login/")
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            if token is None:
                return page
            values = {"login": "owner@example.com", "password": "a long password", "csrfmiddlewaretoken": token[1]}
            return browser.post("/account/login/", data=values)

    with Server(tmp_path / "data", HARU_DATABASE_URL=database) as server:
        token = server.add_site()
        server.start()
        assert sign_in().status_code == 302
        become("on")
        answer = next(found for _ in range(5) if "read-only" in (found := sign_in()).text or found.status_code == 500)
        assert answer.status_code == 503
        assert server.collect(token, "/meanwhile").status_code == 200
        become("off")
        assert 302 in {sign_in().status_code for _ in range(3)}
        assert server.stop() == 0


@pytest.mark.parametrize("path", ["/sites", "/api/v1/sites"])
def test_a_fault_of_the_accounts_is_told_apart_from_one_of_the_numbers(rf, tmp_path: Path, path: str) -> None:
    table = "CREATE TABLE t (x)"
    read_only = sqlite_error(tmp_path / "a", table, "PRAGMA query_only = 1", "INSERT INTO t VALUES (1)")
    full = sqlite_error(tmp_path / "b", table, "PRAGMA max_page_count = 2", "INSERT INTO t VALUES (zeroblob(100000))")
    (tmp_path / "c").write_bytes(b"no database" * 1_000)
    damaged = sqlite_error(tmp_path / "c", "SELECT * FROM sqlite_master")
    for error, sentence in (
        (OperationalError(read_only), "its disk is full or read-only"),
        (OperationalError(full), "its disk is full or read-only"),
        (OperationalError("unable to open database file"), "The accounts are unavailable"),
        (DatabaseError(damaged), "The accounts are unavailable"),
        (StoreUnavailable("the file is damaged"), "The numbers are unavailable"),
    ):
        try:
            raise error
        except Exception:
            response = errors.server_error(rf.get(path))
        assert response.status_code == 503
        assert sentence in response.content.decode()
        assert response.headers["Retry-After"] == "10"
