"""`haru export`: what is stored, as files for other programs."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.group import Group
from haru.cli.output import echo

if TYPE_CHECKING:
    from haru.settings import Settings


@click.group("export", cls=Group)
def group() -> None:
    """What is stored, as files for other programs."""


@group.command("events")
@click.option("--site", required=True, metavar="DOMAIN", help="The site whose events they are.")
@click.option(
    "--since", default="", metavar="DATE", help="First day in the site's zone, or an instant with its offset."
)
@click.option("--until", default="", metavar="DATE", help="Last day, or the instant before which they happened.")
@click.option("--format", default="ndjson", show_default=True, help="One of ndjson, parquet.")
@click.option(
    "--output", default="-", show_default=True, metavar="FILE", help="The file to write; - for standard output."
)
def events(site: str, since: str, until: str, format: str, output: str) -> None:
    """Write a site's raw events, one row each, in the order in which they came.

    `haru import events` reads the file back, into this site, another one or another installation, to the same numbers.
    docs/export.md explains the columns.

    \b
    Examples:
      haru export events --site example.com > events.ndjson
      haru export events --site example.com --format parquet --output events.parquet
      haru export events --site example.com --since 2026-01-01 --until 2026-01-31 | gzip > january.ndjson.gz
    """
    from haru.transfer import export

    if format not in export.FORMATS:
        known = ", ".join(export.FORMATS)
        raise click.BadParameter(f'"{format}" is no format: choose from {known}.', param_hint="--format")
    settings = context.settings()
    context.database()
    from haru.sites import registry

    found = registry.find_site(site)
    try:
        span = export.bounds(since, until, ZoneInfo(found.timezone))
    except export.BadBounds as error:
        raise click.BadParameter(str(error)) from None
    write(_events(settings, found.pk, span, format), output, binary=format == "parquet")


def write(pieces: Iterator[bytes], output: str, *, binary: bool) -> None:
    """Write pieces to a file, which is there whole or not at all, or to standard output."""
    if output == "-":
        if sys.stdout.isatty():
            if binary:
                raise Failure("This is no text for a screen: name a file with --output, or send it on with a pipe.")
            for text in codecs.iterdecode(pieces, "utf-8"):  # a piece may end within a character
                echo(text, nl=False)
            return
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _events(settings: Settings, site_id: int, span: tuple[int, int], format: str) -> Iterator[bytes]:
    """From the server when one runs, else from the store itself, with what waits in the spool."""
    from haru.server.control import Client, NotRunning
    from haru.store.opening import installation
    from haru.transfer import export

    since, until = span
    client = Client(settings.data_dir, timeout=context.LOAD_SECONDS)
    try:
        client.call("load")
        yield from client.pieces("events", site_id=site_id, since=since, until=until, format=format)
    except NotRunning:
        with context.stored(settings) as store:
            yield from export.events(store, installation(settings), site_id, span, format, settings.data_dir)
