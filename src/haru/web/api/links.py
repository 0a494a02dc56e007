"""Shared links of a site: list, find or make, revoke. PUT is in the shape of Plausible's Sites API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from haru.accounts.models import Scope
from haru.sites import access, registry
from haru.sites import links as site_links
from haru.sites.models import SharedLink
from haru.web.api import bodies, pages
from haru.web.api.endpoint import Call, Faulty, Method, Refused, route, texts

# Who has a link has what it shows, so even the list is for those who may make one.
_WRITE = (Scope.SITES_WRITE,)


def listed(call: Call) -> dict[str, Any]:
    """The shared links of a site, the newest first."""
    values, faults = texts(call.parameters, ("site_id",), pages.PARAMETERS)
    part = pages.read(values, faults)
    page = part.of(call.site(values["site_id"], access.manageable).shared_links.all())
    return {"shared_links": [_written(link) for link in page.rows], "meta": page.meta}


def put(call: Call) -> dict[str, Any]:
    """The link of this name, found or made."""
    values, faults = bodies.read(call.fields, bodies.SharedLinkBody)
    if faults:
        raise Faulty(faults)
    site = call.site(values["site_id"], access.manageable)
    password = values.get("password", "")
    try:
        link = site_links.add_link(site, values["name"], password)
    except registry.SiteError as error:
        raise Faulty([f"#/name: {error}"]) from None
    # Whoever sends a password must not believe in one that the link, found as it is, does not have.
    if password and not site_links.opens(link, password):
        raise Faulty(["#/password: There is a link of this name with another password, or with none: revoke it first"])
    return _written(link)


def delete(call: Call, pk: int) -> dict[str, Any]:
    """Revoke a link: it shows nothing from now on."""
    values, faults = texts({**call.parameters, **call.fields}, ("site_id",))
    if faults:
        raise Faulty(faults)
    try:
        site_links.revoke_link(call.site(values["site_id"], access.manageable), pk)
    except registry.SiteError as error:
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None
    return {"deleted": True}


def _written(link: SharedLink) -> dict[str, Any]:
    return {
        "id": link.pk,
        "name": link.name,
        "url": site_links.address(link),
        "has_password": bool(link.password),
        "created_at": link.created_at.isoformat(timespec="seconds"),
    }


shared_links = route(GET=Method(listed, _WRITE), PUT=Method(put, _WRITE))
shared_link = route(DELETE=Method(delete, _WRITE))
