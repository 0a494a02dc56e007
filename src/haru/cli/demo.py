"""`haru demo`: made-up traffic to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from haru.cli import context
from haru.cli.output import echo
from haru.cli.sites import owner_named
from haru.clock import now_ms


def add_to(app: typer.Typer) -> None:
    """Put the command under the application's name."""
    app.command("demo")(demo)


def demo(
    site: Annotated[
        str | None, typer.Option("--site", metavar="DOMAIN", help="A site to fill. [default: demo.haru.local, made]")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="EMAIL", help="Who owns the demo site when it is made.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=1000, help="How many days, up to now.")] = 90,
    visits_per_day: Annotated[int, typer.Option("--visits-per-day", min=1, max=100_000)] = 250,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same visits.")] = 1,
) -> None:
    """Fill a demo site with made-up traffic. It is clearly a demo: nothing in it is anyone's.

    \b
    Examples:
      haru demo
      haru demo --days 30 --visits-per-day 2000
    """
    settings = context.settings()
    context.database()
    from haru.collect.sites import Sites
    from haru.demo import traffic as generator
    from haru.sites import registry
    from haru.sites.models import Site

    domain = site or generator.DOMAIN
    if site is None and not Site.objects.filter(domain=domain).exists():
        registry.create_site(domain, generator.TIMEZONE, owner_named(owner))
    found = registry.find_site(domain)
    known = Sites(settings.data_dir).by_domain(found.domain)
    assert known is not None  # what collect knows follows each change of a site
    with context.writing(settings) as (spool, loading):
        events = generator.fill(settings, spool, known, now_ms(), days, seed, visits_per_day)
        loading.wrote(events)
    echo(f"{found.name} has {events:,} made-up events of the last {days} days.")
