"""`/api/docs`: the OpenAPI document as a page that people read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from haru.web.api.reference.openapi import document
from haru.web.api.reference.schemas import VOCABULARY

_WORDS = {"integer": "whole number", "boolean": "true or false", "string": "text"}
MAX_CHOICES = 8  # of a value that a row lists; more have a table of their own


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a table: a parameter, or a key of a body."""

    name: str
    place: str  # "path", "query" or "body"
    required: bool
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    name: str
    method: str
    path: str
    summary: str
    text: str
    fields: tuple[Field, ...]
    curl: str
    answer: str  # "" when it has no body
    statuses: tuple[tuple[str, str], ...]


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page. It holds no secret, so it is open to everyone."""
    described = document()
    groups = []
    for tag in described["tags"]:
        shown = [one for one in _operations(described) if tag["name"] in one[0]]
        groups.append({"name": tag["name"], "text": tag["description"], "operations": [one[1] for one in shown]})
    return render(request, "api/docs.html", {"groups": groups, "words": VOCABULARY, "base": settings.BASE_URL})


def _operations(described: dict[str, Any]) -> Iterator[tuple[list[str], Operation]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield (
                operation["tags"],
                Operation(
                    name=operation["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=operation["summary"],
                    text=operation.get("description", ""),
                    fields=tuple(_fields(described, operation)),
                    curl=_curl(path, method, operation),
                    answer=_answer(operation),
                    statuses=tuple(
                        (status, response["description"]) for status, response in operation["responses"].items()
                    ),
                ),
            )


def _fields(described: dict[str, Any], operation: dict[str, Any]) -> Iterator[Field]:
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        yield Field(parameter["name"], parameter["in"], parameter["required"], _type(schema), parameter["description"])
    body = _body(operation)
    if body is None:
        return
    yield from _keys(_resolved(described, body["schema"]), "")


def _keys(schema: dict[str, Any], before: str) -> Iterator[Field]:
    """The keys of an object, those of the objects in it as `include.total_rows`."""
    for name, value in schema["properties"].items():
        if "properties" in value and value.get("type") == "object":
            yield from _keys(value, f"{before}{name}.")
        else:
            required = name in schema.get("required", [])
            yield Field(before + name, "body", required, _type(value), value.get("description", ""))


def _body(operation: dict[str, Any]) -> dict[str, Any] | None:
    content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json")


def _resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _type(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"])) if len(schema["enum"]) <= MAX_CHOICES else "name"
    if "anyOf" in schema:
        kinds = dict.fromkeys(_type(one) for one in schema["anyOf"] if one != {"type": "null"})
        return " or ".join(kinds)
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(kind, list):
        return " or ".join(str(_WORDS.get(one, one)) for one in kind)
    return str(schema.get("format") or _WORDS.get(kind, kind))


def _curl(path: str, method: str, operation: dict[str, Any]) -> str:
    given = [parameter for parameter in operation.get("parameters", []) if "example" in parameter]
    for parameter in given:
        path = path.replace(f"{{{parameter['name']}}}", quote(str(parameter["example"])))
    query = urlencode([(one["name"], one["example"]) for one in given if one["in"] == "query"], safe=":,/")
    address = f"{settings.BASE_URL}{path}{'?' + query if query else ''}"
    words = ["curl", *([] if method == "get" else ["-X", method.upper()]), shlex.quote(address)]
    if operation.get("security"):
        secret = "SITE_TOKEN" if operation["operationId"] == "collect" else "API_KEY"
        words += ["\\\n ", "-H", f"'Authorization: Bearer {secret}'"]
    body = _body(operation)
    if body is not None:
        sent = body.get("example", {"p": "/hello"})
        words += ["\\\n ", "-H", "'Content-Type: application/json'"]
        words += ["\\\n ", "-d", shlex.quote(json.dumps(sent, ensure_ascii=False))]
    return " ".join(words)


def _answer(operation: dict[str, Any]) -> str:
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    return json.dumps(content["example"], ensure_ascii=False, indent=2) if "example" in content else ""
