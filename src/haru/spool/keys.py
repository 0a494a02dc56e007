"""Idempotency keys across spools: which event of all spools a key belongs to.

A spool refuses a key that it has seen itself, at once. Two processes that collect have two spools, so the loader asks
here again. A key belongs to a place in a spool, so a batch that is read again after a crash still owns its keys.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from haru import files
from haru.spool.spool import KEY_LIFETIME_MS, usable

FILE = "claims.sqlite3"  # with its table named as released

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS claim (site_id INTEGER NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, "
    "owner TEXT NOT NULL, PRIMARY KEY (site_id, key)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS claim_at ON claim (at)",
)

KeyUse = tuple[int, str, int, str]  # (site id, key, moment in ms, owner: the event's place in its spool)


class IdempotencyKeys:
    """The file of keys and their owners. It holds 24 hours of keys on disk and nothing in memory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._connection: sqlite3.Connection | None = None

    def duplicates(self, uses: list[KeyUse]) -> set[str]:
        """Give free keys to their owners; the owners whose key belongs to another. Raises `SpoolUnavailable`."""
        if not uses:
            return set()
        with usable(FILE), self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            oldest = min(at for _, _, at, _ in uses)
            connection.execute("DELETE FROM claim WHERE at < ?", (oldest - KEY_LIFETIME_MS,))
            connection.executemany("INSERT OR IGNORE INTO claim VALUES (?, ?, ?, ?)", uses)
            return {
                owner
                for site_id, key, _, owner in uses
                if connection.execute(
                    "SELECT owner FROM claim WHERE site_id = ? AND key = ?", (site_id, key)
                ).fetchone()
                != (owner,)
            }

    def forget_site(self, site_id: int) -> None:
        """Remove a site's keys. Raises `SpoolUnavailable`."""
        with usable(FILE), self._connected() as connection:
            connection.execute("DELETE FROM claim WHERE site_id = ?", (site_id,))

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = files.database(self._path)
            for statement in _SCHEMA:
                connection.execute(statement)
            self._connection = connection
        return self._connection
