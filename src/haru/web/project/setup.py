"""Makes the accounts ready: Django set up, the tables as this version wants them, collect's sites written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import django

from haru.files import own

_LOCK = int.from_bytes(b"accounts", "big")  # name of the advisory lock
_OURS = {"accounts", "sites"}  # of the others' tables an update may leave steps out that were taken


class AccountsTooNew(Exception):
    """A newer Haru made the tables of the accounts; the text says what to do."""


def configure() -> None:
    """Set Django up; asks no database. Raises `haru.settings.BadSetting`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haru.web.project.config")
    django.setup()


def prepare() -> None:
    """Set Django up, apply what migrations are missing, and write the sites for collect.

    For the server, the command line and the tests; harmless when called twice. Raises `haru.settings.BadSetting` for a
    setting that cannot be used, `django.db.Error` when the database cannot be reached, and `AccountsTooNew`.
    """
    configure()
    migrate()

    from haru.sites import publish

    publish.rewrite()


def check() -> None:
    """Ask the database something. Raises `django.db.Error` when it does not answer."""
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
    finally:
        connection.close()


def migrate() -> list[str]:
    """Apply the migrations that the database lacks; their names. Two processes at once take turns.

    Raises `AccountsTooNew`.
    """
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor == "sqlite":
        _make_private(str(connection.settings_dict["NAME"]))
    if not _is_behind():
        return []
    with _turn():
        before = _applied()
        call_command("migrate", interactive=False, verbosity=0)
        return [f"{app} {name}" for app, name in sorted(_applied() - before)]


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """One process of the data folder at a time; on PostgreSQL one of all that use the database."""
    from django.db import connection

    from haru import settings

    path = settings.current().data_dir / "migrate.lock"
    with own(path):
        file = path.open("w")
    with file as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _applied() -> set[tuple[str, str]]:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    return set(MigrationRecorder(connection).applied_migrations())


def _is_behind() -> bool:
    """Whether the database lacks a migration. Raises `AccountsTooNew`."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connection)
    unknown = sorted(
        step for step in loader.applied_migrations if step[0] in _OURS and step not in loader.disk_migrations
    )
    if unknown:
        raise AccountsTooNew(
            f"The accounts are at {' '.join(unknown[-1])}, made by a newer Haru, and this one does not know it: "
            "start the newer Haru, or restore a backup from before."
        )
    return not set(loader.graph.leaf_nodes()) <= set(loader.applied_migrations)


def _make_private(name: str) -> None:
    """The file holds password digests: it is made readable for this user alone before anything is written to it."""
    if name != ":memory:" and "mode=memory" not in name and not Path(name).exists():
        Path(name).touch(mode=0o600)
