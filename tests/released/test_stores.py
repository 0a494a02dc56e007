"""A store of any released version, opened by this one, is the same as a fresh one that was given the same events."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from haru.store.protocol import StoreTooNew
from tests.released.stores import ENGINES, VERSIONS, Place, content, further, loaded, place, schema

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=ENGINES)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Two of one engine."""
    with place(request.param, tmp_path) as one, place(request.param, tmp_path) as other:
        yield one, other


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgraded_store_is_the_same_as_a_fresh_one(places: tuple[Place, Place], version: str) -> None:
    upgraded, fresh = places
    given = loaded(version)
    upgraded.restore(version)
    with closing(fresh.store()) as store:
        given.into(store)
        expected = content(store)
    with closing(upgraded.store()) as store:
        assert content(store) == expected
    assert expected["rows"] == given.rows
    assert schema(upgraded) == schema(fresh)
    for at in places:
        with closing(at.store()) as store:
            further(given).into(store)
    with closing(upgraded.store()) as store, closing(fresh.store()) as other:
        assert content(store) == content(other) != expected
    assert schema(upgraded) == schema(fresh)


def test_a_store_of_a_newer_version_is_refused_with_a_sentence_and_left_as_it_is(places: tuple[Place, Place]) -> None:
    newer, _ = places
    newer.restore(VERSIONS[-1])
    newer.ask("INSERT INTO version (number) VALUES (99)")
    before = schema(newer)
    store = newer.store()
    with pytest.raises(
        StoreTooNew,
        match=r"^The event store is at version 99, made by a newer Haru; this one knows \d+: "
        r"start the newer Haru, or restore a backup from before\.$",
    ):
        store.open()
    store.close()
    assert schema(newer) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_column_is_added_with_a_migration_to_fresh_and_to_upgraded_stores(engine: str, tmp_path: Path) -> None:
    """In a process of its own, in which the table of stored columns has one more from the beginning."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.released.added_column", engine, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "added"
