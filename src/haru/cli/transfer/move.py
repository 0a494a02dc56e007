"""`haru move`: the events to another event store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from haru.cli import context
from haru.cli.failure import FAILED, Failure
from haru.cli.output import columns, echo

if TYPE_CHECKING:
    from haru.transfer.move import Line, Report


@click.command("move")
@click.option(
    "--to", required=True, metavar="URL", help="The other store: duckdb:///path, postgresql://… or clickhouse://…."
)
def move(to: str) -> None:
    """Copy all events, the refusal ledger and the loader's progress to another event store, and compare both.

    Stop the server first. The target is empty, or holds a part of this very move: one that was killed goes on where
    it was when it is run again. The source stays as it is. The report has a line for each month and site, with the
    rows, their checksum and every metric; exit code 1 when anything differs.

    \b
    Examples:
      haru move --to postgresql://haru@db.example.com/haru
      haru move --to duckdb:///srv/haru/events.duckdb
    """
    settings = context.settings()
    from haru.server.control import Client
    from haru.settings import BadSetting
    from haru.store.opening import event_store, store_at

    if Client(settings.data_dir).is_up():
        raise Failure("The server runs on this data folder: stop it first, then move.")
    context.database()
    from haru.sites.models import Site
    from haru.transfer import move

    domains = dict(Site.objects.values_list("pk", "domain"))
    try:
        target = store_at(to, settings)
    except BadSetting as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    source = event_store(settings)
    try:
        report = move.move(source, target, domains, _say)
    finally:
        source.close()
        target.close()
    _show(report, domains)
    if not report.equal:
        raise click.exceptions.Exit(FAILED)
    echo("Both stores hold the same. Before the next start, set the other one in the environment or haru.toml:")
    echo(f"  HARU_EVENTS_URL={to}")


def _say(how_far: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{how_far}", nl=False, err=True)


def _show(report: Report, domains: dict[int, str]) -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    heads = ["month", "site", "rows", "checksum", *(report.lines[0].metrics if report.lines else ()), ""]
    echo(columns([heads, *(_cells(line, domains) for line in report.lines)]))
    echo(f"Refusals: {report.ledger[0]:,} before, {report.ledger[1]:,} after.")
    for difference in report.differences:
        echo(f"DIFFERS: {difference}")


def _cells(line: Line, domains: dict[int, str]) -> list[str]:
    return [
        f"{line.month:%Y-%m}",
        domains.get(line.site_id, f"site {line.site_id}"),
        f"{line.before.rows:,}",
        f"{line.before.digest:016x}",
        *(str(then) for then, _ in line.metrics.values()),
        "DIFFERS: " + "; ".join(line.differences) if line.differences else "equal",
    ]
