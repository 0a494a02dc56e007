"""The shapes of what is asked and answered, as JSON Schema; what a table of the stats holds is taken from the table."""

from __future__ import annotations

from typing import Any

from haru.events.refusals import Refusal
from haru.stats import bounds, suggestions
from haru.stats.query import MAX_ROWS
from haru.stats.trees import SEGMENT
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.dimensions import DIMENSIONS, PROPERTIES, PROPERTY, Level
from haru.stats.vocabulary.filters import DONE, JOINERS, OPERATORS
from haru.stats.vocabulary.metrics import METRICS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
DATE: Schema = {"type": "string", "format": "date"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}


# The names that a query is made of, and what they mean, by the schema that has them.
VOCABULARY: dict[str, dict[str, str]] = {
    "Metric": {name: metric.meaning for name, metric in METRICS.items()},
    "Dimension": {
        **{name: dimension.meaning for name, dimension in DIMENSIONS.items()},
        PROPERTIES.name: PROPERTIES.meaning.replace("<key>", "of that key"),
    },
    "Period": {
        **periods.NAMES,
        "<n>d": "the n days before today",
        "<n>mo": "the n calendar months before this one",
    },
    "Filter": {**OPERATORS, **JOINERS, **DONE},
}


def ref(name: str) -> Schema:
    """A schema of `SCHEMAS` by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, optional: Schema | None = None, **more: Any) -> Schema:
    """An object with these keys and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
        **more,
    }


def array(of: Schema, **more: Any) -> Schema:
    """A list."""
    return {"type": "array", "items": of, **more}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def _pair(first: Schema, second: Schema, *more: Schema) -> Schema:
    items = [first, second, *more]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items), "maxItems": len(items)}


def _both(ends: Schema) -> Schema:
    return array(ends, minItems=2, maxItems=2)


def _meanings(name: str) -> str:
    return "; ".join(f"`{word}`: {meaning}" for word, meaning in VOCABULARY[name].items())


_TIMES = [name for name, dimension in DIMENSIONS.items() if dimension.level is Level.TIME]
_PROPERTY: Schema = {"type": "string", "pattern": "^event:props:.+$", "description": "A property of events."}
_PERIOD: Schema = {
    "anyOf": [
        {"enum": list(periods.NAMES)},
        {"type": "string", "pattern": "^[1-9][0-9]{0,3}(d|mo)$"},
    ],
    "description": _meanings("Period"),
}
_RANGE: Schema = {
    "anyOf": [_both(DATE), _both(INSTANT)],
    "description": "The first and the last: two days, or two instants with their offset.",
}
_FLAG: Schema = {"type": "boolean", "default": False}
_BOTH_ENDS = _both(INSTANT)
_CURSOR = nullable(TEXT)
_CLAUSES = array({**TEXT, "maxLength": bounds.MAX_CLAUSE}, minItems=1, maxItems=bounds.MAX_CLAUSES)
_ANSWERED: Schema = {
    "metrics": array(ref("Value"), description="In the order of the query's."),
    "dimensions": array({"type": ["string", "integer"]}, description="In the order of the query's."),
}

SCHEMAS: dict[str, Schema] = {
    "Error": record({"error": {**TEXT, "description": "What is wrong; of a 400 each fault with its path."}}),
    "Metric": {
        "type": "string",
        "enum": list(METRICS),
        "description": _meanings("Metric"),
    },
    "Dimension": {
        "anyOf": [{"enum": list(DIMENSIONS)}, _PROPERTY],
        "description": _meanings("Dimension"),
    },
    "Property": {
        "anyOf": [{"enum": [name for name in DIMENSIONS if name not in _TIMES]}, _PROPERTY],
        "description": "A dimension that is not of time.",
    },
    "Suggested": {
        "anyOf": [ref("Property"), {"const": PROPERTY}],
        "description": f"A dimension that can be filtered by; `{PROPERTY}` stands for the keys of properties.",
    },
    "Period": _PERIOD,
    "Filter": {
        "description": _meanings("Filter"),
        "anyOf": [
            _pair({"enum": list(OPERATORS)}, ref("Property"), _CLAUSES),
            _pair(
                {"enum": list(OPERATORS)},
                ref("Property"),
                _CLAUSES,
                record({}, {"case_sensitive": _FLAG}),
            ),
            _pair(
                {"const": "is"},
                {"const": SEGMENT, "description": "One of these segments holds: their ids."},
                array({"type": ["integer", "string"]}, minItems=1),
            ),
            _pair({"enum": [name for name in JOINERS if name != "not"]}, array(ref("Filter"), minItems=1)),
            _pair({"enum": ["not", *DONE]}, ref("Filter")),
        ],
    },
    "Query": record(
        {
            "site_id": {**TEXT, "description": "The site's domain."},
            "metrics": array(
                ref("Metric"),
                minItems=1,
                maxItems=bounds.MAX_METRICS,
                uniqueItems=True,
                description="At least one, none twice.",
            ),
            "date_range": {"anyOf": [ref("Period"), _RANGE], "description": "A name, or the first and the last."},
        },
        {
            "dimensions": array(
                ref("Dimension"), maxItems=bounds.MAX_DIMENSIONS, uniqueItems=True, description="At most one of time."
            ),
            "filters": array(
                ref("Filter"),
                description=f"All of them must hold. Together at most {bounds.MAX_LEAVES} comparisons with "
                f"{bounds.MAX_CLAUSES:,} clauses, of these {bounds.MAX_PATTERNS} regular expressions of at most "
                f"{bounds.MAX_PATTERN_BYTES} bytes, {bounds.MAX_DEPTH} levels deep.",
            ),
            "order_by": array(
                _pair({"anyOf": [ref("Metric"), ref("Dimension")]}, {"enum": ["asc", "desc"]}),
                maxItems=bounds.MAX_ORDERS,
                description="Metrics and dimensions of this query.",
            ),
            "include": record(
                {},
                {
                    "imports": {**_FLAG, "description": "Whether imported statistics are counted: there are none."},
                    "time_labels": {**_FLAG, "description": "The label of every bucket; needs a dimension of time."},
                    "total_rows": {**_FLAG, "description": "How many rows there are before pagination."},
                    "comparisons": record(
                        {"mode": {"enum": list(periods.MODES), "description": "What it is compared with."}},
                        {
                            "date_range": {**_RANGE, "description": "Of the mode custom."},
                            "match_day_of_week": {**_FLAG, "description": "Begin on the same day of the week."},
                            "to_now": {
                                **_FLAG,
                                "description": "While the period still runs, compare it with the same part.",
                            },
                        },
                    ),
                },
            ),
            "pagination": record(
                {},
                {
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": MAX_ROWS},
                    "offset": {**COUNT, "maximum": 2**53 - 1, "default": 0},
                },
            ),
        },
    ),
    "Value": {
        "description": "A number; null where there is no data; of revenue an amount, or a list with one of each "
        "currency where the answer has several.",
        "anyOf": [{"type": "number"}, {"type": "null"}, ref("Amount"), array(ref("Amount"))],
    },
    "Amount": record(
        {
            "currency": {**TEXT, "description": "ISO 4217."},
            "value": {"type": "number"},
            "short": {**TEXT, "description": "Such as €12.5K."},
            "long": {**TEXT, "description": "Such as €12,500.00."},
        }
    ),
    "Change": {
        "description": "In per cent, of a rate in points; null where there is none, as for several currencies.",
        "type": ["number", "null"],
    },
    "Explanation": record(
        {
            "metrics": array(
                record(
                    {
                        "name": TEXT,
                        "meaning": TEXT,
                        "rounding": TEXT,
                        "counted": array(record({"name": TEXT, "meaning": TEXT})),
                    }
                )
            ),
            "dimensions": array(record({"name": TEXT, "meaning": TEXT})),
            "filters": array(record({"filter": array({}), "words": TEXT}), description="As understood, and in words."),
            "goals": array(record({"name": TEXT, "reached_by": TEXT})),
            "order_by": array(array(TEXT)),
            "period": record({"first": INSTANT, "last": INSTANT, "timezone": TEXT, "interval": TEXT}),
            "compared_with": nullable(record({"first": INSTANT, "last": INSTANT})),
            "engine": {**TEXT, "description": "The event store."},
            "statements": array(
                record({"of": TEXT, "meaning": TEXT, "sql": TEXT}), description="What the store was asked."
            ),
            "computed_at": INSTANT,
            "cost_ms": {"type": "number", "description": "What the answer took when it was computed."},
        }
    ),
    "Answer": record(
        {
            "results": array(
                record(
                    _ANSWERED,
                    {"comparison": nullable(record({**_ANSWERED, "change": array(ref("Change"))}))},
                )
            ),
            "meta": record(
                {},
                {
                    "imports_included": {"type": "boolean"},
                    "time_labels": array(TEXT),
                    "total_rows": nullable(COUNT),
                },
            ),
            "query": {"type": "object", "description": "The query as it was understood."},
        }
    ),
    "Suggestions": record(
        {
            "results": array(
                record(
                    {
                        "value": {**TEXT, "description": "What a filter takes; of a property its dimension."},
                        "label": {**TEXT, "description": "How it is shown, such as the name of a country."},
                        "visitors": COUNT,
                    }
                ),
                maxItems=suggestions.MAX,
            )
        }
    ),
    "Refusals": record(
        {
            "accepted": COUNT,
            "refused": COUNT,
            "reasons": array(
                record(
                    {
                        "reason": {**TEXT, "description": "One of " + ", ".join(f"`{reason}`" for reason in Refusal)},
                        "title": TEXT,
                        "count": COUNT,
                        "details": array(record({"detail": TEXT, "count": COUNT})),
                    }
                )
            ),
            "period": _BOTH_ENDS,
            "interval": {"enum": ["hour", "day", "week", "month"]},
            "series": array(
                record({"time": TEXT, "accepted": COUNT, "refused": {"type": "object", "additionalProperties": COUNT}})
            ),
        }
    ),
    "Totals": record(
        {
            "results": {
                "type": "object",
                "description": "By metric.",
                "additionalProperties": record(
                    {"value": ref("Value")},
                    {"comparison_value": ref("Value"), "change": ref("Change")},
                ),
            }
        }
    ),
    "Series": record(
        {
            "results": array(
                {
                    "type": "object",
                    "required": ["date"],
                    "properties": {"date": TEXT},
                    "additionalProperties": ref("Value"),
                }
            )
        }
    ),
    "Rows": record({"results": array({"type": "object", "description": "The property's value and the metrics."})}),
    "Site": record(
        {"domain": TEXT, "timezone": {**TEXT, "description": "As the IANA names it."}},
        {"token": {**TEXT, "description": "Of the snippet; for those who may change the site."}},
    ),
    "Meta": record({"after": _CURSOR, "before": _CURSOR, "limit": {"type": "integer"}}),
    "Goal": record(
        {
            "id": {"type": "integer"},
            "display_name": TEXT,
            "goal_type": {"enum": ["event", "page", "scroll"]},
            "event_name": nullable(TEXT),
            "page_path": nullable(TEXT),
            "scroll_threshold": nullable({"type": "integer"}),
            "currency": nullable(TEXT),
        },
        {"domain": TEXT},
    ),
    "Segment": record(
        {
            "id": {"type": "integer"},
            "name": TEXT,
            "personal": {"type": "boolean", "description": "Whether it is yours alone; else it is the site's."},
            "filters": array(ref("Filter")),
            "created_at": INSTANT,
        }
    ),
    "Annotation": record(
        {
            "id": {"type": "integer"},
            "at": {**INSTANT, "description": "In the site's zone."},
            "text": TEXT,
            "personal": {"type": "boolean", "description": "Whether it is yours alone; else it is the site's."},
            "created_at": INSTANT,
        }
    ),
    "SharedLink": record(
        {
            "id": {"type": "integer"},
            "name": TEXT,
            "url": {**TEXT, "format": "uri"},
            "has_password": {"type": "boolean"},
            "created_at": INSTANT,
        }
    ),
    "Deleted": record({"deleted": {"const": True}}),
}
