"""The collect endpoint as an OpenAPI 3.1 description: for readers and for the tests that attack it.

The struct that validates a body describes it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from haru import __version__
from haru.collect.formats import format, haru
from haru.events.refusals import Refusal

(_BODY,), SCHEMAS = msgspec.json.schema_components([haru.EventBody], ref_template="#/components/schemas/{name}")

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
            "schemas": SCHEMAS,
            "securitySchemes": {
                "header": {"type": "http", "scheme": "bearer", "description": "The site's token."},
                "query": {"type": "apiKey", "in": "query", "name": "t", "description": "The site's token."},
            },
        },
    }
