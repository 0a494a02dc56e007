"""How often a random test tries, and how often a server is killed: `make test` makes some rounds of each such test,
`make test-long` runs these tests alone and makes many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

#: Set by `make test-long`.
LONG = bool(os.environ.get("TEST_LONG"))

#: Marks a test that has more rounds in `make test-long`.
long = pytest.mark.long


def rounds(few: int, many: int) -> int:
    """So many rounds of a test that is marked `long`: `few` in `make test`, `many` in `make test-long`."""
    return many if LONG else few


def examples(few: int, many: int, **options: Any) -> Callable[[Any], Any]:
    """The same for the examples of a test of hypothesis, which this marks; `options` are those of its `settings`."""

    def decorate(test: Any) -> Any:
        return long(settings(max_examples=rounds(few, many), deadline=None, **options)(test))

    return decorate
