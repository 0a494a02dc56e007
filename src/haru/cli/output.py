"""What commands print: every line passes here, so that no text of a visitor reaches the terminal as a command."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import click

from haru.events.text import one_line, plain


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text on standard output, or on standard error."""
    click.echo(plain(text), err=err, nl=nl)


def columns(rows: Iterable[Sequence[str | int]]) -> str:
    """Lines whose cells stand below one another, two spaces apart: texts to the left, whole numbers to the right."""
    lines = [[(_text(cell), isinstance(cell, int)) for cell in row] for row in rows]
    widths = [max(_width(text) for text, _ in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(_padded(text, width, right) for (text, right), width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _text(cell: str | int) -> str:
    return one_line(cell) if isinstance(cell, str) else f"{cell:,}"


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    """How many places a text's signs take on a terminal: one of Chinese or Japanese takes two, an accent alone none."""
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
