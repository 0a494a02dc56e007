"""The `haru` command. Each group of commands is a file, imported when one of them is typed (`commands`); what they need
of Haru is imported when they run.

Exit codes: 0 done, 1 failed, 2 used wrongly. What went wrong is one sentence on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from haru import __version__
from haru.cli import failure
from haru.cli.commands import Haru
from haru.cli.output import echo
from haru.files import keep_private


@click.group(cls=Haru, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="haru %(version)s", help="Show the version and exit.")
def haru() -> None:
    """Haru: self-hosted web analytics in one process.

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
    """


@haru.command("version")
def version() -> None:
    """Show the version."""
    echo(f"haru {__version__}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; always ends with SystemExit. `arguments` are those of the process when None."""
    keep_private()
    try:
        haru(args=arguments)
    except Exception as error:
        sentence = failure.sentence(error)
        if sentence is None:
            raise
        echo(f"haru: {sentence}", err=True)
        sys.exit(failure.FAILED)
