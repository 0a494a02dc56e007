"""`haru import`: visits from elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.group import Group
from haru.cli.output import columns, echo
from haru.clock import now_ms

if TYPE_CHECKING:
    from haru.transfer.import_log import Summary


FORMATS = ("auto", "combined", "common", "caddy")


@click.group("import", cls=Group)
def group() -> None:
    """Visits from elsewhere."""


@group.command("log")
@click.argument("file", help="The log, plain or gzip; - for standard input.")
@click.option("--site", required=True, metavar="DOMAIN", help="The site whose log it is.")
@click.option("--format", default="auto", show_default=True, help=f"One of {', '.join(FORMATS)}.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON, for programs.")
def log(file: str, site: str, format: str, as_json: bool) -> None:
    """Turn a web server's access log into pageviews at their real times.

    Apache and nginx (common, combined) and Caddy (JSON). A pageview is a GET answered 200 or 304 that is no asset;
    every other line is refused by name and counted. Safe to run twice and on a log that has grown: what was imported
    before is known. No address is stored.

    \b
    Examples:
      haru import log /var/log/nginx/access.log --site example.com
      haru import log access.log.2.gz --site example.com
      ssh web cat /var/log/caddy/access.log | haru import log - --site example.com
    """
    if format not in FORMATS:
        raise click.BadParameter(f'"{format}" is no format: choose from {", ".join(FORMATS)}.', param_hint="--format")
    settings = context.settings()
    context.database()
    from haru.collect.geo import Geo
    from haru.collect.sites import Sites
    from haru.sites import registry
    from haru.transfer.import_log import import_log

    found = registry.find_site(site)
    known = Sites(settings.data_dir).by_domain(found.domain)
    assert known is not None  # what collect knows follows each change of a site
    with _opened(file) as stream, _Bar(file) as bar, context.writing(settings) as (spool, loading):
        imported = 0

        def progress(summary: Summary) -> None:
            nonlocal imported
            loading.wrote(summary.imported - imported)
            imported = summary.imported
            bar.show(stream, summary.lines)

        summary = import_log(
            stream, known, spool, Geo(settings.geoip_db), now=now_ms(), format=format, progress=progress
        )
    echo(_as_json(summary) if as_json else _as_table(summary))


@group.command("events")
@click.argument("file", help="NDJSON or Parquet; - for standard input.")
@click.option("--site", required=True, metavar="DOMAIN", help="The site that the events become part of.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON, for programs.")
def events(file: str, site: str, as_json: bool) -> None:
    """Take in events that `haru export events` wrote, with their visits, to the same numbers.

    Every line is checked first: a file with a fault imports nothing, and the line is named. Safe to run twice, and
    again after it was cut short: what was imported before is known. docs/export.md explains the columns.

    \b
    Examples:
      haru import events example.parquet --site example.com
      haru export events --site old.example | haru import events - --site new.example
    """
    settings = context.settings()
    context.database()
    from haru.sites import registry
    from haru.store.opening import installation
    from haru.transfer import export, import_file

    site_id = registry.find_site(site).pk
    with export.work_folder(settings.data_dir) as work:
        with _opened(file) as stream:
            path = Path(file)
            if file == "-" or not path.is_file():
                path = work / "input"
                with path.open("wb") as copy:
                    shutil.copyfileobj(stream, copy)
        with context.writing(settings) as (spool, loading), _Bar("-") as bar:
            imported = 0

            def progress(summary: import_file.Summary) -> None:
                nonlocal imported
                loading.wrote(summary.imported - imported)
                imported = summary.imported
                bar.count(summary.imported + summary.known, summary.rows)

            summary = import_file.import_events(path, installation(settings), site_id, spool, work, progress)
    rows = {"events": summary.rows, "imported": summary.imported, "already imported": summary.known}
    if as_json:
        ends = {"first": summary.first_at, "last": summary.last_at}
        echo(
            json.dumps(
                {name.replace(" ", "_"): count for name, count in rows.items()}
                | {name: _moment(at) if summary.rows else None for name, at in ends.items()},
                indent=2,
            )
        )
        return
    echo(columns(rows.items()))
    if summary.rows:
        echo(f"From {_moment(summary.first_at)} to {_moment(summary.last_at)}.")


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise Failure(f"{file} cannot be read ({error.strerror}): name a log file, or - for standard input.") from None


class _Bar:
    """A progress bar on standard error, by bytes read of a file, by lines of what is no file."""

    def __init__(self, file: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        size = Path(file).stat().st_size if file != "-" and Path(file).is_file() else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("reading", total=size)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, stream: BinaryIO, lines: int) -> None:
        """How far the reading is."""
        done = stream.tell() if stream.seekable() else None
        self._bar.update(self._task, completed=done, description=f"{lines:,} lines")

    def count(self, rows: int, total: int) -> None:
        """How many rows of a known number are done."""
        self._bar.update(self._task, completed=rows, total=total, description=f"{rows:,} events")


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _as_json(summary: Summary) -> str:
    return json.dumps(
        {
            "lines": summary.lines,
            "imported": summary.imported,
            "refused": {name: count for name, count in summary.refused.items() if count},
            "format": summary.format,
            "first": _moment(summary.first_at) if summary.imported else None,
            "last": _moment(summary.last_at) if summary.imported else None,
        },
        indent=2,
    )


def _as_table(summary: Summary) -> str:
    rows = [("pageviews imported", summary.imported)]
    rows += [(f"refused: {name}", count) for name, count in summary.refused.most_common() if count]
    rows.append(("lines", summary.lines))
    text = columns(rows)
    if summary.imported:
        text += f"\nFrom {_moment(summary.first_at)} to {_moment(summary.last_at)}."
    return text
