"""Goals of a site: list, find or make, delete. In the shape of Plausible's Sites API; the currency is Haru's own."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from haru.accounts.models import Scope
from haru.sites import access, registry
from haru.sites import goals as site_goals
from haru.sites.models import Goal
from haru.web.api import bodies, pages
from haru.web.api.endpoint import Call, Faulty, Method, Refused, route, texts

# The fields of a goal by the names that the API has for them.
_NAMES = {
    "event": "event_name",
    "page": "page_path",
    "scroll": "scroll_threshold",
    "name": "display_name",
    "currency": "currency",
}
# What each type of goal needs.
_NEEDED = {"event": ("event_name",), "page": ("page_path",), "scroll": ("page_path", "scroll_threshold")}
_OF_TYPES = ("event_name", "page_path", "scroll_threshold")


def listed(call: Call) -> dict[str, Any]:
    """The goals of a site, the newest first."""
    values, faults = texts(call.parameters, ("site_id",), pages.PARAMETERS)
    part = pages.read(values, faults)
    page = part.of(call.site(values["site_id"]).goals.all())
    return {"goals": [_written(goal) for goal in page.rows], "meta": page.meta}


def put(call: Call) -> dict[str, Any]:
    """The goal that is just so, found or made."""
    values, faults = bodies.read(call.fields, bodies.GoalBody)
    names = {**_NAMES, "page": "page_pattern"} if "page_pattern" in values else _NAMES
    faults += _type_faults(values, names["page"])
    if faults:
        raise Faulty(faults)
    site = call.site(values["site_id"], access.manageable)
    given = {name: values[field] for name, field in names.items() if field in values}
    if "page_path" in values:
        given["page"] = site_goals.peers_page(given["page"])
    try:
        goal = site_goals.add_goal(site, **given)
    except site_goals.GoalErrors as error:
        raise Faulty(f"#/{names[name]}: {sentence}" for name, sentence in error.faults.items()) from None
    return {"domain": site.domain, **_written(goal)}


def delete(call: Call, pk: int) -> dict[str, Any]:
    """Delete a goal; the events that reached it stay."""
    values, faults = texts({**call.parameters, **call.fields}, ("site_id",))
    if faults:
        raise Faulty(faults)
    try:
        site_goals.delete_goal(call.site(values["site_id"], access.manageable), pk)
    except registry.SiteError as error:
        raise Refused(HTTPStatus.NOT_FOUND, str(error)) from None
    return {"deleted": True}


def _type_faults(values: Mapping[str, Any], page: str) -> list[str]:
    """What is wrong with the fields of a goal's type; `page` is the one that names the page."""
    kind = values.get("goal_type")
    if kind is None:
        return []
    needed = {page if name == "page_path" else name for name in _NEEDED[kind]}
    faults = [f"#/{name}: A goal of type {kind} needs this" for name in sorted(needed - {*values})]
    for name in sorted({*_OF_TYPES, page} & {*values} - needed):
        both = page != name == "page_path"
        faults.append(f"#/{name}: " + (f"Give this or {page}, not both" if both else f"A goal of type {kind} has none"))
    return faults


def _written(goal: Goal) -> dict[str, Any]:
    return {
        "id": goal.pk,
        "display_name": goal.name,
        "goal_type": "event" if goal.event else "page" if goal.scroll is None else "scroll",
        "event_name": goal.event or None,
        "page_path": goal.page or None,
        "scroll_threshold": goal.scroll,
        "currency": goal.currency or None,
    }


goals = route(
    GET=Method(listed, (Scope.STATS_READ, Scope.SITES_WRITE)),
    PUT=Method(put, (Scope.SITES_WRITE,)),
)
goal = route(DELETE=Method(delete, (Scope.SITES_WRITE,)))
