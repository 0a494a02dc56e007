"""The refusal ledger: how many requests were not counted, by site, hour and reason."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So many requests of a site were refused in an hour for a reason."""

    site_id: int  # 0 for requests that named no site
    hour: int  # start of the UTC hour, milliseconds since 1970
    reason: str  # a `haru.events.refusals.Refusal`
    detail: str  # what is known beyond the reason, from a bounded list: a crawler's name, a field; "" for most
    count: int


def merged(tallies: Iterable[Tally]) -> list[Tally]:
    """The same counts with one tally for each site, hour, reason and detail."""
    counts: dict[tuple[int, int, str, str], int] = {}
    for tally in tallies:
        key = (tally.site_id, tally.hour, tally.reason, tally.detail)
        counts[key] = counts.get(key, 0) + tally.count
    return [Tally(*key, count) for key, count in counts.items()]
