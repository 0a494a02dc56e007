"""Lists that are read page by page, with cursors: `after` the last one read, or `before` the first.

A row's place is the moment it was made, and its id among those of the same moment: ids of sites are in no order.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from haru.web.api.endpoint import Faulty

M = TypeVar("M", bound=Model)

PARAMETERS = ("after", "before", "limit")
DEFAULT, MAX = 100, 1000  # rows

Place = tuple[datetime, int]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows of a list, the newest first, and how to go on from them."""

    rows: Sequence[M]
    after: str | None  # the cursor of the next page; None when this is the last
    before: str | None  # that of the page before; None when this is the first
    limit: int

    @property
    def meta(self) -> dict[str, Any]:
        """What an answer says of the page."""
        return {"after": self.after, "before": self.before, "limit": self.limit}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for."""

    limit: int
    after: Place | None
    before: Place | None

    def of(self, rows: QuerySet[M]) -> Page[M]:
        """This page of the rows."""
        if self.before is not None:
            at, pk = self.before
            later = rows.filter(Q(created_at__gt=at) | Q(created_at=at, pk__gt=pk))
            found = list(later.order_by("created_at", "pk")[: self.limit + 1])
            more = len(found) > self.limit
            shown = found[: self.limit][::-1]
            return Page(shown, _cursor(shown[-1]) if shown else None, _cursor(shown[0]) if more else None, self.limit)
        if self.after is not None:
            at, pk = self.after
            rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=pk))
        found = list(rows.order_by("-created_at", "-pk")[: self.limit + 1])
        shown = found[: self.limit]
        after = _cursor(shown[-1]) if len(found) > self.limit else None
        return Page(shown, after, _cursor(shown[0]) if shown and self.after is not None else None, self.limit)


def read(values: dict[str, str], faults: list[str]) -> PageRequest:
    """The page that these parameters name. Raises `Faulty` with their faults and those found before."""
    limit = values.get("limit", str(DEFAULT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX):
        faults.append(f"#/limit: Give a whole number from 1 to {MAX}")
    cursors = {name: _place(values[name]) for name in ("after", "before") if name in values}
    faults += [f"#/{name}: Give what meta.{name} of an answer said" for name, place in cursors.items() if place is None]
    if len(cursors) == 2:
        faults.append("#/before: Give after or before, not both")
    if faults:
        raise Faulty(faults)
    return PageRequest(int(limit), cursors.get("after"), cursors.get("before"))


def _cursor(row: Any) -> str:
    at = (row.created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{at}.{row.pk}".encode()).decode().rstrip("=")


def _place(text: str) -> Place | None:
    try:
        at, _, pk = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).partition(b".")
    except (binascii.Error, ValueError):
        return None
    if not (at.isdigit() and pk.isdigit() and len(at) < 18 and len(pk) < 19):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(at)), int(pk)
    except OverflowError:
        return None
