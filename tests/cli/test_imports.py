"""What a command loads: its start is as fast as its imports are few. No times, which say more of the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

PROGRAM = """
import atexit, json, sys
from haru.cli import main
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules))))
main(sys.argv[1:])
"""

ENGINES = {"chdb", "clickhouse_connect", "duckdb", "numpy", "psycopg", "psycopg_pool", "sqlalchemy"}
SERVING = {"httptools", "limits", "prometheus_client", "ua_parser", "uvicorn", "uvloop"}
# 60 to 400 ms each, and nothing that a command needs which opens neither accounts nor a store.
SLOW = {"asyncio", "django", "httpx", "pydantic", "rich", "ssl", "typer"}
OWN = {"haru.cli", "haru.cli.commands", "haru.cli.failure", "haru.cli.group", "haru.cli.output"}


def loaded(folder: Path, *words: str, **settings: str) -> set[str]:
    """The modules that are there when the command has ended."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HARU_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**environment, "PYTHONPATH": str(ROOT / "src"), "HARU_DATA_DIR": str(folder), **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("words", ["--version", "chekc", "--bogus"])
def test_what_needs_no_command_loads_none(tmp_path: Path, words: str) -> None:
    modules = loaded(tmp_path, words)
    assert {name for name in modules if name.startswith("haru.cli")} == OWN
    assert not packages(modules) & {*ENGINES, *SERVING, *SLOW}


@pytest.mark.parametrize("words", ["key add --help", "key add", "key lsit"])
def test_a_command_loads_its_own_module_alone(tmp_path: Path, words: str) -> None:
    modules = loaded(tmp_path, *words.split())
    assert {name for name in modules if name.startswith("haru.cli")} == {*OWN, "haru.cli.keys", "haru.cli.context"}
    assert not packages(modules) & {*ENGINES, *SERVING, *SLOW}


def test_help_that_tells_of_all_loads_nothing_of_what_they_need(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "--help")
    assert {"haru.cli.serve", "haru.cli.transfer.export"} <= modules
    assert not packages(modules) & {*ENGINES, *SERVING, *SLOW}


def test_neither_do_the_settings_nor_a_wrong_one(tmp_path: Path) -> None:
    for modules in (loaded(tmp_path, "check", "--settings"), loaded(tmp_path, "user", "list", HARU_PORT="x")):
        assert "haru.settings" in modules
        assert not packages(modules) & {*ENGINES, *SERVING, *SLOW}


@pytest.mark.parametrize("words", ["setup", "user list", "site list"])
def test_a_command_that_opens_the_accounts_loads_no_engine_and_no_server(tmp_path: Path, words: str) -> None:
    modules = loaded(tmp_path, *words.split())
    assert "haru.accounts.models" in modules
    assert not packages(modules) & {*ENGINES, *SERVING, "httpx", "maxminddb", "pydantic", "rich", "typer"}
