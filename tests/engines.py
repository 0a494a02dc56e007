"""An empty store of any engine, for tests that must hold whichever store an installation has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haru.store.duckdb.store import DuckStore
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Store
from tests import embedded, postgres


@pytest.fixture
def fresh_store(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Makes stores by the name of their engine; they are closed with the test."""
    made: list[Store] = []

    def make(engine: str) -> Store:
        if engine == "postgresql":
            made.append(PostgresStore(postgres.shared().database()))
        elif engine == "clickhouse":
            made.append(embedded.store())
        else:
            made.append(DuckStore(tmp_path / f"fresh-{len(made)}.duckdb", threads=1))
        return made[-1]

    yield make
    for store in made:
        store.close()
