"""`haru site`: the sites whose visits are counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from haru.cli import plane
from haru.cli.failure import Failure

if TYPE_CHECKING:
    from haru.accounts.models import User
    from haru.sites.models import Site

app = typer.Typer(help="Sites whose visits are counted.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Sites whose visits are counted."""


@app.command("add")
def add(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The site's domain, such as example.com.")],
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="The zone in which the site's days begin and end.")
    ] = "UTC",
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="EMAIL", help="Who owns it. May be left out when there is one account only."),
    ] = None,
) -> None:
    """Add a site and show its token and the line to put into its pages.

    \b
    Examples:
      haru site add example.com
      haru site add example.com --timezone Europe/Berlin --owner mara@example.com
    """
    settings = plane.settings()
    plane.database()
    from haru.sites import registry

    site = registry.create_site(domain, timezone, owner_named(owner))
    typer.echo(f"Added {site.name} ({site.timezone}). Its token is {site.token}")
    typer.echo("Put this into the <head> of its pages:")
    typer.echo(f'  <script defer src="{settings.base_url}/js/haru.js" data-token="{site.token}"></script>')


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show all sites with their tokens.

    \b
    Examples:
      haru site list
      haru site list --json | jq -r '.[0].token'
    """
    plane.settings()
    plane.database()
    from haru.sites.models import Site

    sites = list(Site.objects.all())
    if as_json:
        rows = [
            {
                "domain": site.domain,
                "token": site.token,
                "timezone": site.timezone,
                "created_at": site.created_at.isoformat(timespec="seconds"),
            }
            for site in sites
        ]
        typer.echo(json.dumps(rows, indent=2))
    elif not sites:
        typer.echo("There is no site yet. `haru site add example.com` adds one.")
    else:
        domain, zone = (max(len(text) for text in column) for column in zip(*_cells(sites), strict=True))
        for site in sites:
            typer.echo(f"{site.name:{domain}}  {site.timezone:{zone}}  {site.token}")


def _cells(sites: list[Site]) -> list[tuple[str, str]]:
    return [(site.name, site.timezone) for site in sites]


def owner_named(email: str | None) -> User:
    """The account with this address; without one, the only account there is. Raises `AccountError` or `Failure`."""
    from haru.accounts import registry
    from haru.accounts.models import User

    if email is not None:
        return registry.find_user(email)
    users = list(User.objects.order_by("pk")[:2])
    if not users:
        raise Failure("There is no account yet to own a site: `haru user add you@example.com` adds one.")
    if len(users) > 1:
        raise Failure("There are several accounts: say with --owner EMAIL whose site it is.")
    return users[0]
