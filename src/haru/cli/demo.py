"""`haru demo`: made-up traffic to look at."""

from __future__ import annotations

import click

from haru.cli import context
from haru.cli.output import echo
from haru.cli.sites import owner_named
from haru.clock import now_ms


@click.command("demo")
@click.option("--site", metavar="DOMAIN", help="A site to fill. [default: demo.haru.local, made]")
@click.option("--owner", metavar="EMAIL", help="Who owns the demo site when it is made.")
@click.option("--days", type=click.IntRange(1, 1000), default=90, show_default=True, help="How many days, up to now.")
@click.option("--visits-per-day", type=click.IntRange(1, 100_000), default=250, show_default=True)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same visits.")
def demo(site: str | None, owner: str | None, days: int, visits_per_day: int, seed: int) -> None:
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
