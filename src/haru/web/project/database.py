"""HARU_DATABASE_URL → Django's DATABASES entry. Nothing else imports dj-database-url."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url

from haru.settings import BadSetting

# Readers never wait for the writer, and what was answered (a new password, a site and its token) survives a loss of
# power: a site that was forgotten would leave its number, and so its events, to the next one.
_SQLITE = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
_BUSY_SECONDS = 10
# A server that is away is told within seconds, one whose machine is gone within half a minute.
_POSTGRESQL = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def configuration(url: str, default: Path) -> dict[str, Any]:
    """Django's settings of the database at `url`; an empty url is the SQLite file `default`.

    Raises `BadSetting` when the url cannot be read or its driver is not installed.
    """
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default), "OPTIONS": _sqlite_options()}
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError as error:
        raise BadSetting(
            f"HARU_DATABASE_URL cannot be read ({error}): write sqlite:///path or postgresql://user:password@host/name."
        ) from None
    if database["ENGINE"].endswith("sqlite3"):
        database["OPTIONS"] = _sqlite_options()
    elif find_spec("psycopg") is None:
        raise BadSetting(
            "HARU_DATABASE_URL names a PostgreSQL database, and its driver is not installed: "
            'run `pip install "psycopg[binary]"`, or leave the setting empty for SQLite.'
        )
    else:
        database["OPTIONS"] = {**_POSTGRESQL, **database.get("OPTIONS", {})}
    return database


def _sqlite_options() -> dict[str, Any]:
    # IMMEDIATE takes the write lock at BEGIN, where waiting works; upgrading a read lock later fails at once.
    return {"init_command": _SQLITE, "transaction_mode": "IMMEDIATE", "timeout": _BUSY_SECONDS}
