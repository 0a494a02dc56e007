"""`haru site`: the sites whose visits are counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.group import Group
from haru.cli.output import columns, echo

if TYPE_CHECKING:
    from haru.accounts.models import User
    from haru.sites.lost import Lost
    from haru.sites.models import Site


@click.group("site", cls=Group)
def group() -> None:
    """Sites whose visits are counted."""


@group.command("add")
@click.argument("domain", help="The site's domain, such as example.com.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="The zone in which the site's days begin and end.",
)
@click.option("--owner", metavar="EMAIL", help="Who owns it. May be left out when there is one account only.")
def add(domain: str, timezone: str, owner: str | None) -> None:
    """Add a site and show its token and the line to put into its pages.

    \b
    Examples:
      haru site add example.com
      haru site add example.com --timezone Europe/Berlin --owner mara@example.com
    """
    settings = context.settings()
    context.database()
    from haru.sites import registry

    site = registry.create_site(domain, timezone, owner_named(owner))
    echo(f"Added {site.name} ({site.timezone}). Its token is {site.token}")
    echo("Put this into the <head> of its pages:")
    echo(f'  <script defer src="{settings.base_url}/js/haru.js" data-token="{site.token}"></script>')


@group.command("adopt")
@click.argument("number", type=int, required=False, help="The lost site's number; without one they are listed.")
@click.argument("domain", default="", help="The site's domain, such as example.com.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="The zone in which the site's days begin and end.",
)
@click.option("--owner", metavar="EMAIL", help="Who owns it. May be left out when there is one account only.")
@click.option("--token", default="", metavar="TOKEN", help="The token in its pages, so that they need not change.")
def adopt(number: int | None, domain: str, timezone: str, owner: str | None, token: str) -> None:
    """Give back a site whose events are kept and which the accounts do not know, as after they were lost.

    Nobody sees its numbers until then. The list shows what helps to tell which site it was.

    \b
    Examples:
      haru site adopt
      haru site adopt 5629499534213120 example.com --token AbCdEf...
    """
    settings = context.settings()
    context.database()
    from haru.sites import registry

    lost = context.lost_sites(settings)
    if number is None:
        _list_lost(lost)
        return
    if not domain:
        raise click.BadParameter("say which domain the site has.", param_hint="DOMAIN")
    site = registry.adopt_site(number, [each.number for each in lost], domain, timezone, owner_named(owner), token)
    echo(f"{site.name} ({site.timezone}) is back with all that was counted. Its token is {site.token}")


def _list_lost(lost: list[Lost]) -> None:
    if not lost:
        echo("No site is lost: the accounts know every site that the event store has.")
        return
    echo(columns((str(site.number), site.events, "events", _days(site), site.hostname) for site in lost))
    echo("Give one back: haru site adopt NUMBER DOMAIN --owner EMAIL")


def _days(site: Lost) -> str:
    if not site.events:
        return "refused requests only"
    first, last = (f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}" for at in (site.first_at, site.last_at))
    return f"{first} to {last}"


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_(as_json: bool) -> None:
    """Show all sites with their tokens.

    \b
    Examples:
      haru site list
      haru site list --json | jq -r '.[0].token'
    """
    context.settings()
    context.database()
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
        echo(json.dumps(rows, indent=2))
    elif not sites:
        echo("There is no site yet. `haru site add example.com` adds one.")
    else:
        echo(columns((site.name, site.timezone, site.token) for site in sites))


NONE = "none"  # empties a list
DEFAULT = "default"  # the installation's rate limit


@group.command("show")
@click.argument("domain", help="The site's domain.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def show(domain: str, as_json: bool) -> None:
    """Show a site: its zone, its token and what of it is counted.

    \b
    Examples:
      haru site show example.com
      haru site show example.com --json
    """
    context.settings()
    context.database()
    from haru.sites import registry

    _show(registry.find_site(domain), as_json)


@group.command("set")
@click.argument("domain", help="The site's domain.")
@click.option("--timezone", metavar="ZONE", help="The zone in which the site's days begin and end.")
@click.option(
    "--exclude-address",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="An address or network that is not counted.",
)
@click.option(
    "--exclude-country", "countries", multiple=True, metavar="CODE", help="A country that is not counted, such as DE."
)
@click.option(
    "--exclude-page",
    "pages",
    multiple=True,
    metavar="PATTERN",
    help="Paths that are not counted: * within a part of the path, ** across parts.",
)
@click.option(
    "--allow-hostname",
    "hostnames",
    multiple=True,
    metavar="HOST",
    help="A host that is counted, or *.HOST; then no other host is.",
)
@click.option(
    "--honour-opt-out/--no-honour-opt-out", default=None, help="Whether visitors who send DNT or GPC are not counted."
)
@click.option(
    "--rate-limit",
    metavar="N",
    help=f"Requests a minute from one address; 0 for no limit, {DEFAULT} for HARU_RATE_LIMIT.",
)
def set_(
    domain: str,
    timezone: str | None,
    addresses: tuple[str, ...],
    countries: tuple[str, ...],
    pages: tuple[str, ...],
    hostnames: tuple[str, ...],
    honour_opt_out: bool | None,
    rate_limit: str | None,
) -> None:
    """Change the time zone of a site and what of it is counted, from the next visit on.

    The options for addresses, countries, pages and hosts may be repeated. Together they replace the list there was;
    the word none empties it. What is not named stays.

    \b
    Examples:
      haru site set example.com --timezone Europe/Berlin
      haru site set example.com --exclude-address 203.0.113.9 --exclude-address 2001:db8:1:2::/64
      haru site set example.com --exclude-page '/admin/**' --allow-hostname example.com --allow-hostname '*.example.com'
      haru site set example.com --exclude-country none --honour-opt-out --rate-limit 300
    """
    if rate_limit is not None and rate_limit != DEFAULT and not (rate_limit.isascii() and rate_limit.isdigit()):
        raise click.BadParameter(f'"{rate_limit}" is no whole number and not {DEFAULT}.', param_hint="--rate-limit")
    context.settings()
    context.database()
    from django.db import transaction

    from haru.sites import registry

    changes = registry.Counting()
    if addresses:
        changes["excluded_addresses"] = _unless_none(addresses)
    if countries:
        changes["excluded_countries"] = _unless_none(countries)
    if pages:
        changes["excluded_pages"] = _unless_none(pages)
    if hostnames:
        changes["allowed_hostnames"] = _unless_none(hostnames)
    if honour_opt_out is not None:
        changes["honour_opt_out"] = honour_opt_out
    if rate_limit is not None:
        changes["rate_limit"] = None if rate_limit == DEFAULT else int(rate_limit)
    if not changes and timezone is None:
        raise click.BadParameter("say what to change: haru site set --help lists it.", param_hint="DOMAIN")
    site = registry.find_site(domain)
    with transaction.atomic():
        if timezone is not None:
            registry.set_timezone(site, timezone)
        if changes:
            registry.set_counting(site, **changes)
    _show(site)


def _unless_none(rules: tuple[str, ...]) -> list[str]:
    return [] if rules == (NONE,) else list(rules)


def _show(site: Site, as_json: bool = False) -> None:
    row = {
        "domain": site.domain,
        "timezone": site.timezone,
        "token": site.token,
        "created_at": site.created_at.isoformat(timespec="seconds"),
        "excluded_addresses": site.excluded_addresses,
        "excluded_countries": site.excluded_countries,
        "excluded_pages": site.excluded_pages,
        "allowed_hostnames": site.allowed_hostnames,
        "honour_opt_out": site.honour_opt_out,
        "rate_limit": site.rate_limit,
    }
    if as_json:
        echo(json.dumps(row, indent=2, ensure_ascii=False))
        return
    lines = {
        "domain": site.name,
        "time zone": site.timezone,
        "token": site.token,
        "excluded addresses": ", ".join(site.excluded_addresses) or NONE,
        "excluded countries": ", ".join(site.excluded_countries) or NONE,
        "excluded pages": ", ".join(site.excluded_pages) or NONE,
        "allowed host names": ", ".join(site.allowed_hostnames) or "any",
        "opt-out signals": "honoured" if site.honour_opt_out else "not honoured",
        "rate limit": "as HARU_RATE_LIMIT" if site.rate_limit is None else f"{site.rate_limit:,} a minute",
    }
    if site.rate_limit == 0:
        lines["rate limit"] = NONE
    echo(columns(lines.items()))


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
