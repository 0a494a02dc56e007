"""A server without a mail server: what would have been in a mail is nowhere, unless somebody develops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server import Server

pytestmark = pytest.mark.crash
PASSWORD = "four words in a row"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", HARU_REGISTRATION="open") as server:
        yield server


def submit(browser: httpx.Client, path: str, **values: str) -> httpx.Response:
    browser.get(path).raise_for_status()
    values["csrfmiddlewaretoken"] = browser.cookies["haru_csrf"]
    return browser.post(path, data=values)


def use(server: Server) -> None:
    """Register, change the address, forget the password."""
    with httpx.Client(base_url=server.url, timeout=60, follow_redirects=True) as browser:
        assert submit(browser, "/account/signup/", email="secret@example.com", password1=PASSWORD).status_code == 200
        page = submit(browser, "/account/email/", action_add="1", email="other@example.com", password=PASSWORD)
        assert "sends no mail" in page.text
        browser.cookies.delete("haru_session")
        submit(browser, "/account/password/reset/", email="other@example.com")


def test_neither_link_nor_address_is_in_the_log(server: Server) -> None:
    server.start()
    use(server)
    assert server.stop() == 0
    log = server.log.read_text()
    assert "serving" in log
    assert not re.search(r"example\.com|/account/", log)


def test_whoever_develops_finds_the_mail_on_the_console(server: Server) -> None:
    server.start("--dev")
    use(server)
    assert server.stop() == 0
    log = server.log.read_text()
    assert "To: other@example.com" in log
    assert re.search(rf"{server.url}/account/password/reset/key/\S+", log)
