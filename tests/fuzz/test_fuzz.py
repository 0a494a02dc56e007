"""Thousands of faulty requests, and what the description of the endpoint promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

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

from haru.collect.endpoint import TOO_LARGE, Endpoint
from haru.collect.formats import haru
from haru.collect.formats.format import Answer
from haru.collect.openapi import document
from haru.histogram import Histogram
from tests.fuzz.fuzzer import faults_of, run
from tests.rounds import examples, long, rounds
from tests.server import FIREFOX, Server

pytestmark = pytest.mark.crash

GROWTH = 40e6  # bytes of memory that caches may fill on the way

schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    with Server(tmp_path_factory.mktemp("fuzz") / "data", forks=False, HARU_LOG_LEVEL="warning") as server:
        token = server.add_site()
        server.start()
        yield server, token
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


@long
def test_no_faulty_request_breaks_anything(tmp_path: Path) -> None:
    count = rounds(1_600, 10_000)
    report, rows = run(tmp_path, count, seed=1)
    assert report.faults == []
    assert sum(report.requests.values()) >= count
    assert {200, 204, 400, 401, 405, 413} <= set(report.answers)
    assert min(rows, report.dropped["invalid"], report.dropped["too_large"], report.dropped["bot"]) > 20
    assert report.memory[-1] - report.memory[2] < GROWTH


@schema.parametrize()
@examples(40, 500, suppress_health_check=list(HealthCheck))
def test_the_endpoint_keeps_to_its_description(case: schemathesis.Case, served: tuple[Server, str]) -> None:
    server, token = served
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
    answer = case.call(base_url=server.url, headers=headers)
    case.validate_response(
        answer,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
        ],
    )


def test_what_is_refused_is_let_go_of() -> None:
    """An answer that is raised again and again must not keep the frames of all the times before."""
    endpoint = object.__new__(Endpoint)
    endpoint.answers, endpoint.refusals, endpoint.seconds = Counter(), Counter(), Histogram((1.0,))
    given: list[Answer] = []
    with patch.object(endpoint, "_take", side_effect=TOO_LARGE):
        for _ in range(3):
            endpoint.take(haru, "POST", b"", [], "", None, given.append)
    assert given == [TOO_LARGE] * 3
    assert TOO_LARGE.__traceback__ is None
    assert TOO_LARGE.__context__ is None


def test_a_row_against_the_schema_would_be_found() -> None:
    row = {
        "id": 2, "visit_id": 1, "ms": 5, "name": "pageview", "path": "/", "country": "DE", "device": "Desktop", "screen": "1x1",
        "language": "de", "scroll_depth": -1, "engaged_ms": 0, "props": "{}", "revenue_amount": "", "referrer": "a.example/x",
    }  # fmt: skip
    assert faults_of(row, 0, 10) == []
    for change in (
        {"path": "no-slash"}, {"path": "/" + "a" * 2_000}, {"path": "/\0"}, {"path": "/\ud800"}, {"country": "Germany"}, {"ms": 11},
        {"visit_id": 3}, {"scroll_depth": 101}, {"engaged_ms": -1}, {"props": '{"a": 1}'}, {"revenue_amount": "NaN"},
        {"referrer": "user:secret@a.example"}, {"device": "Toaster"}, {"source": None},
    ):  # fmt: skip
        assert len(faults_of({**row, **change}, 0, 10)) == 1, change
