"""Take pictures of the pages of a server with demo data: `python -m tools.screenshots [folder]`.

docs/dashboard.png in the README is `dashboard-1280-light.png` of these.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import CHROMIUM, OPTIONS
from tests.server import FIREFOX, Server

EMAIL, PASSWORD = "dev@haru.local", "devsecret123456"
DEMO = "demo.haru.local"
PAGES = {
    "dashboard": f"/sites/{DEMO}?period=30d&compare=previous",
    "today": f"/sites/{DEMO}?period=day",
    "refusals": f"/sites/{DEMO}/refusals?period=30d",
    "sites": "/sites",
    "new-site": "/sites/new",
    "details": f"/sites/{DEMO}?period=30d&details=locations",
    "settings": f"/sites/{DEMO}/settings",
    "counting": f"/sites/{DEMO}/settings/counting",
    "goals": f"/sites/{DEMO}/settings/goals",
    "links": f"/sites/{DEMO}/settings/links",
    "api": "/api/docs",
}
SIZES = {1280: 900, 390: 844}


def sign_in(page: Page, server: Server) -> None:
    """Sign in as the development account."""
    page.goto(f"{server.url}/account/login/")
    page.locator("input[name=login]").fill(EMAIL)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/account/login" not in url)


def share(server: Server) -> dict[str, str]:
    """Make some goals and two shared links by API; the addresses of the links."""
    key = server.haru("key", "add", "pictures", "--user", EMAIL, "--scope", "sites:write").stdout.split()[-1]

    def put(path: str, **fields: str) -> Any:
        answer = httpx.put(
            f"{server.url}/api/v1/sites/{path}",
            headers={"Authorization": f"Bearer {key}"},
            json={"site_id": DEMO, **fields},
        )
        return answer.raise_for_status().json()

    put("goals", goal_type="event", event_name="Signup")
    put("goals", goal_type="event", event_name="Purchase", currency="EUR")
    put("goals", goal_type="page", page_path="/blog/**", display_name="Reads the blog")
    return {
        "shared": put("shared-links", name="Board")["url"],
        "shared-password": put("shared-links", name="Press", password=secrets.token_hex())["url"],
    }


def main(folder: Path) -> None:
    """Serve a demo in a temporary folder and take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, Server(Path(data) / "data") as server, sync_playwright() as playwright:
        server.start("--dev")
        server.call("load")
        shared = share(server)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    user_agent=FIREFOX, viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(f"{server.url}/account/login/")
                page.screenshot(path=folder / f"sign-in-{width}-{scheme}.png", full_page=True)
                for name, address in shared.items():
                    page.goto(address)
                    page.wait_for_timeout(700)
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                sign_in(page, server)
                for name, path in PAGES.items():
                    page.goto(server.url + path)
                    page.wait_for_timeout(700)  # the chart draws itself
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("test-output/screenshots"))
