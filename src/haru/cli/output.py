"""What commands print: every line passes here, so that no text of a visitor reaches the terminal as a command."""

from __future__ import annotations

import typer

from haru.events.text import plain


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text on standard output, or on standard error."""
    typer.echo(plain(text), err=err, nl=nl)
