"""The `haru` command as a person uses it: real processes, with the server down and with it up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.server import Server

EXCERPT = Path(__file__).parent.parent / "data" / "access-excerpt.log.gz"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "data")


def test_migrate_says_what_it_did_and_a_store_of_a_newer_haru_stops_the_start(server: Server) -> None:
    done = server.haru("migrate").stdout.splitlines()
    assert "accounts: sites 0001_initial" in done
    assert done[-1].startswith("event store: ")
    assert server.haru("migrate").stdout.splitlines() == ["accounts: up to date.", "event store: up to date."]
    with duckdb.connect(str(server.data_dir / "events.duckdb")) as store:
        store.execute("INSERT INTO version VALUES (99)")
    for words in (["serve"], ["migrate"]):
        refused = server.haru(*words, check=False)
        assert refused.returncode == 1
        assert "haru: The event store is at version 99, made by a newer Haru" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_help_teaches_and_is_quick_to_come(server: Server) -> None:
    for words in (
        [],
        ["serve"],
        ["migrate"],
        ["import", "log"],
        ["site", "add"],
        ["site", "set"],
        ["site", "show"],
        ["key", "add"],
        ["user", "add"],
        ["demo"],
        ["check"],
        ["bench"],
    ):
        text = server.haru(*words, "--help").stdout
        assert "haru " in text
        assert "Usage" in text
    assert "Example" in server.haru("import", "log", "--help").stdout


def test_from_nothing_to_a_site_with_a_key(server: Server) -> None:
    assert "haru user add" in server.haru("setup").stdout
    server.haru("user", "add", "mara@example.com", "--password-stdin", stdin="a long password\n")
    assert "data-token=" in server.haru("site", "add", "www.Example.com", "--timezone", "Europe/Berlin").stdout
    (site,) = json.loads(server.haru("site", "list", "--json").stdout)
    assert site["domain"] == "example.com"
    assert site["timezone"] == "Europe/Berlin"
    assert len(site["token"]) >= 32
    assert "created_at" in site
    key = server.haru("key", "add", "notebook", "--user", "mara@example.com").stdout.split()[-1]
    assert key.startswith("haru_")
    assert key not in "".join(path.read_bytes().decode("latin-1") for path in server.data_dir.glob("accounts*"))
    assert "haru serve" in server.haru("setup").stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["site", "add", "not a domain"], 1, "haru: "),
        (["site", "add", "example.com", "--owner", "nobody@example.com"], 1, "no account for nobody@example.com"),
        (["site", "add", "example.com"], 1, "haru user add"),
        (["site", "show", "example.com"], 1, "There is no site example.com"),
        (["site", "set", "example.com", "--honour-opt-out"], 1, "There is no site example.com"),
        (["site", "set", "example.com"], 2, "say what to change"),
        (["site", "set", "example.com", "--rate-limit", "many"], 2, "is no whole number"),
        (["user", "add", "no address", "--password-stdin"], 1, "is not an email address"),
        (["import", "log", "/no/such/file", "--site", "example.com"], 1, "There is no site example.com"),
        (["import", "log"], 2, "Missing argument"),
        (["nonsense"], 2, "There is no command"),
        (["serve", "--port", "http"], 2, "a valid integer"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(server: Server, words: list[str], code: int, sentence: str) -> None:
    done = server.haru(*words, stdin="a long password\n", check=False)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_setting_stops_every_command_with_the_remedy(tmp_path: Path) -> None:
    for words in (["serve"], ["check"], ["site", "list"]):
        done = Server(tmp_path / "data", HARU_RATE_LIMIT="lots").haru(*words, check=False)
        assert done.returncode == 1
        assert "HARU_RATE_LIMIT" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_an_import_is_in_the_store_when_the_command_ends(server: Server, up: bool) -> None:
    server.add_site("semicomplete.com")
    with server:
        if up:
            server.start()
        first = json.loads(server.haru("import", "log", str(EXCERPT), "--site", "semicomplete.com", "--json").stdout)
        assert first["lines"] == 500
        assert first["imported"] + sum(first["refused"].values()) == 500
        table = server.haru("import", "log", str(EXCERPT), "--site", "semicomplete.com").stdout
        assert "already_imported" in table
        if not up:
            server.start()
        key = server.haru("key", "add", "test", "--user", "owner@example.com").stdout.split()[-1]
        answer = httpx.post(
            f"{server.url}/api/v2/query",
            headers={"Authorization": f"Bearer {key}"},
            json={"site_id": "semicomplete.com", "metrics": ["pageviews"], "date_range": ["2015-05-01", "2015-05-31"]},
        )
        assert answer.json()["results"] == [{"metrics": [first["imported"]], "dimensions": []}]
        assert server.stop() == 0


def test_an_import_reads_standard_input(server: Server, tmp_path: Path) -> None:
    server.add_site("example.com")
    line = '203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:40.0) Gecko/20100101 Firefox/40.0"\n'
    done = server.haru("import", "log", "-", "--site", "example.com", "--json", stdin=line * 2)
    assert json.loads(done.stdout)["imported"] == 2


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_check_finds_all_well_with_the_server_up_and_down(server: Server, up: bool) -> None:
    server.add_site()
    with server:
        if up:
            server.start()
        done = server.haru("check")
        assert "BAD" not in done.stdout
        assert ("the running server has it open" in done.stdout) is up


def test_check_names_what_is_wrong(server: Server) -> None:
    server.add_site()
    (server.data_dir / "events.duckdb").write_bytes(b"no database at all" * 1000)
    done = server.haru("check", check=False)
    assert done.returncode == 1
    assert "BAD  event store" in done.stdout
    assert "Traceback" not in done.stderr


def test_check_warns_of_what_is_probably_not_meant_so(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", HARU_BASE_URL="https://stats.example.com", HARU_PROT="1")
    done = server.haru("check")
    assert "warn settings: HARU_PROT is no setting: did you mean HARU_PORT?" in done.stdout
    assert "HARU_TRUSTED_PROXIES" in done.stdout
    with server.start(ready="/health/live"):
        assert "HARU_PROT is no setting" in server.log.read_text()
        assert "HARU_TRUSTED_PROXIES" in server.log.read_text()


def test_the_settings_of_the_docs_are_those_of_the_command(server: Server) -> None:
    assert server.haru("check", "--settings").stdout in (ROOT / "docs" / "settings.md").read_text()


def test_serve_refuses_to_start_while_the_known_password_works(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", HARU_BASE_URL="")
    with server:
        server.start("--dev")
        assert f"Open http://localhost:{server.port} and sign in" in server.log.read_text()
        assert ":4000" not in server.log.read_text()
        assert httpx.get(f"{server.url}/account/login/").status_code == 200
        assert server.stop() == 0
        server.start("--dev")
        assert server.stop() == 0
        assert server.log.read_text().count("Made a demo site") == 1  # a second start makes nothing again
    done = server.haru("serve", check=False)
    assert done.returncode == 1
    assert "dev@haru.local" in done.stderr
    assert [site["domain"] for site in json.loads(server.haru("site", "list", "--json").stdout)] == ["demo.haru.local"]
    # Every printed address has the port.
    assert f"served at http://localhost:{server.port}." in server.haru("check").stdout
    assert f'src="http://localhost:{server.port}/js/haru.js"' in server.haru("site", "add", "a.example").stdout


def test_the_development_server_listens_on_this_machine_only(tmp_path: Path) -> None:
    done = Server(tmp_path / "data", HARU_HOST="0.0.0.0").haru("serve", "--dev", check=False)
    assert done.returncode == 1
    assert "HARU_HOST" in done.stderr


def test_a_port_that_is_taken_is_said_so(server: Server, tmp_path: Path) -> None:
    with server:
        server.start()
        other = Server(tmp_path / "other", HARU_PORT=str(server.port))
        done = other.haru("serve", check=False)
        assert done.returncode == 1
        assert f"Port {server.port}" in done.stderr


def test_reset_empties_the_folder_of_haru_and_of_nothing_else(server: Server) -> None:
    server.add_site()
    (server.data_dir / "notes.txt").write_text("mine")
    with server:
        server.start()
        refused = server.haru("reset", "--yes", check=False)
        assert refused.returncode == 1
        assert "stop it first" in refused.stderr
        assert server.stop() == 0
    server.haru("reset", "--yes")
    assert sorted(path.name for path in server.data_dir.iterdir()) == ["notes.txt"]


def test_demo_fills_a_site_once(server: Server) -> None:
    server.add_site()
    assert "made-up events" in server.haru("demo", "--days", "3").stdout
    again = server.haru("demo", "--days", "3", check=False)
    assert again.returncode == 1
    assert "demo traffic already" in again.stderr


def test_what_a_site_counts_is_set_and_shown_and_holds_in_the_running_server(server: Server) -> None:
    token = server.add_site()
    with server:
        server.start()
        assert "x-haru-dropped" not in server.collect(token, "/admin/users").headers
        shown = server.haru(
            *("site", "set", "example.com", "--exclude-page", "/admin/**", "--exclude-page", "/*/preview"),
            *("--exclude-country", "se", "--honour-opt-out", "--rate-limit", "50", "--timezone", "Asia/Tokyo"),
        ).stdout
        assert "/admin/**, /*/preview" in shown
        deadline = time.monotonic() + 60
        while server.collect(token, "/admin/users").headers.get("x-haru-dropped") != "excluded_page":
            assert time.monotonic() < deadline, "the running server did not hear of it"
            time.sleep(0.1)
        assert server.collect(token, "/", tz="Europe/Stockholm").headers["x-haru-dropped"] == "excluded_country"
        assert "x-haru-dropped" not in server.collect(token, "/").headers
        server.haru("site", "set", "example.com", "--exclude-country", "none", "--rate-limit", "default")
        assert server.stop() == 0
    site = json.loads(server.haru("site", "show", "example.com", "--json").stdout)
    assert (site["excluded_countries"], site["excluded_pages"]) == ([], ["/admin/**", "/*/preview"])
    assert (site["honour_opt_out"], site["rate_limit"], site["timezone"]) == (True, None, "Asia/Tokyo")
    assert site["token"] == token
    bad = server.haru("site", "set", "example.com", "--exclude-address", "office", "--timezone", "UTC", check=False)
    assert bad.returncode == 1
    assert '"office" is neither an address nor a network' in bad.stderr
    assert json.loads(server.haru("site", "show", "example.com", "--json").stdout) == site


def test_bench_says_what_the_machine_carries_and_leaves_nothing(server: Server) -> None:
    found = json.loads(server.haru("bench", "--seconds", "0.5", "--json").stdout)
    assert found["events_per_second"] > 100
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert list(server.data_dir.glob("haru-bench-*")) == []
    assert "events a day" in server.haru("bench", "--seconds", "0.5").stdout
