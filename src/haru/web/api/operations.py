"""Every operation of the API that a key opens: what it is for, what it takes, what it answers, with an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from haru.accounts.models import Scope
from haru.transfer.export import FORMATS
from haru.web.api import pages
from haru.web.api.schemas import COUNT, TEXT, Schema, array, record, ref
from haru.web.api.v1 import parameters
from haru.web.dashboard.state import CUSTOM

SITE = "example.com"  # of the examples


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the path or of the query string."""

    name: str
    meaning: str
    schema: Schema = field(default_factory=lambda: TEXT)
    example: Any = None  # None: it is left out of the example
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    name: str  # unique
    tag: str
    method: str
    path: str
    summary: str
    text: str = ""
    scopes: tuple[Scope, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    form: bool = False  # whether the body may be a form as well
    sent: Any = None  # the body of the example
    answers: Schema
    answered: Any  # what the example is answered
    missing: str = ""  # when 404 is answered; "" when it is not
    files: tuple[
        str, ...
    ] = ()  # the media types of the files that it answers with, the first as the example; () is JSON


STATS, SITES, GOALS, LINKS = "Statistics", "Sites", "Goals", "Shared links"
_READ, _WRITE = (Scope.STATS_READ,), (Scope.SITES_WRITE,)
_EITHER = _READ + _WRITE

_SITE_ID = Parameter("site_id", "The site's domain.", example=SITE, required=True)
_DOMAIN = Parameter("domain", "The site's domain.", example=SITE, required=True, place="path")
_PERIOD_SCHEMA: Schema = {"anyOf": [ref("Period"), {"const": CUSTOM}], "default": parameters.DEFAULT_PERIOD}
_V1 = (
    _SITE_ID,
    Parameter("period", "A period of the query, or custom; counted from `date`.", _PERIOD_SCHEMA, example="7d"),
    Parameter(
        "date",
        "The day that the period is counted from, today when left off; of custom the first and the last day, "
        "such as 2026-01-01,2026-01-31.",
    ),
    Parameter("metrics", "Metrics of the query with commas between; visitors when left off.", example="visitors"),
    Parameter(
        "filters",
        "property==value, with ; between filters that must all hold and | between values of which one must. "
        "!= excludes, ~ contains, !~ contains not; * in a value stands for any text. A backslash before |, ; or * "
        "makes it an ordinary sign.",
        example="event:page==/blog/**;visit:source==Google|Bing",
    ),
    Parameter(
        "with_imported",
        "Changes nothing: there are no imported statistics.",
        {"type": "string", "enum": ["true", "false"]},
    ),
)
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
        name="query",
        tag=STATS,
        method="post",
        path="/api/v2/query",
        summary="Ask for any numbers of a site.",
        text="Without dimensions there is one result; else one for each combination of their values. The answer "
        "repeats the query as it was understood.",
        scopes=_READ,
        body=ref("Query"),
        sent={
            "site_id": SITE,
            "metrics": ["visitors", "bounce_rate"],
            "date_range": "7d",
            "dimensions": ["visit:source"],
            "filters": [["is", "visit:country", ["DE", "AT"]]],
            "pagination": {"limit": 2},
        },
        answers=ref("Answer"),
        answered={
            "results": [
                {"metrics": [1204, 41], "dimensions": ["Google"]},
                {"metrics": [980, 55], "dimensions": ["Direct / None"]},
            ],
            "meta": {},
            "query": {
                "site_id": SITE,
                "metrics": ["visitors", "bounce_rate"],
                "date_range": ["2026-01-24T00:00:00+01:00", "2026-01-30T23:59:59+01:00"],
                "filters": [["is", "visit:country", ["DE", "AT"]]],
                "dimensions": ["visit:source"],
                "order_by": [["visitors", "desc"], ["visit:source", "asc"]],
                "include": {},
                "pagination": {"limit": 2, "offset": 0},
            },
        },
    ),
    Operation(
        name="events",
        tag=STATS,
        method="get",
        path="/api/v1/export/events",
        summary="The raw events of a site as a file.",
        text="One row for each event, in the order in which they came, sent as they are read. docs/export.md explains "
        "the columns. The key's person owns the site or administers it.",
        scopes=_READ,
        parameters=(
            _SITE_ID,
            Parameter("format", "What the file is.", {"enum": list(FORMATS), "default": "ndjson"}, example="ndjson"),
            Parameter(
                "since", "The first day, in the site's zone, or an instant with its offset.", example="2026-01-01"
            ),
            Parameter("until", "The last day, or the instant before which they happened.", example="2026-01-31"),
        ),
        answers=TEXT,
        answered='{"id": 1, "occurred_at": "2026-01-31T10:00:00.123Z", "name": "pageview", "path": "/", ...}\n',
        files=tuple(FORMATS.values()),
    ),
    Operation(
        name="explain",
        tag=STATS,
        method="post",
        path="/api/v2/query/explain",
        summary="Explain the numbers of a query.",
        text="Takes what the query takes, and answers how its numbers come about: what each metric means, the filters "
        "in words, the period as instants, and the statements that the store was asked.",
        scopes=_READ,
        body=ref("Query"),
        sent={"site_id": SITE, "metrics": ["pageviews"], "date_range": "7d"},
        answers=ref("Explanation"),
        answered={
            "metrics": [
                {
                    "name": "pageviews",
                    "meaning": "events named `pageview`",
                    "rounding": "a whole number, half to even",
                    "counted": [{"name": "pageviews", "meaning": "events named `pageview`"}],
                }
            ],
            "dimensions": [],
            "filters": [],
            "goals": [],
            "order_by": [["pageviews", "desc"]],
            "period": {
                "first": "2026-01-24T00:00:00+01:00",
                "last": "2026-01-30T23:59:59.999+01:00",
                "timezone": "Europe/Berlin",
                "interval": "day",
            },
            "compared_with": None,
            "engine": "duckdb",
            "statements": [{"of": "rows", "meaning": "the rows of the answer", "sql": "SELECT count(*) FROM event"}],
            "computed_at": "2026-01-31T10:00:00.123+01:00",
            "cost_ms": 4.2,
        },
    ),
    Operation(
        name="currentVisitors",
        tag=STATS,
        method="get",
        path="/api/v1/stats/realtime/visitors",
        summary="How many visitors are on the site now.",
        text="Those of the last five minutes. The answer is a number and nothing else.",
        scopes=_READ,
        parameters=(_SITE_ID,),
        answers=COUNT,
        answered=21,
    ),
    Operation(
        name="aggregate",
        tag=STATS,
        method="get",
        path="/api/v1/stats/aggregate",
        summary="Metrics over a whole period.",
        scopes=_READ,
        parameters=(
            *_V1,
            Parameter(
                "compare",
                "Compare with the period before: adds its value, and the change in per cent (of a share in points).",
                {"const": "previous_period"},
                example="previous_period",
            ),
        ),
        answers=ref("Totals"),
        answered={"results": {"visitors": {"value": 1204, "comparison_value": 1102, "change": 9}}},
    ),
    Operation(
        name="timeseries",
        tag=STATS,
        method="get",
        path="/api/v1/stats/timeseries",
        summary="Metrics over time.",
        text="Every bucket of the period is there, in order, those without visitors included.",
        scopes=_READ,
        parameters=(
            *_V1,
            Parameter(
                "interval",
                "The length of a bucket. Left off: hours for a day, months for several months or a year, else days.",
                {"enum": list(parameters.INTERVALS)},
                example="day",
            ),
        ),
        answers=ref("Series"),
        answered={"results": [{"date": "2026-01-30", "visitors": 171}, {"date": "2026-01-31", "visitors": 0}]},
    ),
    Operation(
        name="breakdown",
        tag=STATS,
        method="get",
        path="/api/v1/stats/breakdown",
        summary="Metrics for each value of a property, largest first.",
        scopes=_READ,
        parameters=(
            *_V1,
            Parameter("property", "The dimension to break down by.", ref("Property"), "visit:source", required=True),
            Parameter(
                "limit",
                "How many rows at most.",
                {"type": "integer", "minimum": 1, "maximum": parameters.MAX_ROWS, "default": parameters.DEFAULT_ROWS},
                example=2,
            ),
            Parameter(
                "page",
                "Which page of so many rows, from 1.",
                {"type": "integer", "minimum": 1, "maximum": parameters.MAX_PAGE},
                example=1,
            ),
        ),
        answers=ref("Rows"),
        answered={"results": [{"source": "Google", "visitors": 1204}, {"source": "Bing", "visitors": 311}]},
    ),
    Operation(
        name="refusals",
        tag=STATS,
        method="get",
        path="/api/v1/refusals",
        summary="What was counted, and what was not and why.",
        scopes=_READ,
        parameters=(
            _SITE_ID,
            Parameter("period", "A period of the query, or custom.", {**_PERIOD_SCHEMA, "default": "24h"}, "day"),
            Parameter(
                "date", "With the period day a day; of custom the first and the last, such as 2026-01-01,2026-01-31."
            ),
        ),
        answers=ref("Refusals"),
        answered={
            "accepted": 73,
            "refused": 8,
            "reasons": [
                {
                    "reason": "bot",
                    "title": "Robot or program",
                    "count": 8,
                    "details": [{"detail": "GPTBot", "count": 5}],
                }
            ],
            "period": ["2026-01-31T00:00:00+01:00", "2026-01-31T23:59:59+01:00"],
            "interval": "hour",
            "series": [{"time": "2026-01-31T00:00:00", "accepted": 73, "refused": {"bot": 8}}],
        },
    ),
    Operation(
        name="listSites",
        tag=SITES,
        method="get",
        path="/api/v1/sites",
        summary="The sites you may see, the newest first.",
        scopes=_EITHER,
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
        scopes=_WRITE,
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
        scopes=_EITHER,
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
        scopes=_WRITE,
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
        scopes=_WRITE,
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
        scopes=_EITHER,
        parameters=(_SITE_ID, *_CURSORS),
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
        scopes=_WRITE,
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
        scopes=_WRITE,
        parameters=(_id("goal"), _SITE_ID),
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
        scopes=_WRITE,
        parameters=(_SITE_ID, *_CURSORS),
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
        scopes=_WRITE,
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
        scopes=_WRITE,
        parameters=(_id("link"), _SITE_ID),
        answers=ref("Deleted"),
        answered={"deleted": True},
        missing="The site has no such link.",
    ),
)
