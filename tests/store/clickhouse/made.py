"""What the tests of the ClickHouse store ask."""

from __future__ import annotations

from sqlalchemy import column, select, table

from haru.store.clickhouse.store import ClickHouseStore

EVENT = table("event")
IDS = select(column("id")).select_from(EVENT).order_by(column("id"))


def ids(store: ClickHouseStore) -> list[int]:
    return [id for (id,) in store.fetch(IDS)]
