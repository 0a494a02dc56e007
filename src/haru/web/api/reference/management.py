"""The operations that list, add, change and delete what a site has."""

from __future__ import annotations

from collections.abc import Sequence

from haru.web.api import pages
from haru.web.api.reference.operation import (
    EITHER,
    GOALS,
    LINKS,
    SITE,
    SITE_ID,
    SITES,
    WRITE,
    Operation,
    Parameter,
)
from haru.web.api.reference.schemas import Schema, array, record, ref

_DOMAIN = Parameter("domain", "The site's domain.", example=SITE, required=True, place="path")
_CURSORS = (
    Parameter("after", "Go on after this page: what `meta.after` said."),
    Parameter("before", "Go back before this page: what `meta.before` said."),
    Parameter(
        "limit",
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": pages.MAX, "default": pages.DEFAULT},
        example=100,
    ),
)
_META = {"after": None, "before": None, "limit": 100}


def _id(thing: str) -> Parameter:
    return Parameter("id", f"The id of the {thing}.", {"type": "integer"}, example=1, required=True, place="path")


def _page(name: str, of: str) -> Schema:
    return record({name: array(ref(of)), "meta": ref("Meta")})


_GOAL = {
    "id": 1,
    "display_name": "Purchase",
    "goal_type": "event",
    "event_name": "Purchase",
    "page_path": None,
    "scroll_threshold": None,
    "currency": "EUR",
}
_LINK = {
    "id": 1,
    "name": "Board",
    "url": "https://stats.example.com/share/Xn4fS0mYpQe2kVwJ7tRb1A",
    "has_password": False,
    "created_at": "2026-01-31T10:00:00+00:00",
}
_SITE = {"domain": SITE, "timezone": "Europe/Berlin", "token": "kq3mPz0vT8yWc5RjX1nB7uLdGf2aHs9E"}

OPERATIONS: Sequence[Operation] = (
    Operation(
        name="listSites",
        tag=SITES,
        method="get",
        path="/api/v1/sites",
        summary="The sites you may see, the newest first.",
        scopes=EITHER,
        parameters=_CURSORS,
        answers=_page("sites", "Site"),
        answered={"sites": [{"domain": SITE, "timezone": "Europe/Berlin"}], "meta": _META},
    ),
    Operation(
        name="addSite",
        tag=SITES,
        method="post",
        path="/api/v1/sites",
        summary="Add a site, of which you are the owner.",
        scopes=WRITE,
        body=ref("SiteBody"),
        form=True,
        sent={"domain": "new.example.com", "timezone": "Europe/Berlin"},
        answers=ref("Site"),
        answered={**_SITE, "domain": "new.example.com"},
    ),
    Operation(
        name="showSite",
        tag=SITES,
        method="get",
        path="/api/v1/sites/{domain}",
        summary="One site.",
        scopes=EITHER,
        parameters=(_DOMAIN,),
        answers=ref("Site"),
        answered=_SITE,
        missing="Nothing can be a site at this address.",
    ),
    Operation(
        name="changeSite",
        tag=SITES,
        method="put",
        path="/api/v1/sites/{domain}",
        summary="Give a site another domain or another time zone.",
        text="Its numbers, its token and its links stay.",
        scopes=WRITE,
        parameters=(_DOMAIN,),
        body={**ref("SiteChangeBody"), "minProperties": 1},
        form=True,
        sent={"timezone": "Europe/Berlin"},
        answers=ref("Site"),
        answered=_SITE,
        missing="Nothing can be a site at this address.",
    ),
    Operation(
        name="deleteSite",
        tag=SITES,
        method="delete",
        path="/api/v1/sites/{domain}",
        summary="Delete a site with all its numbers.",
        text="The owner's alone. It cannot be undone.",
        scopes=WRITE,
        parameters=(_DOMAIN,),
        answers=ref("Deleted"),
        answered={"deleted": True},
        missing="Nothing can be a site at this address.",
    ),
    Operation(
        name="listGoals",
        tag=GOALS,
        method="get",
        path="/api/v1/sites/goals",
        summary="The goals of a site, the newest first.",
        scopes=EITHER,
        parameters=(SITE_ID, *_CURSORS),
        answers=_page("goals", "Goal"),
        answered={"goals": [_GOAL], "meta": _META},
    ),
    Operation(
        name="putGoal",
        tag=GOALS,
        method="put",
        path="/api/v1/sites/goals",
        summary="Find a goal, or make it.",
        text="One that is just so is found and not made again.",
        scopes=WRITE,
        body=ref("GoalBody"),
        form=True,
        sent={"site_id": SITE, "goal_type": "event", "event_name": "Purchase", "currency": "EUR"},
        answers=ref("Goal"),
        answered={"domain": SITE, **_GOAL},
    ),
    Operation(
        name="deleteGoal",
        tag=GOALS,
        method="delete",
        path="/api/v1/sites/goals/{id}",
        summary="Delete a goal.",
        text="The events that reached it stay.",
        scopes=WRITE,
        parameters=(_id("goal"), SITE_ID),
        answers=ref("Deleted"),
        answered={"deleted": True},
        missing="The site has no such goal.",
    ),
    Operation(
        name="listSharedLinks",
        tag=LINKS,
        method="get",
        path="/api/v1/sites/shared-links",
        summary="The shared links of a site, the newest first.",
        scopes=WRITE,
        parameters=(SITE_ID, *_CURSORS),
        answers=_page("shared_links", "SharedLink"),
        answered={"shared_links": [_LINK], "meta": _META},
    ),
    Operation(
        name="putSharedLink",
        tag=LINKS,
        method="put",
        path="/api/v1/sites/shared-links",
        summary="Find a shared link by its name, or make it.",
        text="Whoever has its address sees the dashboard without an account.",
        scopes=WRITE,
        body=ref("SharedLinkBody"),
        form=True,
        sent={"site_id": SITE, "name": "Board"},
        answers=ref("SharedLink"),
        answered=_LINK,
    ),
    Operation(
        name="deleteSharedLink",
        tag=LINKS,
        method="delete",
        path="/api/v1/sites/shared-links/{id}",
        summary="Revoke a shared link.",
        text="Its address shows nothing from then on.",
        scopes=WRITE,
        parameters=(_id("link"), SITE_ID),
        answers=ref("Deleted"),
        answered={"deleted": True},
        missing="The site has no such link.",
    ),
)
