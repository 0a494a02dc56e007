"""The segments of a site: filters under a name, of the site or of one person. A personal one is its owner's alone.

Whoever may make, change and delete those of the site is for the callers to ask: `haru.sites.access.manageable`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from haru.events.text import is_storable
from haru.sites import access
from haru.sites.access import Person
from haru.sites.domain import DomainError, normalise
from haru.sites.goals import goals_of
from haru.sites.models import Segment, Site
from haru.sites.registry import SiteError
from haru.stats import bounds
from haru.stats.query import QueryError, parse_segment
from haru.stats.trees import Segments
from haru.stats.vocabulary import filters as stats

MAX_NAME = 100  # characters
MAX_SEGMENTS = 200  # of a site, and as many of each person in it
NO_SEGMENT = "The site has no such segment."


class SegmentErrors(SiteError):
    """A segment cannot be made as asked; `faults` has a sentence for each fault, with its path."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def visible(user: Person, site: Site) -> QuerySet[Segment]:
    """The segments that one who sees the site knows: the site's and their own."""
    return Segment.objects.filter(access.own_or_shared(user), site=site)


def one(user: Person, site: Site, pk: int) -> Segment:
    """One of those. Raises `SiteError` when there is none, or it is another person's."""
    segment = visible(user, site).filter(pk=pk).first() if pk < 2**63 else None
    if segment is None:
        raise SiteError(NO_SEGMENT)
    return segment


def known_to(user: Person, domain: object) -> Segments:
    """Finds what the segments hold that this person knows of the site, for `haru.stats.query.parse`."""
    try:
        site = normalise(domain) if isinstance(domain, str) else ""
    except DomainError:
        site = ""

    def filters(id: int) -> Sequence[Any] | None:
        known = Segment.objects.filter(access.own_or_shared(user), pk=id, site__in=access.sites_of(user))
        return known.filter(site__domain=site).values_list("filters", flat=True).first() if id < 2**63 else None

    return filters


def add(site: Site, owner: Person | None, name: str, filters: object) -> Segment:
    """A new segment of this person, or of the site. Raises `SegmentErrors`."""
    return change(Segment(site=site), owner, name, filters)


def change(segment: Segment, owner: Person | None, name: str, filters: object) -> Segment:
    """Give a segment these values in the place of its own. Raises `SegmentErrors`, and changes nothing then."""
    site, name = segment.site, name.strip()
    faults = _name_faults(name)
    try:
        trees = [stats.written(tree) for tree in parse_segment(filters, goals_of(site))]
        if len(json.dumps(trees)) > bounds.MAX_BYTES:
            faults.append(f"#/filters: They have more than {bounds.MAX_BYTES // 1024} KiB")
    except QueryError as error:
        faults += error.faults
    owner_id = owner.pk if owner is not None else None
    others = Segment.objects.filter(site=site, owner_id=owner_id)
    if (segment.pk is None or segment.owner_id != owner_id) and others.count() >= MAX_SEGMENTS:
        faults.append(f"#/name: There are {MAX_SEGMENTS} segments, which is the most: delete one first")
    if faults:
        raise SegmentErrors(faults)
    segment.owner_id, segment.name, segment.filters = owner_id, name, trees
    try:
        with transaction.atomic():
            segment.save()
    except IntegrityError:
        raise SegmentErrors([f'#/name: There is already another segment named "{name}": choose another name']) from None
    return segment


def _name_faults(name: str) -> list[str]:
    if not name or len(name) > MAX_NAME:
        return [f"#/name: Give the segment a name of at most {MAX_NAME} characters"]
    return [] if is_storable(name) else ["#/name: There is a character in it that no text has"]
