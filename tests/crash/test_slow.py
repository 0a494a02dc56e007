"""Questions that take too long, on a real server: who leaves ends them, the limit ends them, collecting goes on."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.crash.test_metrics import figures
from tests.server import Server

pytestmark = pytest.mark.crash

PAGES = {"site_id": "example.com", "metrics": ["visitors"], "date_range": "day", "dimensions": ["event:page"]}
QUICK = {**PAGES, "dimensions": ["visit:source"]}


def until(found: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 90
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def signed_in(server: Server) -> httpx.Client:
    browser = httpx.Client(base_url=server.url, follow_redirects=True, headers={"Referer": server.url}, timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/account/login/").text)
    assert token is not None
    values = {"login": "owner@example.com", "password": "a long password", "csrfmiddlewaretoken": token[1]}
    assert browser.post("/account/login/", data=values).status_code == 200
    return browser


class Asking:
    """A server, and a key to ask it with."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token = server.add_site()
        key = server.haru("key", "add", "test", "--user", "owner@example.com").stdout.split()[-1]
        self.headers = {"Authorization": f"Bearer {key}"}
        server.start(module="tests.crash.slow")
        assert server.collect(self.token, "/").status_code == 200
        server.call("load")

    def ask(self, query: dict[str, object], seconds: float = 60) -> httpx.Response:
        return httpx.post(f"{self.server.url}/api/v2/query", json=query, headers=self.headers, timeout=seconds)

    def figure(self, name: str) -> float:
        return figures(httpx.get(f"{self.server.url}/metrics", timeout=20).text)[name]


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Asking]:
    with Server(tmp_path / "data", HARU_QUERY_SECONDS="0") as server:
        yield Asking(server)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Asking]:
    with Server(tmp_path / "data", HARU_QUERY_SECONDS="4") as server:
        yield Asking(server)


def test_a_client_that_leaves_ends_its_question_and_events_are_answered_meanwhile(patient: Asking) -> None:
    body = json.dumps(PAGES)
    head = "".join(f"{name}: {value}\r\n" for name, value in patient.headers.items())
    with socket.create_connection(("127.0.0.1", patient.server.port)) as leaving:
        leaving.sendall(
            f"POST /api/v2/query HTTP/1.1\r\nHost: 127.0.0.1:{patient.server.port}\r\n{head}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        until(lambda: patient.figure("haru_queries_running") == 1)
        for number in range(20):
            assert patient.server.collect(patient.token, f"/{number}").status_code == 200
        patient.server.call("load")
        assert patient.ask(QUICK).json()["results"] == [{"metrics": [1], "dimensions": ["Direct / None"]}]
        assert patient.figure("haru_queries_running") == 1
        assert patient.figure("haru_queries_stopped_total[left]") == 0
    until(lambda: patient.figure("haru_queries_stopped_total[left]") == 1)
    assert patient.figure("haru_queries_running") == 0
    assert patient.figure("haru_queries_stopped_total[limit]") == 0
    assert patient.server.stop() == 0


def test_the_limit_answers_programs_and_pages_with_a_sentence(limited: Asking) -> None:
    answer = limited.ask(PAGES)
    assert answer.status_code == 504
    sentence = "This took longer than 4 s and was ended. Ask for a shorter period or fewer rows."
    assert answer.json() == {"error": sentence}
    assert limited.figure("haru_queries_stopped_total[limit]") == 1
    assert limited.ask(QUICK).status_code == 200
    browser = signed_in(limited.server)
    page = browser.get("/sites/example.com")
    assert page.status_code == 200
    assert page.text.count(sentence) == 3  # pages, and what would have been asked after them
    assert 'data-metric="visitors"' in page.text
    assert browser.get("/sites/example.com/panels/pages").text.count(sentence) == 1
    assert browser.get("/sites/example.com?details=pages").text.count(sentence) == 1
    browser.close()
