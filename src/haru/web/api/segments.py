"""Segments of a site: list, add, change, delete. Plausible's API has none; the shape is that of goals."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from haru.accounts.models import Scope
from haru.sites import registry
from haru.sites import segments as site_segments
from haru.sites.models import Segment
from haru.web.api import bodies, pages
from haru.web.api.endpoint import Call, Faulty, Method, Refused, route, texts


def listed(call: Call) -> dict[str, Any]:
    """The segments that the key's owner knows, the newest first."""
    values, faults = texts(call.parameters, ("site_id",), pages.PARAMETERS)
    wanted = pages.read(values, faults)
    page = wanted.of(site_segments.visible(call.key.user, call.site(values["site_id"])))
    return {"segments": [_written(segment) for segment in page.rows], "meta": page.meta}


def add(call: Call) -> dict[str, Any]:
    """A new segment: the key's owner's own, or the site's for those who manage it."""
    values = bodies.whole(call.fields, bodies.SegmentBody)
    site = call.site(values["site_id"])
    owner = call.owner(site, personal=values.get("personal", True))
    try:
        return _written(site_segments.add(site, owner, values["name"], values["filters"]))
    except site_segments.SegmentErrors as error:
        raise Faulty(error.faults) from None


def change(call: Call, pk: int) -> dict[str, Any]:
    """Give a segment another name, other filters, or another owner; what is left out stays."""
    values = bodies.whole(call.fields, bodies.SegmentChangeBody)
    segment = _changeable(call, values["site_id"], pk)
    owner = call.owner(segment.site, personal=values.get("personal", segment.personal))
    name, filters = values.get("name", segment.name), values.get("filters", segment.filters)
    try:
        return _written(site_segments.change(segment, owner, name, filters))
    except site_segments.SegmentErrors as error:
        raise Faulty(error.faults) from None


def delete(call: Call, pk: int) -> dict[str, Any]:
    """Delete a segment. Whoever filters by it then is told that it is unknown."""
    values, faults = texts({**call.parameters, **call.fields}, ("site_id",))
    if faults:
        raise Faulty(faults)
    _changeable(call, values["site_id"], pk).delete()
    return {"deleted": True}


def _changeable(call: Call, domain: str, pk: int) -> Segment:
    """The segment, for one who may change it. Raises `Refused`."""
    site = call.site(domain)
    try:
        segment = site_segments.one(call.key.user, site, pk)
    except registry.SiteError as error:
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None
    call.owner(site, personal=segment.personal)
    return segment


def _written(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.pk,
        "name": segment.name,
        "personal": segment.personal,
        "filters": segment.filters,
        "created_at": segment.created_at.isoformat(timespec="seconds"),
    }


segments = route(
    GET=Method(listed, (Scope.STATS_READ, Scope.SITES_WRITE)),
    POST=Method(add, (Scope.SITES_WRITE,)),
)
segment = route(PUT=Method(change, (Scope.SITES_WRITE,)), DELETE=Method(delete, (Scope.SITES_WRITE,)))
