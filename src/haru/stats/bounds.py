"""How large a question may be, and how much it may take: generous to whoever asks, and bounded for whoever answers."""

from __future__ import annotations

from collections.abc import Iterable

MAX_BYTES = 128 * 1024  # of the JSON
MAX_METRICS = 20
MAX_DIMENSIONS = 10
MAX_ORDERS = MAX_METRICS + MAX_DIMENSIONS
MAX_DEPTH = 16  # levels of filters inside filters
MAX_LEAVES = 200  # comparisons, of all filters
MAX_DONE = 20  # of what visits have done or not
MAX_CLAUSES = 1_000  # of all comparisons
MAX_CLAUSE = 2_000  # characters: nothing that is stored is longer
MAX_PATTERNS = 50  # regular expressions, of all comparisons
MAX_PATTERN_BYTES = 500
MAX_VALUES = 500_000  # that a filter looks at one by one
MAX_CELLS = 1_000_000  # of an answer that is sorted, or compared, as a whole
MAX_ANSWER = 16 << 20  # bytes of its JSON
MAX_FAULTS = 50  # that an error names
MAX_FAULT = 1_000  # characters of each


def shortened(faults: Iterable[str]) -> list[str]:
    """The faults that an error names: the first of very many, each cut where it is very long."""
    named = [fault if len(fault) <= MAX_FAULT else fault[: MAX_FAULT - 1] + "…" for fault in faults]
    if len(named) <= MAX_FAULTS:
        return named
    rest = len(named) - MAX_FAULTS + 1
    return [*named[: MAX_FAULTS - 1], f"#: There are {rest:,} more faults; mend these first"]
