"""A command of each kind as a process that Python begins and ends, as a person's shell does: most tests fork theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from haru.cli import haru
from tests.cli.test_reference import commands
from tests.server import Server

EXCERPT = Path(__file__).parent.parent / "data" / "access-excerpt.log.gz"
SITE = ("--site", "example.com")
#: In turn: a command, what it reads on standard input, and what its output has.
LIFE = (
    (("version",), "", "haru "),
    (("setup",), "", "haru user add"),
    (("migrate",), "", "accounts: up to date."),
    (("user", "add", "mara@example.com", "--password-stdin"), "a long password\n", "Added mara@example.com."),
    (("site", "add", "example.com"), "", "data-token="),
    (("site", "list"), "", "example.com"),
    (("key", "add", "notebook", "--user", "mara@example.com"), "", "haru_"),
    (("import", "log", str(EXCERPT), *SITE), "", "imported"),
    (("export", "events", *SITE, "--output", "events.ndjson"), "", ""),
    (("query", *SITE, "--range", "2015-05-01,2015-05-31", "--metrics", "pageviews"), "", "pageviews"),
    (("check",), "", "event store"),
    (("move", "--to", "duckdb://{folder}/moved.duckdb"), "", "HARU_EVENTS_URL="),
    (("demo", "--days", "1"), "", "made-up events"),
    (("reset",), "y\n", "is empty."),
)


def test_each_kind_of_command_does_its_work_and_ends_without_a_word_on_standard_error(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", forks=False)
    for words, stdin, says in LIFE:
        done = server.haru(*(word.format(folder=tmp_path) for word in words), stdin=stdin, check=False)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
        assert says in done.stdout, words
    with server.start():
        assert server.stop() == 0
        logged = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]
        assert (logged[0], logged[-1]) == ("serving", "stopped")
    # `bench` starts such processes itself.
    assert {words[0] for words, _, _ in LIFE} == {name.split()[0] for name in commands(haru)} - {
        "bench",
        "serve",
    }


@pytest.mark.parametrize(("words", "code"), [(("site", "show", "nowhere.example"), 1), (("nonsense",), 2)])
def test_what_goes_wrong_is_the_exit_code(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    done = Server(tmp_path / "data", forks=False).haru(*words, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
