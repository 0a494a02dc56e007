"""What the tests of the PostgreSQL store ask."""

from __future__ import annotations

from sqlalchemy import column, func, select, table

from haru.events.columns import Row
from haru.store.postgres.store import PostgresStore
from tests.events.made import MINUTE

EVENT = table("event", *(column(name) for name in ("id", "path", "interactive", "occurred_at")))
DAY = 24 * 60 * MINUTE
LONG = select(func.pg_sleep(60))


def ids(store: PostgresStore) -> list[Row]:
    return store.fetch(select(EVENT.c.id).order_by(EVENT.c.id))
