"""`haru setup` and `haru reset`: the data folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from haru.cli import plane
from haru.cli.failure import Failure
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
    *("node.id*", "control.sock", "pages.sock", "migrate.lock", "haru.lock", "haru-bench-*"),
)


def add_to(app: typer.Typer) -> None:
    """Put the commands under the application's name."""
    app.command("setup")(setup)
    app.command("reset")(reset)


def setup() -> None:
    """Prepare the data folder and its databases, and show what is there. Safe to run again.

    \b
    Example:
      HARU_DATA_DIR=/var/lib/haru haru setup
    """
    settings = plane.settings()
    plane.database()
    from haru.accounts.models import User
    from haru.sites.models import Site

    people, sites = User.objects.count(), Site.objects.count()
    typer.echo(f"The data folder is {settings.data_dir}.")
    typer.echo(f"Accounts: {people}. Sites: {sites}.")
    if not people:
        typer.echo("Next: haru user add you@example.com")
    elif not sites:
        typer.echo("Next: haru site add example.com --timezone Europe/Berlin")
    else:
        typer.echo("Next: haru serve")


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove everything Haru keeps in the data folder: events, accounts, sites, salts, key. There is no way back.

    Only Haru's own files go. It refuses while the server runs. Accounts in a database named by HARU_DATABASE_URL stay.

    \b
    Example:
      haru reset --yes
    """
    settings = plane.settings()
    from haru.control import Client

    if Client(settings.data_dir).is_up():
        raise Failure("The server runs on this data folder: stop it first, then reset.")
    if not yes:
        typer.confirm(f"Remove all events, accounts and sites in {settings.data_dir}?", abort=True)
    for path in [*_ours(settings.data_dir), *_chdb(settings)]:
        path.unlink() if not path.is_dir() else shutil.rmtree(path)
    typer.echo(f"{settings.data_dir} is empty.")


def _chdb(settings: Settings) -> list[Path]:
    """The folder of chDB, when it is inside the data folder."""
    if not settings.events_url.startswith("chdb://"):
        return []
    from haru.events.clickhouse_client import Address

    path = Address.parse(settings.events_url).path
    inside = path is not None and path.is_dir() and settings.data_dir in path.resolve().parents
    return [path] if path is not None and inside else []


def _ours(folder: Path) -> list[Path]:
    return sorted({path for pattern in OURS for path in folder.glob(pattern)})
