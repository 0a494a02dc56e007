"""Goals: what a site's owner wants visitors to do. A goal is reached by an event of a name, by a page, or by a depth of
scroll on a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from haru import patterns


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of a site: of `event` and `page` exactly one is set."""

    name: str  # as it is shown and filtered by; unique in its site
    event: str = ""  # name of a custom event
    page: str = ""  # path of a page, as `haru.patterns` reads it
    currency: str = ""  # ISO 4217, of the revenue that its events bring; "" when they bring none
    scroll: int | None = None  # per cent of the page that is scrolled to at least; None: a pageview reaches the goal

    @property
    def by_path(self) -> bool:
        """Whether Python must look at each path: its page is a pattern."""
        return "*" in self.page

    @property
    def eventless(self) -> bool:
        """Whether visits reach it, and no event of its own does."""
        return self.scroll is not None

    def is_on(self, path: str) -> bool:
        """Whether the page of the goal is this path."""
        return bool(self.page) and _pattern(self.page)(path)


@lru_cache(maxsize=1024)
def _pattern(page: str) -> Callable[[str], bool]:
    return patterns.pages((page,))
