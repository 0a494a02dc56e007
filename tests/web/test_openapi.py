"""The description of the API: complete, with examples that hold, and read by people on a page of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.urls import URLPattern, get_resolver

from haru.accounts.models import OFFERED_SCOPES, ApiKey, Scope
from haru.live import Live
from haru.sites import annotations as notes
from haru.sites import goals, links, segments
from haru.sites.models import Annotation, Goal, Segment, SharedLink
from haru.stats.answers import Reports
from haru.stats.query import KEYS, parse
from haru.stats.vocabulary.dimensions import DIMENSIONS
from haru.stats.vocabulary.filters import DONE, JOINERS, OPERATORS
from haru.stats.vocabulary.metrics import METRICS
from haru.web.api.reference.openapi import document
from haru.web.api.reference.operation import Operation
from haru.web.api.reference.operations import OPERATIONS
from haru.web.project import services
from haru.web.templatetags.marks import marked
from tests.stats.made import filled

DOCUMENT = document()
# Answered by others than Django: `haru.server.application` routes them.
OF_COLLECT = {"/api/collect"}
PAGES = {"/api/docs"}  # for people


def schema(of: dict[str, Any]) -> jsonschema_rs.Validator:
    """A validator of a schema of the document."""
    return jsonschema_rs.Draft202012Validator({**of, "components": DOCUMENT["components"]}, validate_formats=True)


def routes() -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern) and str(pattern.pattern).startswith("api/"):
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern)).replace("{pk}", "{id}")


@pytest.fixture
def served(site):
    """A site with a goal and a link, whose ids the examples have, and services without events."""
    goals.add_goal(site, event="Signup")
    links.add_link(site, "Press")
    Goal.objects.update(id=1)
    SharedLink.objects.update(id=1)
    segments.add(site, None, "Germans", [["is", "visit:country", ["DE"]]])
    Segment.objects.update(id=1)
    notes.add(site, None, "2026-01-31T10:00:00+01:00", "New home page")
    Annotation.objects.update(id=1)
    services.use(
        services.Services(
            reports=Reports(filled([])),
            live=Live(),
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
            events=lambda *_: iter([b"{}\n"]),
        )
    )
    yield
    services.use(None)


def test_every_route_below_api_is_described_and_no_other() -> None:
    assert set(routes()) | OF_COLLECT == set(DOCUMENT["paths"]) | PAGES


def test_every_method_of_a_route_is_described(client, db) -> None:
    for path, methods in DOCUMENT["paths"].items():
        if path in OF_COLLECT:
            continue
        answer = client.patch(re.sub(r"\{\w+\}", "1", path))
        assert answer.status_code == 405
        assert set(answer.json()) == {"error"}
        assert set(answer.headers["Allow"].lower().split(", ")) - {"head"} == set(methods), path


def test_the_document_keeps_to_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    names = [one["operationId"] for methods in DOCUMENT["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    text = json.dumps(DOCUMENT)
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert name in DOCUMENT["components"]["schemas"]
    for methods in DOCUMENT["paths"].values():
        for one in methods.values():
            assert {"tags", "operationId", "summary", "responses"} <= set(one)
            for requirement in one.get("security", []):
                assert set(requirement) <= set(DOCUMENT["components"]["securitySchemes"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_example_is_as_its_schemas_say(operation: Operation) -> None:
    schema(operation.answers).validate(operation.answered)
    if operation.body is not None:
        schema(operation.body).validate(operation.sent)
    for parameter in operation.parameters:
        if parameter.example is not None:
            schema(parameter.schema).validate(parameter.example)
    inside = re.findall(r"\{(\w+)\}", operation.path)
    assert [one.name for one in operation.parameters if one.place == "path"] == inside


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_example_is_answered_in_the_shape_that_is_described(client, owner, served, operation: Operation) -> None:
    _, key = ApiKey.create(owner, "test", Scope.values)
    given = {one.name: one.example for one in operation.parameters if one.example is not None}
    path = operation.path.format(**given)
    query = {one.name: one.example for one in operation.parameters if one.place == "query" and one.name in given}
    options: dict[str, Any] = {"headers": {"Authorization": f"Bearer {key}"}, "query_params": query}
    if operation.sent is not None:
        options |= {"data": operation.sent, "content_type": "application/json"}
    answer = getattr(client, operation.method)(path, **options)
    assert answer.status_code == 200, answer.content
    if operation.files:
        assert answer.headers["Content-Type"] == operation.files[0]
        schema(operation.answers).validate(b"".join(answer.streaming_content).decode())
        return
    schema(operation.answers).validate(answer.json())
    if isinstance(operation.answered, dict):
        assert set(answer.json()) == set(operation.answered)


SITE = {"domain": "new.example"}
EVENT = {"site_id": "example.com", "goal_type": "event", "event_name": "A"}
PAGE = {"site_id": "example.com", "goal_type": "page", "page_path": "/a", "display_name": "A"}
SCROLL = {"site_id": "example.com", "goal_type": "scroll", "page_path": "/a", "scroll_threshold": 50}
LINK = {"site_id": "example.com", "name": "A"}
LONG = "/" + "x" * 499


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("addSite", SITE, {"timezone": "UTC"}),
        ("addSite", SITE, {"domain": ""}),
        ("addSite", SITE, {"domain": 7}),
        ("addSite", {"domain": "https://new.example/" + "x" * 1980}, {"domain": "https://new.example/" + "x" * 1981}),
        ("addSite", {**SITE, "timezone": "Asia/Tokyo"}, {**SITE, "timezone": 7}),
        ("addSite", SITE, {**SITE, "surprise": "1"}),
        ("changeSite", {"timezone": "UTC"}, {}),
        ("changeSite", SITE, {"domain": "https://new.example/" + "x" * 1981}),
        ("changeSite", {**SITE, "timezone": "UTC"}, {**SITE, "surprise": "1"}),
        ("putGoal", EVENT, {**EVENT, "site_id": ""}),
        ("putGoal", EVENT, {**EVENT, "goal_type": "click"}),
        ("putGoal", {**EVENT, "event_name": "x" * 120}, {**EVENT, "event_name": "x" * 121}),
        ("putGoal", {**EVENT, "display_name": "x" * 120}, {**EVENT, "display_name": "x" * 121}),
        ("putGoal", {**EVENT, "currency": "eur"}, {**EVENT, "currency": "EURO"}),
        ("putGoal", {**EVENT, "currency": "EUR"}, {**EVENT, "currency": "E1R"}),
        ("putGoal", PAGE, {**PAGE, "page_path": "a"}),
        ("putGoal", {**PAGE, "page_path": LONG}, {**PAGE, "page_path": LONG + "x"}),
        (
            "putGoal",
            {**PAGE, "page_path": None, "page_pattern": LONG},
            {**PAGE, "page_path": None, "page_pattern": "a"},
        ),
        ("putGoal", PAGE, {**PAGE, "page_path": None, "page_pattern": LONG + "x"}),
        ("putGoal", {**SCROLL, "scroll_threshold": 0}, {**SCROLL, "scroll_threshold": -1}),
        ("putGoal", {**SCROLL, "scroll_threshold": 100}, {**SCROLL, "scroll_threshold": 101}),
        ("putGoal", SCROLL, {**SCROLL, "scroll_threshold": 5.5}),
        ("putSharedLink", LINK, {"site_id": "example.com"}),
        ("putSharedLink", LINK, {**LINK, "name": ""}),
        ("putSharedLink", {**LINK, "name": "x" * 100}, {**LINK, "name": "x" * 101}),
        ("putSharedLink", {**LINK, "password": "x" * 1000}, {**LINK, "password": "x" * 1001}),
    ],
)
def test_each_limit_of_a_body_is_described(client, owner, served, name: str, within, beyond) -> None:
    (operation,) = [one for one in OPERATIONS if one.name == name]
    _, key = ApiKey.create(owner, "test", ["sites:write"])
    path = operation.path.format(domain="example.com")
    described = schema(operation.body)
    for body, status in ((beyond, 400), (within, 200)):
        options = {"headers": {"Authorization": f"Bearer {key}"}, "content_type": "application/json"}
        assert getattr(client, operation.method)(path, data=body, **options).status_code == status
        assert described.is_valid(body) is (status == 200), body


@pytest.mark.parametrize(("name", "parameter"), [("breakdown", "limit"), ("breakdown", "page"), ("listSites", "limit")])
def test_the_ends_of_a_number_are_described(client, owner, served, name: str, parameter: str) -> None:
    (operation,) = [one for one in OPERATIONS if one.name == name]
    (of,) = [one.schema for one in operation.parameters if one.name == parameter]
    _, key = ApiKey.create(owner, "test", Scope.values)
    given = {one.name: one.example for one in operation.parameters if one.example is not None}
    for number in (of["minimum"] - 1, of["minimum"], of["maximum"], of["maximum"] + 1):
        query = {**given, parameter: number}
        answer = client.get(operation.path, query_params=query, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code == 200) is schema(of).is_valid(number), number


def test_the_words_are_those_of_the_tables() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Metric"]["enum"] == list(METRICS)
    assert schemas["Dimension"]["anyOf"][0]["enum"] == list(DIMENSIONS)
    for word in (*METRICS, *DIMENSIONS, *OPERATORS, *JOINERS, *DONE):
        assert f"`{word}`" in json.dumps(schemas)
    assert set(schemas["Query"]["properties"]) == set(KEYS)


@pytest.mark.parametrize(
    "query",
    [
        {"metrics": ["visitors"], "date_range": "30d"},
        {"metrics": ["visitors"], "date_range": ["2026-01-01", "2026-01-31"], "dimensions": ["time:day"]},
        {
            "metrics": ["visitors", "percentage"],
            "date_range": ["2026-01-01T00:00:00Z", "2026-01-31T00:00:00+01:00"],
            "filters": [
                [
                    "or",
                    [["is", "event:page", ["/"]], ["not", ["contains", "visit:os", ["x"], {"case_sensitive": False}]]],
                ]
            ],
            "order_by": [["visitors", "desc"]],
            "include": {
                "total_rows": True,
                "comparisons": {"mode": "year_over_year", "match_day_of_week": True, "to_now": True},
            },
            "pagination": {"limit": 1, "offset": 3},
        },
    ],
)
def test_the_schema_of_the_query_takes_what_the_parser_takes(query) -> None:
    parse(query)
    schema(DOCUMENT["components"]["schemas"]["Query"]).validate({"site_id": "example.com", **query})


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": []},
        {"metrics": ["x"]},
        {"date_range": "fortnight"},
        {"date_range": ["2026-01-01"]},
        {"filters": [["is", "time:day", ["x"]]]},
        {"filters": [["resembles", "event:page", ["x"]]]},
        {"filters": [["not", []]]},
        {"order_by": [["visitors", "up"]]},
        {"pagination": {"limit": 0}},
        {"surprise": 1},
    ],
)
def test_the_schema_of_the_query_refuses_what_the_parser_refuses(change) -> None:
    query = {"metrics": ["visitors"], "date_range": "30d", **change}
    with pytest.raises(Exception, match="#/"):
        parse(query)
    assert not schema(DOCUMENT["components"]["schemas"]["Query"]).is_valid({"site_id": "example.com", **query})


def test_the_document_is_open_to_everyone(client) -> None:
    answer = client.get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize("who", ["owner", None])
def test_the_page_shows_every_operation_and_every_word(request, db, sign_in, who) -> None:
    answer = sign_in(request.getfixturevalue(who) if who else None).get("/api/docs")
    html = answer.content.decode()
    assert answer.status_code == 200
    for path, methods in DOCUMENT["paths"].items():
        assert f">{path}</code>" in html
        for one in methods.values():
            assert f'id="{one["operationId"]}"' in html
            assert f'href="#{one["operationId"]}"' in html
    for word in (*METRICS, *DIMENSIONS, *OPERATORS):
        assert f"<code>{word}</code>" in html
    assert "curl &#x27;http://localhost:4000/api/v1/stats/aggregate?site_id=example.com&amp;" in html
    assert "<code>pageview</code>" in html  # of a meaning
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_the_documentation_names_every_route() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for path, methods in DOCUMENT["paths"].items():
        if path in OF_COLLECT:
            continue
        named = path.replace("{", "<").replace("}", ">")
        for method in methods:
            assert f"`{method.upper()} {named}" in page or f"`{named}`" in page, path
    for scope in OFFERED_SCOPES:
        assert f"| `{scope}` |" in page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a `b` c", "a <code>b</code> c"),
        ("`b`", "<code>b</code>"),
        ("<i> `<b>`", "&lt;i&gt; <code>&lt;b&gt;</code>"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_what_backquotes_stand_around_is_code(text, html) -> None:
    assert marked(text) == html
