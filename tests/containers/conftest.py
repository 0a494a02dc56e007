"""The image, built once for all tests, and somebody who signs in and visits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.containers import bases
from tests.containers.machine import CACHE, ROOT, Failed, build, podman, run
from tests.server import FIREFOX

EMAIL, PASSWORD = "owner@example.com", "a long password"


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The name of the image that the Dockerfile makes."""
    for kind in ((), ("volume",)):  # left by a run that was killed
        podman(*kind, "rm", "--force", "--all")
    bases.debian()
    build(ROOT, "haru")
    yield "localhost/haru"
    podman("image", "prune", "--force")
    # Podman leaves a mount, and `make clean` could not remove the folder.
    if f" {CACHE}/images/overlay " in Path("/proc/self/mountinfo").read_text():
        run("umount", CACHE / "images/overlay")


def until(true: Callable[[], object], seconds: float = 240) -> None:
    """Wait for it; what cannot be asked yet is not true yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
            problem: object = "it stays untrue"
        except (Failed, httpx.TransportError) as error:
            problem = error
        assert time.monotonic() < deadline, problem
        time.sleep(1)


def sign_in(browser: httpx.Client) -> str:
    """Sign in with the form, and answer the page that follows."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/account/login/").text)
    assert token is not None
    values = {"login": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    page = browser.post("/account/login/", data=values)
    assert page.status_code == 200, page.text
    assert EMAIL in page.text
    return page.text


def visit(client: httpx.Client, token: str, path: str, address: str | None = None) -> int:
    """Count a pageview; `address` is whom a proxy names. Answers the status."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
    if address:
        headers["X-Forwarded-For"] = address
    return client.post("/api/collect", json={"p": path}, headers=headers).status_code
