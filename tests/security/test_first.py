"""Registration that is open for the first account only, with several people who try to be first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.server import Server

pytestmark = pytest.mark.crash
PEOPLE = 6


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_of_several_who_register_first_at_once_one_has_the_account(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    elsewhere = {} if engine == "sqlite" else {"HARU_DATABASE_URL": request.getfixturevalue("database")}
    with Server(tmp_path / "data", **elsewhere) as server, ExitStack() as opened:
        server.start()
        browsers = [opened.enter_context(httpx.Client(base_url=server.url, timeout=60)) for _ in range(PEOPLE)]
        for browser in browsers:
            assert browser.get("/account/signup/").status_code == 200

        def register(number: int) -> httpx.Response:
            browser = browsers[number]
            form = {"email": f"person{number}@example.com", "password1": "four words in a row"}
            form["csrfmiddlewaretoken"] = browser.cookies["haru_csrf"]
            return browser.post("/account/signup/", data=form)

        with ThreadPoolExecutor(PEOPLE) as people:
            answers = list(people.map(register, range(PEOPLE)))
        assert sorted(answer.status_code for answer in answers) == [200] * (PEOPLE - 1) + [302]
        for answer, browser in zip(answers, browsers, strict=True):
            assert (answer.status_code == 302) is (browser.get("/sites").status_code == 200)
            assert answer.status_code == 302 or "Registration is closed" in answer.text
