"""`haru user`: people who sign in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from haru.cli import context
from haru.cli.group import Group
from haru.cli.output import columns, echo

if TYPE_CHECKING:
    from haru.accounts.models import User


@click.group("user", cls=Group)
def group() -> None:
    """People who sign in."""


@group.command("add")
@click.argument("email", help="The address they sign in with.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
def add(email: str, password_stdin: bool) -> None:
    """Add a person who may sign in. Asks for the password and shows nothing of it.

    The address counts as confirmed, also where registration is closed. Passwords have at least 10 characters.

    \b
    Examples:
      haru user add mara@example.com
      haru user add mara@example.com --password-stdin < password.txt
    """
    context.settings()
    password = _from_input() if password_stdin else _from_terminal()
    context.database()
    from haru.accounts import registry

    user = registry.create_user(email, password)
    echo(f"Added {user.email}.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_(as_json: bool) -> None:
    """Show everyone who may sign in, with their sites.

    \b
    Examples:
      haru user list
      haru user list --json | jq -r '.[].email'
    """
    context.settings()
    context.database()
    rows = _rows()
    if as_json:
        echo(json.dumps(rows, indent=2))
    elif not rows:
        echo("There is no account yet. `haru user add you@example.com` adds one.")
    else:
        lines = [("address", "confirmed", "registered", "API keys", "sites"), *map(_line, rows)]
        echo(columns(lines))


@group.command("password")
@click.argument("email", help="The address they sign in with.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
def password(email: str, password_stdin: bool) -> None:
    """Give a person a new password. Asks for it and shows nothing of it.

    Everyone who is signed in as this person is signed out, and what was counted of wrong passwords is void. API keys
    go on working.

    \b
    Examples:
      haru user password mara@example.com
      haru user password mara@example.com --password-stdin < password.txt
    """
    settings = context.settings()
    context.database()
    from haru.accounts import registry

    user = registry.find_user(email)
    registry.set_password(user.email, _from_input() if password_stdin else _from_terminal())
    context.rights_changed(settings, _sites_of(user))
    echo(f"{user.email} has a new password, and is signed out everywhere.")


@group.command("remove")
@click.argument("email", help="The address they sign in with.")
@click.option("--sites-to", metavar="EMAIL", help="Who owns their sites from now on.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(email: str, sites_to: str | None, yes: bool) -> None:
    """Remove a person with their API keys and their access to sites. There is no way back.

    Sites that they own stay with their numbers: --sites-to says who owns them then. Without it a person who owns sites
    is not removed.

    \b
    Examples:
      haru user remove mara@example.com
      haru user remove mara@example.com --sites-to ben@example.com --yes
    """
    settings = context.settings()
    context.database()
    from haru.accounts import registry
    from haru.sites import people

    user = registry.find_user(email)
    heir = registry.find_user(sites_to) if sites_to is not None else None
    people.check_removal(user, heir)
    if not yes:
        click.confirm(f"Remove {user.email}?", abort=True)
    lost = _sites_of(user)
    handed_over = people.remove(user, heir)
    context.rights_changed(settings, lost)
    echo(f"Removed {user.email}.")
    if heir is not None and handed_over:
        echo(f"{heir.email} owns {', '.join(handed_over)}.")


def _rows() -> list[dict[str, Any]]:
    from allauth.account.models import EmailAddress

    from haru.accounts.models import User

    confirmed = set(EmailAddress.objects.filter(verified=True).values_list("email", flat=True))
    users: Iterable[Any] = User.objects.order_by("email").prefetch_related("memberships__site", "api_keys")
    return [
        {
            "email": user.email,
            "confirmed": user.email in confirmed,
            "may_sign_in": user.is_active,
            "created_at": user.created_at.isoformat(timespec="seconds"),
            "api_keys": len(user.api_keys.all()),
            "sites": [{"domain": member.site.domain, "role": member.role} for member in user.memberships.all()],
        }
        for user in users
    ]


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    sites = ", ".join(f"{site['domain']} ({site['role']})" for site in row["sites"])
    confirmed = "yes" if row["confirmed"] else "no"
    return row["email"], confirmed, row["created_at"][:10], str(row["api_keys"]), sites or "none"


def _sites_of(user: User) -> list[int]:
    from haru.sites.models import Membership

    return list(Membership.objects.filter(user_id=user.pk).values_list("site_id", flat=True))


def _from_input() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.BadParameter("standard input has no password on its first line.", param_hint="--password-stdin")
    return line


def _from_terminal() -> str:
    if not sys.stdin.isatty():
        raise click.BadParameter(
            "there is no terminal to ask for the password on: write it to standard input and say --password-stdin.",
            param_hint="--password-stdin",
        )
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
