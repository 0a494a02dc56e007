"""`haru key`: keys for programs that use the API."""

from __future__ import annotations

import click

from haru.cli import context
from haru.cli.group import Group
from haru.cli.output import echo

READ = "stats:read"


@click.group("key", cls=Group)
def group() -> None:
    """Keys for programs that use the API."""


@group.command("add")
@click.argument("name", help="What the key is for, such as a program's name.")
@click.option("--user", required=True, metavar="EMAIL", help="The person for whom the program acts.")
@click.option(
    "--scope",
    multiple=True,
    metavar="SCOPE",
    help=f"What it may do: stats:read or sites:write; may be repeated. [default: {READ}]",
)
def add(name: str, user: str, scope: tuple[str, ...]) -> None:
    """Make a key and show it once: it is the last word of the output, and only its digest is kept.

    \b
    Examples:
      haru key add notebook --user mara@example.com
      haru key add shop --user mara@example.com --scope stats:read --scope sites:write
      KEY=$(haru key add ci --user mara@example.com | awk 'END {print $NF}')
    """
    context.settings()
    context.database()
    from haru.accounts import registry
    from haru.accounts.models import OFFERED_SCOPES, ApiKey

    scopes = list(scope) or [READ]
    if unknown := sorted(set(scopes) - set(OFFERED_SCOPES)):
        raise click.BadParameter(
            f'"{unknown[0]}" is no scope: choose from {", ".join(OFFERED_SCOPES)}.', param_hint="--scope"
        )
    if not name.strip() or len(name) > 100:
        raise click.BadParameter("a name has 1 to 100 characters.", param_hint="NAME")
    _, text = ApiKey.create(registry.find_user(user), name.strip(), scopes)
    echo(f"Keep it now, it is not shown again: {text}")
