"""`haru serve` in which a question about pages never comes to its end by itself: the engine is kept busy by it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import column, func, select, text

from haru import cli
from haru.store.duckdb.store import DuckStore

ENDLESS = select(func.count(column("n"))).select_from(
    text("(SELECT a.range + b.range AS n FROM range(1000000) a, range(1000000) b) WHERE n % 7 = 3")
)
asked = DuckStore.fetch


def fetch(self: DuckStore, statement: Any, parameters: Any = None, stop: Any = None) -> Any:
    """The rows, unless it is about pages."""
    about_pages = "event.path AS d0" in str(statement) or "event.path END AS d0" in str(statement)
    return asked(self, ENDLESS if about_pages else statement, parameters, stop)


if __name__ == "__main__":
    DuckStore.fetch = fetch  # type: ignore[method-assign]
    cli.main()
