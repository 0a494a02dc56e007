"""Goals: what a site's owner wants visitors to do. A goal is reached by an event of a name, or by a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of a site: of `event` and `page` exactly one is set."""

    name: str  # as it is shown and filtered by; unique in its site
    event: str = ""  # name of a custom event
    page: str = ""  # path of a page; `*` stands for any text without a slash, `**` for any text
    currency: str = ""  # ISO 4217, of the revenue that its events bring; "" when they bring none
