"""`haru setup`, `haru migrate` and `haru reset`: the data folder and its databases."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.output import echo

if TYPE_CHECKING:
    from haru.settings import Settings

# What Haru writes into its folder: nothing else is ever removed from it.
OURS = (
    *(
        "spool*.sqlite3*",
        "claims.sqlite3*",
        "events.duckdb*",
        "events.chdb*",
        "accounts.sqlite3*",
        "sites.*",
        "salts.*",
        "secret.key*",
    ),
    *("node.id*", "control.sock", "pages.sock", "migrate.lock", "haru.lock", "haru-bench-*", "export-*"),
)


@click.command("setup")
def setup() -> None:
    """Prepare the data folder and its databases, and show what is there. Safe to run again.

    \b
    Example:
      HARU_DATA_DIR=/var/lib/haru haru setup
    """
    settings = context.settings()
    context.database()
    from haru.accounts.models import User
    from haru.sites.models import Site

    people, sites = User.objects.count(), Site.objects.count()
    echo(f"The data folder is {settings.data_dir}.")
    echo(f"Accounts: {people}. Sites: {sites}.")
    if not people:
        echo("Next: haru user add you@example.com")
    elif not sites:
        echo("Next: haru site add example.com --timezone Europe/Berlin")
    else:
        echo("Next: haru serve")


@click.command("migrate")
def migrate() -> None:
    """Bring the tables of the event store and of the accounts to this version, and say what was done.

    Every start does it too: this is for who wants it done, or wants to see it fail, before the server starts.

    \b
    Example:
      haru migrate
    """
    settings = context.settings()
    for line in (*_accounts_migrated(), *_store_migrated(settings)):
        echo(line)


def _accounts_migrated() -> list[str]:
    from haru.web.project import setup

    setup.configure()
    done = setup.migrate()
    from haru.sites import publish

    publish.rewrite()
    return [f"accounts: {name}" for name in done] or ["accounts: up to date."]


def _store_migrated(settings: Settings) -> list[str]:
    from haru.server.control import Client
    from haru.store.migrations import noted
    from haru.store.opening import event_store

    if Client(settings.data_dir).is_up():
        return ["event store: up to date, the running server saw to it when it started."]
    store = event_store(settings)
    try:
        with noted() as done:
            store.open()
    finally:
        store.close()
    return [f"event store: {step.number}, {step.title}" for step in done] or ["event store: up to date."]


@click.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Remove everything Haru keeps: events, and in the data folder accounts, sites, salts, key. There is no way back.

    Only Haru's own files go, and of a database named by HARU_EVENTS_URL only Haru's schema there. It refuses while a
    server runs. Accounts in a database named by HARU_DATABASE_URL stay.

    \b
    Example:
      haru reset --yes
    """
    settings = context.settings()
    from haru.server.control import Client

    if Client(settings.data_dir).is_up():
        raise Failure("The server runs on this data folder: stop it first, then reset.")
    if not yes:
        where = f" and the events in {_without_password(settings.events_url)}" if settings.events_url else ""
        click.confirm(f"Remove all events, accounts and sites in {settings.data_dir}{where}?", abort=True)
    if settings.events_url:
        from haru.store.opening import event_store

        event_store(settings).destroy()
    for path in [*_ours(settings.data_dir), *_chdb(settings)]:
        path.unlink() if not path.is_dir() else shutil.rmtree(path)
    echo(f"{settings.data_dir} is empty.")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}", query="").geturl()


def _chdb(settings: Settings) -> list[Path]:
    """The folder of chDB, when it is inside the data folder."""
    if not settings.events_url.startswith("chdb://"):
        return []
    from haru.store.clickhouse.client import Address

    path = Address.parse(settings.events_url).path
    inside = path is not None and path.is_dir() and settings.data_dir in path.resolve().parents
    return [path] if path is not None and inside else []


def _ours(folder: Path) -> list[Path]:
    return sorted({path for pattern in OURS for path in folder.glob(pattern)})
