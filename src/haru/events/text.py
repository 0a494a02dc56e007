"""Text that came from outside, as it may be stored and as it may be written where people look: visitors send whatever
they like.
"""

from __future__ import annotations

import re

# What a terminal takes for a command, or shows in another order than it stands: control characters but for the ends of
# lines and tabs, marks of direction, and other ends of lines.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_UNSEEN_IN_LINE = re.compile(f"{_UNSEEN.pattern}|[\t\n]")

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every store and database takes the text: none takes U+0000 or half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with U+FFFD for each sign that no store takes."""
    return text if _UNSTORABLE.search(text) is None else _UNSTORABLE.sub("\ufffd", text)


def plain(text: str) -> str:
    """The text with what is not to be seen written as JSON escapes, such as `\\u001b`: JSON stays what it is."""
    return _UNSEEN.sub(_escape, text)


def one_line(text: str) -> str:
    """The same as part of one line: tabs and ends of lines are written as escapes too."""
    return _UNSEEN_IN_LINE.sub(_escape, text)


def _escape(sign: re.Match[str]) -> str:
    return f"\\u{ord(sign[0]):04x}"
