"""Stored events for tests: dictionaries with every column, and a store that holds them."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

import duckdb
import psycopg

from haru.events.columns import COLUMNS
from haru.stats.answers import Answer, Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.vocabulary.goals import Goal
from haru.store.clickhouse.store import ClickHouseStore
from haru.store.duckdb.store import DuckStore
from haru.store.postgres.store import PostgresStore
from haru.store.protocol import Progress, Store
from tests import embedded, postgres, reference

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


_fillings = count(1)
_numbers = count(1)
_ZERO: dict[str, Any] = {"VARCHAR": "", "BIGINT": 0, "SMALLINT": -1, "BOOLEAN": True}


def ms(text: str) -> int:
    """`2026-01-31 10:00` in UTC → milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def stored(id: int, at: int, visit: int, **columns: Any) -> dict[str, Any]:
    """One stored event; `at` beside the columns of the table, and the visit's number as its visitor."""
    event = {name: _ZERO.get(kind) for name, kind in COLUMNS}
    event |= {
        "name": "pageview",
        "path": "/",
        "hostname": "example.com",
        "props": "{}",
        "site_id": 1,
        "visitor_id": visit,
    }
    return event | {"id": id, "at": at, "occurred_at": at, "visit_id": visit} | columns


def journey(visit: int, start: int, *steps: tuple[float, str], **columns: Any) -> list[dict[str, Any]]:
    """A visit: each step is minutes after the start and a path; `!name` after the path makes it a custom event.

    `~` instead of a name makes it an engagement event.
    """
    events = []
    for number, (minutes, step) in enumerate(steps):
        path, bang, name = step.partition("!")
        if path.endswith("~"):
            path, bang, name = path[:-1], "!", "engagement"
        at = start + int(minutes * MINUTE)
        kind = {"name": name} if bang else {}
        events.append(stored(visit + number, at, visit, **{"path": path, **kind, **columns}))
    return events


def reading(visit: int, start: int, *parts: tuple[str, int, int]) -> list[dict[str, Any]]:
    """A visit that reads pages: each part is a path, engaged milliseconds and per cent scrolled (-1: not known)."""
    events = journey(visit, start, (0, parts[0][0]))
    for number, (path, engaged, scrolled) in enumerate(parts, 1):
        columns = {"path": path, "name": "engagement", "engaged_ms": engaged, "scroll_depth": scrolled}
        events.append(stored(visit + number, start + number * MINUTE, visit, **columns))
    return events


def paid(visit: int, start: int, *amounts: tuple[str, str], **columns: Any) -> list[dict[str, Any]]:
    """A visit with an event `buy` for each currency and amount."""
    events = journey(visit, start, (0, "/"), **columns)
    for number, (currency, amount) in enumerate(amounts, 1):
        revenue = {"name": "buy", "revenue_currency": currency, "revenue_amount": amount}
        events.append(stored(visit + number, start + number * MINUTE, visit, **{**columns, **revenue}))
    return events


def props(**values: str) -> str:
    """Properties as they are stored."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True)


def euros(value: float) -> list[dict[str, Any]]:
    """Revenue in one currency, as an answer has it."""
    return [{"currency": "EUR", "value": value}]


def filled(events: list[dict[str, Any]], engine: str = "duckdb") -> Store:
    """A store of this engine with these events and no others, loaded in the order of their ids.

    It may be the one that the call before gave, emptied.
    """
    store = ENGINES[engine]()
    rows = sorted(events, key=lambda event: event["id"])
    progress = Progress(max([0, *(e["id"] for e in rows)]), {"filled": next(_fillings)})
    store.load([tuple(event[name] for name, _ in COLUMNS) for event in rows], progress)
    return store


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    """One engine for all stores of this process, with the tables of an empty store."""
    return DuckStore(None, threads=1)._opened()


class _Database:
    """A store's own database in the engine that all share: to start an engine takes 40 ms, to make a database 5."""

    def __init__(self) -> None:
        self.name = f"filled_{next(_numbers)}"
        with closing(_duckdb().cursor()) as cursor:
            cursor.execute(f"ATTACH ':memory:' AS {self.name}")
            cursor.execute(f"COPY FROM DATABASE memory TO {self.name}")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = _duckdb().cursor()
        cursor.execute(f"USE {self.name}")
        return cursor

    def close(self) -> None:
        with closing(_duckdb().cursor()) as cursor:
            cursor.execute(f"DETACH DATABASE IF EXISTS {self.name}")


def _empty_duckdb() -> Store:
    store, database = DuckStore(None, threads=1), _Database()
    store._database = database  # type: ignore[assignment]
    weakref.finalize(store, database.close).atexit = False
    return store


@cache
def _postgres() -> tuple[Store, psycopg.Connection]:
    url = postgres.shared().database()
    store = PostgresStore(url)
    store.acquire()
    return store, psycopg.connect(url, autocommit=True)


def _emptied_postgres() -> Store:
    store, connection = _postgres()
    connection.execute("TRUNCATE haru_events.event")
    return store


@cache
def _clickhouse() -> ClickHouseStore:
    store = embedded.store()
    store.acquire()
    return store


def _emptied_clickhouse() -> Store:
    store = _clickhouse()
    store._client.command("TRUNCATE TABLE event")
    return store


# An empty store of each engine, to be filled with one site's events.
ENGINES: dict[str, Callable[[], Store]] = {
    "duckdb": _empty_duckdb,
    "postgresql": _emptied_postgres,
    "clickhouse": _emptied_clickhouse,
}


def ask(
    events: list[dict[str, Any]], now: int, timezone: str = "UTC", goals: Sequence[Goal] = (), **query: Any
) -> Answer:
    """The answer to a query about these events; the second implementation must say the same."""
    query = {"metrics": ["visitors"], "date_range": "day", **query}
    answer = Reports(filled(events)).answer(StatsSite(1, timezone, tuple(goals)), parse(query, goals), now)
    assert_same(answer, reference.answer(events, query, timezone, now, [asdict(goal) for goal in goals]), query)
    return answer


def rows(answer: Answer) -> list[tuple[Any, ...]]:
    """Each row's dimensions and metrics in one tuple."""
    return [(*row.dimensions, *row.metrics) for row in answer.rows]


def assert_same(answer: Answer, expected: dict[str, Any], query: dict[str, Any]) -> None:
    """The answer is that of the second implementation, to the last digit."""
    include = query.get("include", {})
    assert answer.period == expected["period"]
    if include.get("comparisons"):
        assert answer.comparison is not None
        assert answer.comparison.period == expected["compared"]
    if include.get("time_labels"):
        assert answer.labels == expected["labels"]
    if include.get("total_rows"):
        assert answer.total_rows == expected["total"]
    found = [
        (row.dimensions, row.metrics, (row.comparison.dimensions, row.comparison.metrics) if row.comparison else None)
        for row in answer.rows
    ]
    assert found == expected["rows"]
