"""The formats in which trackers send hits. A new one is a file beside these and its name in the list below."""

from __future__ import annotations

from haru.collect.formats import haru
from haru.collect.formats.format import Format

FORMATS: dict[bytes, Format] = {format.path: format for format in (haru,)}  # by the path they are sent to
