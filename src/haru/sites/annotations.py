"""Annotations: notes at a moment of a site, of the site or of one person. A personal one is its owner's alone.

Whoever may make, change and delete those of the site is for the callers to ask: `haru.sites.access.manageable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from haru.events.text import is_storable
from haru.sites import access
from haru.sites.access import Person
from haru.sites.models import Annotation, Site
from haru.sites.registry import SiteError

MAX_TEXT = 500  # characters
MAX_ANNOTATIONS = 1_000  # of a site, and as many of each person in it
NO_ANNOTATION = "The site has no such annotation."
GUEST = AnonymousUser()  # of a shared link: sees what is the site's

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1990, 2200


class AnnotationErrors(SiteError):
    """An annotation cannot be made as asked; `faults` has a sentence for each fault, with its path."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def visible(user: Person, site: Site) -> QuerySet[Annotation]:
    """The annotations that one who sees the site reads, by their moments: the site's and their own; a `GUEST` only
    the former.
    """
    return Annotation.objects.filter(access.own_or_shared(user), site=site)


def within(user: Person, site: Site, period: tuple[int, int]) -> QuerySet[Annotation]:
    """Those of a period, from a moment to before another, both in ms."""
    start, end = (_moment(at_ms) for at_ms in period)
    return visible(user, site).filter(at__gte=start, at__lt=end)


def one(user: Person, site: Site, pk: int) -> Annotation:
    """One of those. Raises `SiteError` when there is none, or it is another person's."""
    annotation = visible(user, site).filter(pk=pk).first() if pk < 2**63 else None
    if annotation is None:
        raise SiteError(NO_ANNOTATION)
    return annotation


def add(site: Site, owner: Person | None, at: str, text: str) -> Annotation:
    """A new annotation of this person, or of the site. Raises `AnnotationErrors`."""
    return change(Annotation(site=site), owner, at, text)


def change(annotation: Annotation, owner: Person | None, at: str, text: str) -> Annotation:
    """Give an annotation these values in the place of its own; `at` is an instant such as 2026-01-31T10:00:00+01:00.

    Raises `AnnotationErrors`, and changes nothing then.
    """
    text = " ".join(text.split())
    faults = []
    moment = _read(at)
    if moment is None:
        faults.append("#/at: Give an instant with its offset, such as 2026-01-31T10:00:00+01:00")
    if not text or len(text) > MAX_TEXT:
        faults.append(f"#/text: Give a text of at most {MAX_TEXT} characters")
    elif not is_storable(text):
        faults.append("#/text: There is a character in it that no text has")
    owner_id = owner.pk if owner is not None else None
    others = Annotation.objects.filter(site=annotation.site, owner_id=owner_id)
    if (annotation.pk is None or annotation.owner_id != owner_id) and others.count() >= MAX_ANNOTATIONS:
        faults.append(f"#/text: There are {MAX_ANNOTATIONS:,} annotations, which is the most: delete one first")
    if faults or moment is None:
        raise AnnotationErrors(faults)
    annotation.owner_id, annotation.at, annotation.text = owner_id, moment, text
    annotation.save()
    return annotation


def _moment(at_ms: int) -> datetime:
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in (_FIRST_YEAR, _LAST_YEAR))
    try:
        return min(max(_EPOCH + timedelta(milliseconds=at_ms), first), last)
    except OverflowError:
        return last


def _read(text: str) -> datetime | None:
    """The instant that a text means, in whole milliseconds; None for none."""
    try:
        given = datetime.fromisoformat(text)
        at = given.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if given.tzinfo is None or not _FIRST_YEAR <= at.year < _LAST_YEAR:
        return None
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
