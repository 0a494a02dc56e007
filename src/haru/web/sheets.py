"""CSV that a spreadsheet may open: UTF-8, a header row, and no cell that it would take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(text: str) -> str:
    """The text, behind an apostrophe when a spreadsheet would work it out: a visitor may have written it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as lines of CSV. Numbers stand as they are, what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow(
            [cell if isinstance(cell, int | float) else safe("" if cell is None else str(cell)) for cell in row]
        )
    return text.getvalue().encode()
