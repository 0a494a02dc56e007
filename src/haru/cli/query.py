"""`haru query`: questions to the event store from the command line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from haru.cli import context
from haru.cli.failure import Failure
from haru.cli.output import columns, echo
from haru.clock import now_ms
from haru.events.text import one_line

if TYPE_CHECKING:
    from haru.settings import Settings

FORMATS = ("table", "json", "csv")
# How --filter writes the operators.
OPERATORS = {"!=": "is_not", "==": "is", "!~": "contains_not", "=~": "matches", "~": "contains"}
WRONG_USE = 2
MAX_BYTES = 32 * 1024  # of a query: what a line of the control socket holds, twice


@click.command("query")
@click.argument(
    "question", default="", metavar="[QUERY]", help="The query as JSON, a file that holds it, or - for standard input."
)
@click.option("--site", default="", metavar="DOMAIN", help="The site that is asked about.")
@click.option("--metrics", default="", metavar="LIST", help="What is counted, such as visitors,pageviews.")
@click.option(
    "--range",
    "date_range",
    default="",
    metavar="RANGE",
    help="day, 7d, 30d, month, all, ... or two dates with a comma.",
)
@click.option("--by", multiple=True, metavar="DIMENSION", help="May be repeated.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FILTER",
    help="Such as visit:country==DE|AT; != ~ !~ =~ too. May be repeated.",
)
@click.option("--order", multiple=True, metavar="KEY", help="Such as visitors:desc. May be repeated.")
@click.option("--limit", type=int, metavar="N", help="The most rows.")
@click.option("--sql", "as_sql", is_flag=True, help="The statement for the event store instead of its answer.")
@click.option("--explain", "explained", is_flag=True, help="How the answer comes about, as JSON.")
@click.option("--format", default="table", show_default=True, help=f"One of {', '.join(FORMATS)}.")
def query(
    question: str,
    site: str,
    metrics: str,
    date_range: str,
    by: tuple[str, ...],
    filters: tuple[str, ...],
    order: tuple[str, ...],
    limit: int | None,
    as_sql: bool,
    explained: bool,
    format: str,
) -> None:
    """Ask what the API answers at /api/v2/query: docs/query.md explains queries.

    Options take the place of keys of the JSON, which may be left out: metrics are then visitors, the range 30d. In a
    filter == is is, != is_not, ~ contains, !~ contains_not, =~ matches; | stands between values.

    \b
    Examples:
      haru query --site example.com --metrics visitors,pageviews --range 7d --by visit:source
      haru query '{"site_id": "example.com", "metrics": ["visitors"], "date_range": "day"}' --format json
      haru query --site example.com --by event:page --filter 'visit:country==DE|AT' --format csv > pages.csv
      haru query week.json --sql
    """
    if format not in FORMATS:
        raise click.BadParameter(f'"{format}" is no format: choose from {", ".join(FORMATS)}.', param_hint="--format")
    data = _given(question)
    if isinstance(data, dict):
        data |= _from_options(site, metrics, date_range, by, order, limit)
        if filters:
            data["filters"] = [*data.get("filters", []), *map(_filter, filters)]
        data.setdefault("metrics", ["visitors"])
        data.setdefault("date_range", "30d")
    wanted = "explained" if explained else "sql" if as_sql else "answer"
    found = _answer(context.settings(), data, wanted)
    if "faults" in found:
        for fault in found["faults"]:
            echo(f"haru: {fault}", err=True)
        raise click.exceptions.Exit(WRONG_USE)
    if as_sql:
        echo(found["sql"])
    elif explained or format == "json":
        echo(json.dumps(found[wanted], indent=2, ensure_ascii=False))
    else:
        heads, rows = _table(found["answer"])
        _as_csv(heads, rows) if format == "csv" else _as_table(heads, rows)


def _answer(settings: Settings, data: object, wanted: str) -> dict[str, Any]:
    """From the server when one runs, else from the store itself, with what waits in the spool."""
    from haru.server.control import Client, NotRunning

    if len(json.dumps(data)) > MAX_BYTES:
        raise Failure(f"The query is longer than {MAX_BYTES:,} bytes: ask for less at once.")
    client = Client(settings.data_dir, timeout=context.LOAD_SECONDS)
    try:
        client.call("load")
        found: dict[str, Any] = client.call("query", query=data, wanted=wanted)
        return found
    except NotRunning:
        pass
    context.database()
    from haru.stats.answers import Reports
    from haru.web.api import console

    with context.stored(settings) as store:
        return console.answered(Reports(store), data, wanted, now_ms())


def _given(question: str) -> Any:
    if not question:
        return {}
    text = question
    if question == "-":
        text = sys.stdin.read()
    elif not question.lstrip().startswith(("{", "[", '"')):
        try:
            text = Path(question).read_text("utf-8")
        except (OSError, UnicodeDecodeError, ValueError):
            raise Failure(f"{question} cannot be read: give a query as JSON, the name of a file, or -.") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        echo(f"haru: #: The query is not JSON ({error})", err=True)
        raise click.exceptions.Exit(WRONG_USE) from None


def _from_options(
    site: str, metrics: str, date_range: str, by: tuple[str, ...], order: tuple[str, ...], limit: int | None
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if site:
        data["site_id"] = site
    if metrics:
        data["metrics"] = metrics.split(",")
    if date_range:
        data["date_range"] = date_range.split(",") if "," in date_range else date_range
    if by:
        data["dimensions"] = list(by)
    if order:
        keys = [key.rpartition(":") if key.endswith((":asc", ":desc")) else (key, "", "desc") for key in order]
        data["order_by"] = [[name, direction] for name, _, direction in keys]
    if limit is not None:
        data["pagination"] = {"limit": limit}
    return data


def _filter(text: str) -> Any:
    """`visit:country==DE|AT`, or a filter as JSON."""
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    places = [(text.find(sign), -len(sign), sign) for sign in OPERATORS if sign in text]
    if places:
        place, _, sign = min(places)
        if place:
            return [OPERATORS[sign], text[:place].strip(), text[place + len(sign) :].split("|")]
    raise click.BadParameter(f'"{text}" is no filter: write such as visit:country==DE|AT.', param_hint="--filter")


def _table(answer: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows: dimensions, metrics, then the same metrics of the period compared with."""
    asked = answer["query"]
    heads = [*asked["dimensions"], *asked["metrics"]]
    compared = "comparisons" in asked["include"]
    if compared:
        heads += [f"{name} before" for name in asked["metrics"]]
    rows = []
    for row in answer["results"]:
        values = [*row["dimensions"], *row["metrics"]]
        if compared:
            other = row.get("comparison")
            values += other["metrics"] if other else [None] * len(asked["metrics"])
        rows.append(values)
    return heads, rows


def _text(value: Any) -> str:
    if isinstance(value, list):  # revenue: an amount for each currency
        return " ".join(_text(part) for part in value)
    if isinstance(value, dict):
        return f"{value['currency']} {value['value']}"
    return "" if value is None else str(value)


def _cell(value: Any) -> str:
    return one_line(_text(value))


def _as_csv(heads: list[str], rows: list[list[Any]]) -> None:
    from haru.web.dashboard.csv import safe

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([safe(head) for head in heads])
    writer.writerows(
        [safe(_text(value)) if not isinstance(value, int | float) else value for value in row] for row in rows
    )


def _as_table(heads: list[str], rows: list[list[Any]]) -> None:
    if not sys.stdout.isatty():
        echo(columns([heads, *([_text(value) for value in row] for row in rows)]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        numbers = all(isinstance(row[place], int | float) for row in rows)
        table.add_column(Text(_cell(head)), justify="right" if numbers and rows else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console().print(table)
