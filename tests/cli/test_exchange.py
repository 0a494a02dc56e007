"""Questions, exports, imports and moves from the command line: with the server down and with it up."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server

EXCERPT = Path(__file__).parent.parent / "data" / "access-excerpt.log.gz"
SITE = "semicomplete.com"
RANGE = "2015-05-01,2015-05-31"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a site and its events."""
    server = Server(tmp_path_factory.mktemp("filled") / "data")
    server.add_site(SITE)
    server.haru("import", "log", str(EXCERPT), "--site", SITE)
    return server.data_dir


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Server:
    shutil.copytree(folder, tmp_path / "data")
    return Server(tmp_path / "data")


def asked(server: Server, site: str, *words: str) -> Any:
    done = server.haru("query", "--site", site, "--range", RANGE, "--format", "json", *words)
    return json.loads(done.stdout)["results"]


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_a_site_goes_out_and_comes_back_to_the_same_numbers(server: Server, tmp_path: Path, up: bool) -> None:
    with server:
        if up:
            server.start()
        for format in ("ndjson", "parquet"):
            copy = f"{format}.example"
            server.haru("site", "add", copy, "--owner", "owner@example.com")
            file = tmp_path / f"events.{format}"
            server.haru("export", "events", "--site", SITE, "--format", format, "--output", str(file))
            for imported in (True, False):
                done = json.loads(server.haru("import", "events", str(file), "--site", copy, "--json").stdout)
                assert (done["imported"] > 50) is imported
                assert done["imported"] + done["already_imported"] == done["events"]
            for words in (["--metrics", "visitors,visits,pageviews,bounce_rate"], ["--by", "event:page"]):
                assert asked(server, copy, *words) == asked(server, SITE, *words)
        assert sorted(path.name for path in server.data_dir.glob("export-*")) == []


def test_an_import_that_is_killed_beside_the_server_is_whole_when_it_runs_again(server: Server, tmp_path: Path) -> None:
    server.haru("site", "add", "copy.example", "--owner", "owner@example.com")
    lines = server.haru("export", "events", "--site", SITE).stdout.splitlines()
    # Enough for the import to take a while: the same events over and over, under ids that go on.
    most = json.loads(lines[-1])["id"]
    with (tmp_path / "many.ndjson").open("w") as file:
        for turn in range(60):
            for line in lines:
                event = json.loads(line)
                event["id"] += turn * most
                event["visit_id"] += turn * most
                file.write(json.dumps(event) + "\n")
    with server:
        server.start()
        words = ("import", "events", str(tmp_path / "many.ndjson"), "--site", "copy.example")
        process = subprocess.Popen(
            [sys.executable, "-m", "haru", *words], env=server.environment, cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while asked(server, "copy.example", "--metrics", "events")[0]["metrics"] == [0]:
            assert time.monotonic() < deadline
        process.kill()
        process.wait()
        server.haru(*words)
        assert asked(server, "copy.example", "--metrics", "events")[0]["metrics"] == [60 * len(lines)]
        assert server.stop() == 0


def test_a_file_that_is_none_of_events_is_refused_in_a_sentence(server: Server, tmp_path: Path) -> None:
    done = server.haru("import", "events", "-", "--site", SITE, stdin="a,b\n", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("haru: Line 1: ")
    assert done.stderr.endswith("Nothing was imported.\n")
    assert "cannot be read" in server.haru("import", "events", "/no/file", "--site", SITE, check=False).stderr
    for words, sentence in (
        (("--since", "soon"), "neither date nor instant"),
        (("--format", "xlsx"), '"xlsx" is no format'),
    ):
        done = server.haru("export", "events", "--site", SITE, *words, check=False)
        assert done.returncode == 2
        assert sentence in " ".join(done.stderr.split())
    done = server.haru("export", "events", "--site", SITE, "--output", "/no/folder/events", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_a_query_is_answered_as_table_json_and_csv_and_shown_as_sql(server: Server, tmp_path: Path, up: bool) -> None:
    with server:
        if up:
            server.start()
        words = ("--metrics", "visitors,pageviews", "--range", RANGE, "--by", "visit:browser", "--limit", "2")
        options = ("--site", SITE, *words, "--filter", "visit:browser!=Safari|Opera", "--order", "pageviews:asc")
        answer = json.loads(server.haru("query", *options, "--format", "json").stdout)
        assert len(answer["results"]) == 2
        assert answer["query"]["filters"] == [["is_not", "visit:browser", ["Safari", "Opera"]]]
        assert answer["query"]["order_by"][0] == ["pageviews", "asc"]
        rows = list(csv.reader(io.StringIO(server.haru("query", *options, "--format", "csv").stdout)))
        assert rows[0] == ["visit:browser", "visitors", "pageviews"]
        assert [[row["dimensions"][0], *map(str, row["metrics"])] for row in answer["results"]] == rows[1:]
        table = server.haru("query", *options).stdout.splitlines()
        assert table[0].split() == rows[0]
        assert len(table) == 3
        asked = {key: answer["query"][key] for key in ("metrics", "date_range", "dimensions", "filters", "order_by")}
        asked |= {"site_id": SITE, "pagination": {"limit": 2}}
        (tmp_path / "asked.json").write_text(json.dumps(asked))
        for given in (json.dumps(asked), "-", str(tmp_path / "asked.json")):
            done = server.haru("query", given, "--format", "json", stdin=json.dumps(asked))
            assert json.loads(done.stdout)["results"] == answer["results"]
        sql = server.haru("query", *options, "--sql").stdout
        assert sql.startswith("SELECT")
        assert "'Safari'" in sql
        explained = json.loads(server.haru("query", *options, "--explain").stdout)
        assert [metric["name"] for metric in explained["metrics"]] == ["visitors", "pageviews"]
        assert explained["engine"] == "duckdb"


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_every_fault_of_a_query_is_a_line(server: Server, up: bool) -> None:
    with server:
        if up:
            server.start()
        query = {"site_id": "nowhere.example", "metrics": ["visitors", "luck"], "date_range": "soon"}
        done = server.haru("query", json.dumps(query), check=False)
        assert done.returncode == 2
        faults = done.stderr.splitlines()
        assert [fault.partition(": ")[2].partition(": ")[0] for fault in faults] == [
            "#/site_id",
            "#/metrics/1",
            "#/date_range",
        ]
        assert faults[0] == 'haru: #/site_id: There is no site "nowhere.example"'
        for given, code, sentence in (
            ("{", 2, "#: The query is not JSON"),
            ("[]", 2, "#: The query must be a JSON object"),
            ("no-such-file.json", 1, "cannot be read"),
        ):
            done = server.haru("query", given, check=False)
            assert (done.returncode, sentence in done.stderr) == (code, True)
        done = server.haru("query", "--site", SITE, "--filter", "event:goal==Nothing", "--sql", check=False)
        assert (done.returncode, done.stderr.startswith("haru: #/filters/0/2/0: ")) == (2, True), done.stderr
        done = server.haru("query", "--site", SITE, "--filter", "country", check=False)
        assert done.returncode == 2
        assert "is no filter" in done.stderr


def test_a_move_reports_month_by_month_and_the_new_store_serves(server: Server, tmp_path: Path) -> None:
    url = f"duckdb://{tmp_path}/moved.duckdb"
    before = asked(server, SITE, "--metrics", "visitors,pageviews")
    with server:
        server.start()
        done = server.haru("move", "--to", url, check=False)
        assert (done.returncode, "stop it first" in done.stderr) == (1, True)
        assert server.stop() == 0
    report = server.haru("move", "--to", url).stdout
    line = next(line for line in report.splitlines() if line.startswith("2015-05"))
    assert SITE in line
    assert line.endswith("equal")
    assert f"HARU_EVENTS_URL={url}" in report
    again = server.haru("move", "--to", url, check=False)
    assert (again.returncode, "holds events already" in again.stderr) == (1, True)
    wrong = server.haru("move", "--to", "mysql://there", check=False)
    assert (wrong.returncode, "no address of an event store" in " ".join(wrong.stderr.split())) == (2, True)
    server.environment["HARU_EVENTS_URL"] = url
    assert asked(server, SITE, "--metrics", "visitors,pageviews") == before
