"""`haru user`: people who sign in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from haru.cli import plane

app = typer.Typer(help="People who sign in.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """People who sign in."""


@app.command("add")
def add(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address they sign in with.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
) -> None:
    """Add a person who may sign in. Asks for the password and shows nothing of it.

    The address counts as confirmed, also where registration is closed. Passwords have at least 10 characters.

    \b
    Examples:
      haru user add mara@example.com
      haru user add mara@example.com --password-stdin < password.txt
    """
    plane.settings()
    password = _from_input() if password_stdin else _asked()
    plane.database()
    from haru.accounts import registry

    user = registry.create_user(email, password)
    typer.echo(f"Added {user.email}.")


def _from_input() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise typer.BadParameter("standard input has no password on its first line.", param_hint="--password-stdin")
    return line


def _asked() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "there is no terminal to ask for the password on: write it to standard input and say --password-stdin.",
            param_hint="--password-stdin",
        )
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
