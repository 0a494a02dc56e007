"""A PostgreSQL store without events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from haru.store.postgres.store import PostgresStore


@pytest.fixture
def store(database: str) -> Iterator[PostgresStore]:
    made = PostgresStore(database)
    yield made
    made.close()
