"""The API keeps to its description, whatever is asked: schemathesis makes the requests, a real server answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from haru.web.api.reference.openapi import document
from tests.rounds import examples, long
from tests.server import Server

pytestmark = pytest.mark.crash

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SPARE = "spare.example"  # for what would take the site of all others away

schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document()))).exclude(
    path="/api/collect"
)  # which has a test of its own
answers: Counter[tuple[str, int]] = Counter()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with a site that has some visits, and a key that may do everything for its owner."""
    data = tmp_path_factory.mktemp("api") / "data"
    with Server(data, HARU_LOG_LEVEL="warning", HARU_API_RATE_LIMIT="0") as server:
        server.add_site()
        server.haru("site", "add", SPARE, "--owner", "owner@example.com")
        scopes = ("--scope", "stats:read", "--scope", "sites:write")
        key = server.haru("key", "add", "fuzz", "--user", "owner@example.com", *scopes).stdout.split()[-1]
        server.start()
        token = server.token("example.com")
        for path in ("/", "/blog/1", "/blog/2"):
            assert server.collect(token, path, r="https://google.com/").status_code == 200
        yield server, key
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


@schema.parametrize()
@examples(10, 30, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_description(case: schemathesis.Case, served: tuple[Server, str]) -> None:
    server, key = served
    if case.method in {"PUT", "DELETE"} and case.path == "/api/v1/sites/{domain}":
        case.path_parameters["domain"] = SPARE
    answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=20)
    answers[case.operation.label, answer.status_code] += 1
    case.validate_response(answer, checks=CHECKS)


@long
def test_every_operation_was_answered_and_refused(request: pytest.FixtureRequest) -> None:
    ran = {label for label, _ in answers}
    operations = {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}
    if ran != set(operations):
        pytest.skip("only a part of the operations was tried")
    assert {label for label in ran if not answers[label, 200]} == set()
    refusable = {label for label, operation in operations.items() if "400" in operation.definition.raw["responses"]}
    assert {label for label in refusable if not answers[label, 400]} == set()
