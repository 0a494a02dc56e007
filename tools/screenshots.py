"""Take pictures of the pages of a server with demo data: `python -m tools.screenshots [folder]`.

docs/dashboard.png in the README is `dashboard-1280-light.png` of these.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

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
}
SIZES = {1280: 900, 390: 844}


def sign_in(page: Page, server: Server) -> None:
    """Sign in as the development account."""
    page.goto(f"{server.url}/account/login/")
    page.locator("input[name=login]").fill(EMAIL)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/account/login" not in url)


def main(folder: Path) -> None:
    """Serve a demo in a temporary folder and take every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, Server(Path(data) / "data") as server, sync_playwright() as playwright:
        server.start("--dev")
        server.call("load")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    user_agent=FIREFOX, viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(f"{server.url}/account/login/")
                page.screenshot(path=folder / f"sign-in-{width}-{scheme}.png", full_page=True)
                sign_in(page, server)
                for name, path in PAGES.items():
                    page.goto(server.url + path)
                    page.wait_for_timeout(700)  # the chart draws itself
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("test-output/screenshots"))
