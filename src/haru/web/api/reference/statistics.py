"""The operations that answer numbers, for a key that may read statistics."""

from __future__ import annotations

from collections.abc import Sequence

from haru.stats import bounds
from haru.transfer.export import FORMATS
from haru.web.api.reference.operation import READ, SITE, SITE_ID, STATS, Operation, Parameter
from haru.web.api.reference.schemas import COUNT, TEXT, Schema, ref
from haru.web.api.v1 import parameters
from haru.web.dashboard.state import CUSTOM

_PERIOD_SCHEMA: Schema = {"anyOf": [ref("Period"), {"const": CUSTOM}], "default": parameters.DEFAULT_PERIOD}
_V1 = (
    SITE_ID,
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
OPERATIONS: Sequence[Operation] = (
    Operation(
        name="query",
        tag=STATS,
        method="post",
        path="/api/v2/query",
        summary="Ask for any numbers of a site.",
        text="Without dimensions there is one result; else one for each combination of their values. The answer "
        "repeats the query as it was understood.",
        scopes=READ,
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
        scopes=READ,
        parameters=(
            SITE_ID,
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
        scopes=READ,
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
        name="suggestions",
        tag=STATS,
        method="get",
        path="/api/v2/suggestions",
        summary="Values of a dimension for a text that is being typed.",
        text="For menus of filters: those whose label contains the text, in upper or lower case, or that are the text, "
        "the values of most visitors first. Of event:goal every goal of the site; of event:props:, without a key, the "
        "properties themselves.",
        scopes=READ,
        parameters=(
            SITE_ID,
            Parameter("dimension", "What is filtered by.", ref("Suggested"), "visit:country", required=True),
            Parameter(
                "date_range",
                "As in the query; that of two ends as JSON.",
                example="7d",
                required=True,
            ),
            Parameter("prefix", "What was typed.", {**TEXT, "maxLength": bounds.MAX_CLAUSE}, example="ger"),
            Parameter("filters", "As in the query, as JSON.", example='[["is", "visit:source", ["Google"]]]'),
        ),
        answers=ref("Suggestions"),
        answered={"results": [{"value": "DE", "label": "Germany", "visitors": 311}]},
    ),
    Operation(
        name="currentVisitors",
        tag=STATS,
        method="get",
        path="/api/v1/stats/realtime/visitors",
        summary="How many visitors are on the site now.",
        text="Those of the last five minutes. The answer is a number and nothing else.",
        scopes=READ,
        parameters=(SITE_ID,),
        answers=COUNT,
        answered=21,
    ),
    Operation(
        name="aggregate",
        tag=STATS,
        method="get",
        path="/api/v1/stats/aggregate",
        summary="Metrics over a whole period.",
        scopes=READ,
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
        scopes=READ,
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
        scopes=READ,
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
        scopes=READ,
        parameters=(
            SITE_ID,
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
)
