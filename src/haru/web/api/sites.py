"""Sites: list, add, change, delete. In the shape of Plausible's Sites API; a site's token is Haru's own addition."""

from __future__ import annotations

from typing import Any

from haru.accounts.models import Scope
from haru.sites import access, registry
from haru.sites.domain import DomainError, normalise
from haru.sites.models import Site
from haru.web.api import bodies, pages
from haru.web.api.endpoint import Call, Faulty, Method, route, texts

_EITHER = (Scope.STATS_READ, Scope.SITES_WRITE)
_WRITE = (Scope.SITES_WRITE,)


def listed(call: Call) -> dict[str, Any]:
    """The sites that the key's owner may see, the newest first."""
    page = pages.read(*texts(call.parameters, (), pages.PARAMETERS)).of(access.sites_of(call.key.user))
    return {"sites": [{"domain": site.domain, "timezone": site.timezone} for site in page.rows], "meta": page.meta}


def add(call: Call) -> dict[str, Any]:
    """A new site, of which the key's owner is the owner."""
    values, faults = bodies.read(call.fields, bodies.SiteBody)
    faults += _faults(values)
    if faults:
        raise Faulty(faults)
    try:
        site = registry.create_site(values["domain"], values.get("timezone", "UTC"), call.key.user)
    except registry.SiteError as error:
        raise Faulty([f"#/domain: {error}"]) from None
    return _written(call, site)


def show(call: Call, domain: str) -> dict[str, Any]:
    """One site."""
    return _written(call, call.site(domain))


def change(call: Call, domain: str) -> dict[str, Any]:
    """Give a site another domain, another time zone, or both."""
    values, faults = bodies.read(call.fields, bodies.SiteChangeBody)
    faults += _faults(values)
    if not values and not faults:
        faults.append("#: Give a domain, a timezone, or both")
    if faults:
        raise Faulty(faults)
    site = call.site(domain, access.manageable)
    try:
        if "domain" in values:
            registry.set_domain(site, values["domain"])
    except registry.SiteError as error:
        raise Faulty([f"#/domain: {error}"]) from None
    if "timezone" in values:
        registry.set_timezone(site, values["timezone"])
    return _written(call, site)


def delete(call: Call, domain: str) -> dict[str, Any]:
    """Delete a site with all its numbers. The owner's alone."""
    registry.delete_site(call.site(domain, access.owned))
    return {"deleted": True}


def _written(call: Call, site: Site) -> dict[str, Any]:
    """A site as JSON. Its token is for those who may change the site."""
    written = {"domain": site.domain, "timezone": site.timezone}
    if call.key.allows(Scope.SITES_WRITE) and access.role_of(call.key.user, site) in access.MANAGERS:
        written["token"] = site.token
    return written


def _faults(values: dict[str, str]) -> list[str]:
    faults = []
    if "domain" in values:
        try:
            normalise(values["domain"])
        except DomainError as error:
            faults.append(f"#/domain: {error}")
    if values.get("timezone", "UTC") not in registry.timezones():
        shown = values["timezone"][:100]
        faults.append(f'#/timezone: "{shown}" is not a time zone: give one such as Europe/Berlin')
    return faults


sites = route(GET=Method(listed, _EITHER), POST=Method(add, _WRITE))
site = route(GET=Method(show, _EITHER), PUT=Method(change, _WRITE), DELETE=Method(delete, _WRITE))
