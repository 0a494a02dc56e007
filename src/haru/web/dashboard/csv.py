"""CSV that a spreadsheet may open: UTF-8, a header row, and no cell that it would take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from haru.events.text import plain

# Those that are twice as wide are taken for the same where Chinese, Japanese or Korean is written.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe(text: str) -> str:
    """The text, behind an apostrophe when a spreadsheet would work it out: a visitor may have written it.

    Blanks before a formula may be passed over, so they make no difference. What no terminal should see is escaped.
    """
    guarded = text[:1] in {"\t", "\r", "\n"} or text.lstrip().startswith(FORMULA)
    return ("'" if guarded else "") + plain(text)


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as lines of CSV. Numbers stand as they are, what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow(
            [cell if isinstance(cell, int | float) else safe("" if cell is None else str(cell)) for cell in row]
        )
    return text.getvalue().encode()
