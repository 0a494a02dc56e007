"""The `haru` command. Each group of commands is a file; what they need of Haru is imported when they run.

Exit codes: 0 done, 1 failed, 2 used wrongly. What went wrong is one sentence on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from haru.cli import bench, check, demo, failure, keys, people, query, serve, sites, storage
from haru.cli.group import Group
from haru.cli.output import echo
from haru.cli.transfer import export, import_, move
from haru.files import keep_private

app = typer.Typer(
    name="haru",
    cls=Group,
    help="""Haru: self-hosted web analytics in one process.

    \b
    A first look, on this machine only:
      haru serve --dev

    \b
    A server of your own:
      haru setup
      haru user add you@example.com
      haru site add example.com --timezone Europe/Berlin
      haru serve

    Settings are environment variables (HARU_PORT) or lines of haru.toml (port): `haru check --settings` lists them all.
    Commands work beside a running server and without one.
    """,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from haru import __version__

        echo(f"haru {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Holds the options that stand before a command; the help above is the application's."""


@app.command("version")
def version() -> None:
    """Show the version."""
    _version(True)


serve.add_to(app)
bench.add_to(app)
storage.add_to(app)
check.add_to(app)
demo.add_to(app)
query.add_to(app)
move.add_to(app)
app.add_typer(people.app, name="user", cls=Group)
app.add_typer(sites.app, name="site", cls=Group)
app.add_typer(keys.app, name="key", cls=Group)
app.add_typer(import_.app, name="import", cls=Group)
app.add_typer(export.app, name="export", cls=Group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; always ends with SystemExit. `arguments` are those of the process when None."""
    keep_private()
    try:
        app(args=arguments)
    except Exception as error:
        sentence = failure.sentence(error)
        if sentence is None:
            raise
        echo(f"haru: {sentence}", err=True)
        sys.exit(failure.FAILED)
