"""Sites that the event store holds and the accounts do not know: the accounts were lost, or are older than the events.

Nobody sees their numbers, as no number of a site is ever given twice, until whoever runs the server gives one back.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import func, select

from haru.sites.models import DeletedSite, Site
from haru.stats.sql.counters import E
from haru.stats.vocabulary import periods
from haru.store.protocol import Store


class Lost(msgspec.Struct, frozen=True):
    """A lost site, with what helps to tell which one it was."""

    number: int
    events: int
    hostname: str = ""  # one of those that its pages have
    first_at: int = 0  # ms; 0 when it has refusals only
    last_at: int = 0


def sorted_out(numbers: Iterable[int]) -> tuple[set[int], set[int]]:
    """Of the sites of a store those that are lost, and those that were deleted on purpose. Raises `django.db.Error`."""
    unknown = set(numbers) - set(Site.objects.values_list("pk", flat=True))
    deleted = set(DeletedSite.objects.values_list("pk", flat=True)) & unknown
    return unknown - deleted, deleted


def lost_sites(store: Store) -> list[Lost]:
    """The lost sites of a store, the largest first. Blocks. Raises `StoreUnavailable` and `django.db.Error`."""
    lost, _ = sorted_out(store.sites())
    if not lost:
        return []
    facts = select(
        E.site_id, func.count(), func.max(E.hostname), func.min(E.occurred_at), func.max(E.occurred_at)
    ).where(E.site_id.in_(sorted(lost)))
    found = {
        number: Lost(number, events, hostname, periods.milliseconds(first), periods.milliseconds(last))
        for number, events, hostname, first, last in store.fetch(facts.group_by(E.site_id))
    }
    sites = [found.get(number) or Lost(number, 0) for number in lost]
    return sorted(sites, key=lambda site: (-site.events, site.number))
