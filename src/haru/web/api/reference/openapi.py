"""Everything below /api as an OpenAPI 3.1 document, for readers, for programs, and for the tests that attack it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from haru import __version__
from haru.collect import openapi as collect
from haru.web.api import bodies
from haru.web.api.endpoint import not_allowed
from haru.web.api.reference.operation import ANNOTATIONS, GOALS, LINKS, SEGMENTS, SITES, STATS, Operation, Parameter
from haru.web.api.reference.operations import OPERATIONS
from haru.web.api.reference.schemas import SCHEMAS, ref

EVENTS, SELF = "Events", "This document"
TAGS = {
    STATS: "Numbers of a site, for a key that may read statistics.",
    SITES: "The sites of the key's owner.",
    GOALS: "What a site's people want visitors to do.",
    SEGMENTS: "Filters under a name, of a site or of one person.",
    ANNOTATIONS: "Notes at an instant, of a site or of one person.",
    LINKS: "Dashboards for people without an account.",
    EVENTS: "Where events come in. It takes a site's token, not a key.",
    SELF: "What you are reading, for programs.",
}
_RETRY = {
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_ERROR = {"application/json": {"schema": ref("Error")}}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def openapi(request: HttpRequest) -> HttpResponse:
    """The document. It holds no secret, so it is open to everyone."""
    if request.method not in {"GET", "HEAD"}:
        return not_allowed(["GET"]).response
    return JsonResponse(document())


@cache
def document() -> dict[str, Any]:
    """The document. It is shared: not to be changed."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    described = collect.document()
    for path, operations in described["paths"].items():
        paths[path] = {method: {"tags": [EVENTS], **one} for method, one in operations.items()}
    paths["/api/openapi.json"] = {
        "get": {
            "tags": [SELF],
            "operationId": "openapi",
            "summary": "Everything below /api as an OpenAPI document.",
            "responses": {
                "200": {
                    "description": "The document.",
                    "content": {"application/json": {"schema": {"type": "object", "required": ["openapi", "paths"]}}},
                }
            },
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Haru",
            "version": __version__,
            "summary": "Numbers, sites, goals, segments, annotations, shared links and events of a Haru server.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **bodies.SCHEMAS, **described["components"]["schemas"]},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, made on the page of an account.",
                },
                **described["components"]["securitySchemes"],
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    may = " or ".join(f"`{scope.value}`" for scope in operation.scopes)
    written: dict[str, Any] = {
        "tags": [operation.tag],
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{operation.text} Needs a key of scope {may}.".strip(),
        "security": [{"key": []}],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        kinds = ("application/json", *(_FORMS if operation.form else ()))
        shape = {"schema": operation.body, "example": operation.sent}
        written["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, shape)}
    return written


def _parameter(parameter: Parameter) -> dict[str, Any]:
    written = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": parameter.schema,
    }
    return written if parameter.example is None else {**written, "example": parameter.example}


def _responses(operation: Operation) -> dict[str, Any]:
    fine = {"schema": operation.answers, "example": operation.answered}
    kinds = operation.files or ("application/json",)
    content: dict[str, Any] = {kind: fine if kind == kinds[0] else {} for kind in kinds}
    responses: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    if operation.body is not None or any(parameter.place == "query" for parameter in operation.parameters):
        responses["400"] = _fault("Something in it is faulty: every fault, with its path. Or it needs too much memory.")
    responses["401"] = _fault("No valid key, or no such site for it: the same sentence for both.")
    if operation.missing:
        responses["404"] = _fault(operation.missing)
    if operation.body is not None:
        responses["413"] = _fault("The body is too large, or the answer would be.")
    responses["429"] = _fault("The key asks too often.", _RETRY)
    responses["503"] = _fault("A database does not answer just now.", _RETRY)
    return responses


def _fault(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "content": _ERROR, **({"headers": headers} if headers else {})}
