"""The refusal ledger: how many requests were not counted, by site, hour and reason."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class RefusalCount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So many requests of a site were refused in an hour for a reason."""

    site_id: int  # 0 for requests that named no site
    hour: int  # start of the UTC hour, milliseconds since 1970
    reason: str  # a `haru.events.refusals.Refusal`
    detail: str  # what is known beyond the reason, from a bounded list: a crawler's name, a field; "" for most
    count: int


def merge(refusals: Iterable[RefusalCount]) -> list[RefusalCount]:
    """The same counts with one count for each site, hour, reason and detail."""
    counts: dict[tuple[int, int, str, str], int] = {}
    for refusal in refusals:
        key = (refusal.site_id, refusal.hour, refusal.reason, refusal.detail)
        counts[key] = counts.get(key, 0) + refusal.count
    return [RefusalCount(*key, count) for key, count in counts.items()]
