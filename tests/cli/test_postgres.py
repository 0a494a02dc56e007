"""One PostgreSQL database for accounts and events, with the server down and with it up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from haru.store.postgres.store import PostgresStore
from tests.server import Server

EXCERPT = Path(__file__).parent.parent / "data" / "access-excerpt.log.gz"


@pytest.fixture
def server(tmp_path: Path, database: str) -> Iterator[Server]:
    with Server(tmp_path / "data", HARU_DATABASE_URL=database, HARU_EVENTS_URL=database) as made:
        yield made


def results(server: Server, key: str, **query: object) -> list[dict[str, object]]:
    answer = httpx.post(
        f"{server.url}/api/v2/query",
        headers={"Authorization": f"Bearer {key}"},
        json={"site_id": "example.com", "date_range": "day", **query},
    )
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_from_sign_up_to_a_number_with_one_database(server: Server, database: str) -> None:
    server.start()
    with httpx.Client(base_url=server.url, follow_redirects=True) as browser:

        def post(path: str, **fields: str) -> httpx.Response:
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).text)
            assert found is not None
            data = {"csrfmiddlewaretoken": found[1], **fields}
            return browser.post(path, data=data, headers={"Referer": f"{server.url}{path}"})

        page = post("/account/signup/", email="mara@example.com", password1="a long enough secret")
        assert page.status_code == 200
        page = post("/sites/new", domain="example.com", timezone="Europe/Berlin")
        assert page.status_code == 200
        token = server.token("example.com")
        for path in ("/", "/pricing", "/"):
            assert server.collect(token, path).status_code == 200
        server.call("load")
        assert "/pricing" in browser.get("/sites/example.com").text
    key = server.haru("key", "add", "test", "--user", "mara@example.com").stdout.split()[-1]
    assert results(server, key, metrics=["visitors", "pageviews"]) == [{"metrics": [1, 3], "dimensions": []}]
    assert results(server, key, metrics=["pageviews"], dimensions=["event:page"]) == [
        {"metrics": [2], "dimensions": ["/"]},
        {"metrics": [1], "dimensions": ["/pricing"]},
    ]
    assert server.stop() == 0
    assert not list(server.data_dir.glob("events.duckdb*"))
    assert not list(server.data_dir.glob("accounts*"))
    with psycopg.connect(database) as connection:
        schemas = connection.execute(
            "SELECT schemaname, count(*) > 0 FROM pg_tables WHERE tablename IN ('event', 'accounts_user') GROUP BY 1"
        ).fetchall()
    assert sorted(schemas) == [("haru_events", True), ("public", True)]


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_commands_reach_the_store(server: Server, up: bool) -> None:
    server.add_site("example.com")
    if up:
        server.start()
    first = json.loads(server.haru("import", "log", str(EXCERPT), "--site", "example.com", "--json").stdout)
    assert first["imported"] > 0
    assert "BAD" not in server.haru("check", check=False).stdout.replace("BAD  front end", "")
    if not up:
        server.start()
    key = server.haru("key", "add", "test", "--user", "owner@example.com").stdout.split()[-1]
    assert results(server, key, metrics=["pageviews"], date_range=["2015-05-01", "2015-05-31"]) == [
        {"metrics": [first["imported"]], "dimensions": []}
    ]
    assert server.stop() == 0


def test_migrate_says_what_it_did(server: Server) -> None:
    lines = server.haru("migrate").stdout.splitlines()
    assert "accounts: accounts 0001_initial" in lines
    assert lines[-1] == "event store: 1, tables of 0.1.0"
    assert server.haru("migrate").stdout.splitlines() == ["accounts: up to date.", "event store: up to date."]
    server.start()
    assert "the running server" in server.haru("migrate").stdout
    assert server.stop() == 0


def test_reset_empties_its_schema_and_nothing_else(server: Server, database: str) -> None:
    server.add_site("example.com")
    server.haru("import", "log", str(EXCERPT), "--site", "example.com")
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE other (a text)")
    asked = server.haru("reset", stdin="n\n", check=False)
    assert asked.returncode == 1
    assert "and the events in postgresql://haru@/test_" in asked.stdout
    store = PostgresStore(database)
    assert store.progress().last_id > 0
    store.acquire()
    refused = server.haru("reset", "--yes", check=False)
    assert refused.returncode == 1
    assert "Another Haru loads events into this store" in refused.stderr
    store.close()
    server.haru("reset", "--yes")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT to_regnamespace('haru_events')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM other").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM accounts_user").fetchone() == (1,)


def newer(database: str) -> Callable[[], None]:
    store = PostgresStore(database)
    store.open()
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO haru_events.version VALUES (99)")
    return store.close


def held(database: str) -> Callable[[], None]:
    store = PostgresStore(database)
    store.acquire()
    return store.close


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(newer, "haru: The event store is at version 99"), (held, "haru: Another Haru loads events into this store")],
    ids=["too new", "held"],
)
def test_a_store_that_cannot_be_had_stops_the_start_with_a_sentence(
    server: Server, database: str, make: Callable[[str], Callable[[], None]], sentence: str
) -> None:
    server.add_site("example.com")
    end = make(database)
    try:
        for words in (["serve"], ["import", "log", str(EXCERPT), "--site", "example.com"]):
            done = server.haru(*words, check=False)
            assert done.returncode == 1
            assert next(line for line in done.stderr.splitlines() if line.startswith("haru: ")).startswith(sentence)
            assert "Traceback" not in done.stderr
        assert not (server.data_dir / "control.sock").exists()
    finally:
        end()


def test_accounts_that_two_servers_migrate_at_once_are_whole(tmp_path: Path, database: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    servers = [Server(tmp_path / name, HARU_DATABASE_URL=database) for name in ("a", "b")]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda each: each.haru("setup", check=False), servers))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
