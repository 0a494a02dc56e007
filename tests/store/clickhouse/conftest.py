"""A ClickHouse store without events, on chDB, the real engine inside this process."""

from __future__ import annotations

import pytest

from tests import embedded


@pytest.fixture
def store():  # type: ignore[no-untyped-def]
    store = embedded.store()
    yield store
    store.close()
