"""Goals of a site: list, find or make, delete. In the shape of Plausible's Sites API; the currency is Haru's own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from haru.accounts.models import Scope
from haru.sites import access, registry
from haru.sites import goals as site_goals
from haru.sites.models import Goal
from haru.web.api import pages
from haru.web.api.door import Call, Faulty, Method, Refused, route, texts

# The fields of a goal by the names that the API has for them.
_NAMES = {"event": "event_name", "page": "page_path", "name": "display_name", "currency": "currency"}


def listed(call: Call) -> dict[str, Any]:
    """The goals of a site, the newest first."""
    values, faults = texts(call.parameters, ("site_id",), pages.PARAMETERS)
    wanted = pages.read(values, faults)
    page = wanted.of(call.site(values["site_id"]).goals.all())
    return {"goals": [_written(goal) for goal in page.rows], "meta": page.meta}


def put(call: Call) -> dict[str, Any]:
    """The goal that is just so, found or made."""
    values, faults = texts(
        call.fields, ("site_id", "goal_type"), ("event_name", "page_path", "display_name", "currency")
    )
    kind = values.get("goal_type")
    needed, other = ("event_name", "page_path") if kind == "event" else ("page_path", "event_name")
    if kind in {"event", "page"}:
        if needed not in values:
            faults.append(f"#/{needed}: A goal of type {kind} needs this")
        if other in values:
            faults.append(f"#/{other}: A goal of type {kind} has none")
    elif kind is not None:
        faults.append(f'#/goal_type: Invalid type "{kind[:100]}": give event or page')
    if faults:
        raise Faulty(faults)
    site = call.site(values["site_id"], access.manageable)
    given = {name: values.get(field, "") for name, field in _NAMES.items()}
    try:
        goal = site_goals.add_goal(site, **given)
    except site_goals.GoalErrors as error:
        raise Faulty(f"#/{_NAMES[name]}: {sentence}" for name, sentence in error.faults.items()) from None
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


def _written(goal: Goal) -> dict[str, Any]:
    return {
        "id": goal.pk,
        "display_name": goal.name,
        "goal_type": "event" if goal.event else "page",
        "event_name": goal.event or None,
        "page_path": goal.page or None,
        "currency": goal.currency or None,
    }


goals = route(
    GET=Method(listed, (Scope.STATS_READ, Scope.SITES_WRITE)),
    PUT=Method(put, (Scope.SITES_WRITE,)),
)
goal = route(DELETE=Method(delete, (Scope.SITES_WRITE,)))
