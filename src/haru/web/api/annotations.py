"""Annotations of a site: list, add, change, delete notes at an instant."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from haru.accounts.models import Scope
from haru.sites import annotations as notes
from haru.sites import registry
from haru.sites.models import Annotation
from haru.stats.vocabulary import periods
from haru.transfer import export
from haru.web.api import bodies, pages
from haru.web.api.endpoint import Call, Faulty, Method, Refused, route, texts


def listed(call: Call) -> dict[str, Any]:
    """The annotations that the key's owner sees, those made last first."""
    values, faults = texts(call.parameters, ("site_id",), (*pages.PARAMETERS, "since", "until"))
    _period(values, ZoneInfo("UTC"), faults)  # what cannot be read is a fault in whichever zone
    wanted = pages.read(values, faults)
    site = call.site(values["site_id"])
    page = wanted.of(notes.within(call.key.user, site, _period(values, ZoneInfo(site.timezone), faults)))
    return {"annotations": [_written(annotation) for annotation in page.rows], "meta": page.meta}


def _period(values: dict[str, str], zone: ZoneInfo, faults: list[str]) -> tuple[int, int]:
    try:
        return export.bounds(values.get("since", ""), values.get("until", ""), zone)
    except export.BadBounds as error:
        faults.append(f"#/{error}")
        return 0, 0


def add(call: Call) -> dict[str, Any]:
    """A new annotation: the key's owner's own, or the site's for those who manage it."""
    values = bodies.whole(call.fields, bodies.AnnotationBody)
    site = call.site(values["site_id"])
    owner = call.owner(site, personal=values.get("personal", True))
    try:
        return _written(notes.add(site, owner, values["at"], values["text"]))
    except notes.AnnotationErrors as error:
        raise Faulty(error.faults) from None


def change(call: Call, pk: int) -> dict[str, Any]:
    """Give an annotation another moment, another text, or another owner; what is left out stays."""
    values = bodies.whole(call.fields, bodies.AnnotationChangeBody)
    annotation = _changeable(call, values["site_id"], pk)
    owner = call.owner(annotation.site, personal=values.get("personal", annotation.personal))
    at, text = values.get("at", annotation.at.isoformat()), values.get("text", annotation.text)
    try:
        return _written(notes.change(annotation, owner, at, text))
    except notes.AnnotationErrors as error:
        raise Faulty(error.faults) from None


def delete(call: Call, pk: int) -> dict[str, Any]:
    """Delete an annotation."""
    values, faults = texts({**call.parameters, **call.fields}, ("site_id",))
    if faults:
        raise Faulty(faults)
    _changeable(call, values["site_id"], pk).delete()
    return {"deleted": True}


def _changeable(call: Call, domain: str, pk: int) -> Annotation:
    """The annotation, for one who may change it. Raises `Refused`."""
    site = call.site(domain)
    try:
        annotation = notes.one(call.key.user, site, pk)
    except registry.SiteError as error:
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None
    call.owner(site, personal=annotation.personal)
    return annotation


def _written(annotation: Annotation) -> dict[str, Any]:
    at_ms = periods.milliseconds(annotation.at.replace(tzinfo=None))
    return {
        "id": annotation.pk,
        "at": periods.iso(ZoneInfo(annotation.site.timezone), at_ms),
        "text": annotation.text,
        "personal": annotation.personal,
        "created_at": annotation.created_at.isoformat(timespec="seconds"),
    }


every = route(
    GET=Method(listed, (Scope.STATS_READ, Scope.SITES_WRITE)),
    POST=Method(add, (Scope.SITES_WRITE,)),
)
single = route(PUT=Method(change, (Scope.SITES_WRITE,)), DELETE=Method(delete, (Scope.SITES_WRITE,)))
