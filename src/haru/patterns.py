"""Patterns of text: `*` and `**` in the path of a page, and regular expressions.

All of them are RE2's: owners and readers choose the patterns, visitors the texts, and RE2 never backtracks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import re2

MAX_PAGES_MEMORY = 32 * 1024 * 1024  # bytes that the automaton of a list of page patterns may take

_STARS = re.compile(r"(\*\*|\*)")


class BadPattern(ValueError):
    """A regular expression that RE2 does not take; the text says why."""


def stars(page: str) -> int:
    """In how many places of a page pattern any text may stand."""
    return len(_STARS.findall(page))


def pages(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path is one of these pages: `*` stands for any text without a slash, `**` for any text.

    Any text may be the empty one. No pattern at all is no page.
    """
    match = re2.compile(f"(?s:{'|'.join(map(_expression, patterns))})", _options(MAX_PAGES_MEMORY)).fullmatch
    return lambda path: match(path) is not None


def _expression(page: str) -> str:
    meanings = {"**": ".*", "*": "[^/]*"}
    return "".join(meanings.get(part) or re2.escape(part) for part in _STARS.split(page) if part)


def search(expression: str, *, max_memory: int, case_sensitive: bool = True) -> Callable[[str], bool]:
    """Whether a text has something that a regular expression matches. Raises `BadPattern`.

    RE2 refuses an expression that needs more than `max_memory` bytes.
    """
    options = _options(max_memory)
    options.case_sensitive = case_sensitive
    try:
        found = re2.compile(expression, options).search
    except re2.error as error:
        raise _refused(error) from None
    return lambda text: found(text) is not None


class Expressions:
    """Many regular expressions, looked for in a text in one pass."""

    def __init__(self, max_memory: int) -> None:
        """`max_memory` bounds the automaton, in bytes."""
        self._set = re2.Set.SearchSet(_options(max_memory))

    def add(self, expression: str) -> None:
        """One more, numbered from 0. Raises `BadPattern`, and the number goes to the next."""
        try:
            self._set.Add(expression)
        except re2.error as error:
            raise _refused(error) from None

    def compile(self) -> None:
        """To be called once, after the last `add`."""
        self._set.Compile()

    def within(self, text: str) -> list[int]:
        """The numbers of those that match anywhere in the text."""
        return self._set.Match(text) or []


def _options(max_memory: int) -> re2.Options:
    options = re2.Options()
    options.max_mem = max_memory
    options.log_errors = False
    return options


def _refused(error: re2.error) -> BadPattern:
    reason = error.args[0] if error.args else error
    return BadPattern(reason.decode() if isinstance(reason, bytes) else str(reason))
