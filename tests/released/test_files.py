"""What a release has shipped to bring a store or the accounts from one version to the next never changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from haru.store.clickhouse.tables import Layout, migrations
from tests.released.stores import VERSIONS

ROOT = Path(__file__).parent.parent.parent
HARU = ROOT / "src" / "haru"
RELEASED: dict[str, dict[str, str]] = tomllib.loads((Path(__file__).parent / "released.toml").read_text("utf-8"))
FILES = {name: digest for files in RELEASED.values() for name, digest in files.items()}
SQL = sorted(str(path.relative_to(HARU)) for path in HARU.glob("store/*/migrations/**/*.sql"))


def test_a_released_migration_never_changes() -> None:
    sentences = [
        f"{name} has been released and is not what it was: put it back (git checkout), and write a new migration."
        for name, digest in FILES.items()
        if not (HARU / name).is_file() or hashlib.sha256((HARU / name).read_bytes()).hexdigest() != digest
    ]
    assert not sentences, "\n".join(sentences)


def test_every_release_has_its_digests_and_its_stores_to_upgrade_from() -> None:
    assert sorted(RELEASED) == VERSIONS


@pytest.mark.parametrize("name", SQL)
def test_a_migration_that_is_not_released_yet_comes_after_those_that_are(name: str) -> None:
    released = [file for file in FILES if Path(file).parent == Path(name).parent]
    assert name in released or name > max(released)


def test_a_server_and_a_cluster_have_the_same_steps() -> None:
    server, cluster = migrations(Layout("d")), migrations(Layout("d", "c"))
    assert [(step.number, step.title) for step in server] == [(step.number, step.title) for step in cluster]


def test_the_wheel_has_every_migration(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".sql")}
    assert packed == {f"haru/{name}" for name in SQL}
