"""The collect door as an OpenAPI 3.1 description: for readers and for the tests that attack it."""

from __future__ import annotations

from typing import Any

from haru import __version__
from haru.collect.formats import format, haru
from haru.events.refusals import Refusal

_TEXT = {"type": "string"}


def _optional(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["p"],
    "properties": {
        "p": {"type": "string", "minLength": 1, "description": "Path or URL of the page; at most 2,000 bytes."},
        "n": _optional({**_TEXT, "maxLength": 120}, "Name of the event; pageview when absent."),
        "r": _optional(_TEXT, "Referrer; cut at 2,000 bytes."),
        "sw": _optional({"type": "integer", "minimum": 0, "maximum": 32_767}, "Width of the screen, pixels."),
        "sh": _optional({"type": "integer", "minimum": 0, "maximum": 32_767}, "Height of the screen, pixels."),
        "h": _optional(_TEXT, "Host name; else that of p or of the Origin header."),
        "tz": _optional(_TEXT, "The browser's time zone, a hint for the country; never stored."),
        "id": _optional({**_TEXT, "maxLength": 64}, "Idempotency key: counts once for a site in 24 hours."),
        "i": _optional({"type": "boolean"}, "false keeps a custom event from ending a bounce."),
        "e": _optional({"type": "integer", "minimum": 0}, "Engaged milliseconds since the engagement event before."),
        "sd": _optional({"type": "integer", "minimum": 0, "maximum": 100}, "Deepest scroll so far, percent."),
        "d": _optional(
            {
                "type": "object",
                "maxProperties": haru.MAX_PROPS,
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            },
            "Properties.",
        ),
        "$": _optional(
            {
                "type": "object",
                "required": ["currency", "amount"],
                "properties": {"currency": _TEXT, "amount": {"type": ["string", "number"]}},
            },
            "Revenue.",
        ),
    },
}

_ERROR = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["error"],
            "additionalProperties": False,
            "properties": {"error": {"type": "string", "pattern": "^[^:]+: .+"}},
        }
    }
}
_DROPPED = {
    "x-haru-dropped": {
        "description": "Why the request is not counted.",
        "schema": {"type": "string", "enum": [reason.value for reason in Refusal]},
    }
}
_RETRY = {
    "retry-after": {
        "description": "Seconds to wait before sending again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


def _fault(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "content": _ERROR, "headers": headers or {}}


def document() -> dict[str, Any]:
    """The description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Haru: collecting events", "version": __version__},
        "paths": {
            "/api/collect": {
                "post": {
                    "operationId": "collect",
                    "summary": "Count one event.",
                    "security": [{"header": []}, {"query": []}],
                    "requestBody": {
                        "required": True,
                        "content": {kind: {"schema": _BODY} for kind in ("application/json", "text/plain")},
                    },
                    "responses": {
                        "200": {"description": "On disk; or not counted, then a header says why.", "headers": _DROPPED},
                        "400": _fault("A field is faulty.", _DROPPED),
                        "401": _fault("No site has the token.", _DROPPED),
                        "413": _fault(f"The body is larger than {format.MAX_BODY_BYTES // 1024} KiB.", _DROPPED),
                        "429": _fault("Too many requests from the address.", {**_DROPPED, **_RETRY}),
                        "503": _fault("The disk refuses, or the spool is full: nothing was written.", _RETRY),
                    },
                },
                "options": {
                    "operationId": "collectPreflight",
                    "summary": "What a browser asks before it sends from another site.",
                    "responses": {"204": {"description": "It may."}},
                },
            }
        },
        "components": {
            "securitySchemes": {
                "header": {"type": "http", "scheme": "bearer", "description": "The site's token."},
                "query": {"type": "apiKey", "in": "query", "name": "t", "description": "The site's token."},
            }
        },
    }
