"""What a person does on the first day, in a real browser against a real server."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Measured, keep
from tests.server import Server

pytestmark = pytest.mark.browser

EMAIL, PASSWORD = "mika@example.com", "correct horse battery"


def sign_up(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/account/signup/")
    page.locator("input[name=email]").fill(EMAIL)
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.locator("main form button[type=submit], main form button:not([type])").first.click()
    page.wait_for_url(lambda url: "/account/signup" not in url)


def add_site(page: Page, server: Server, domain: str = "example.com") -> str:
    """Add a site by its form; the snippet as the page shows it."""
    page.goto(f"{server.url}/sites/new")
    page.locator("input[name=domain]").fill(domain)
    page.locator("select[name=timezone]").select_option("Europe/Berlin")
    page.get_by_role("button", name="Add the site").click()
    snippet = page.get_by_label("Snippet").inner_text()
    assert "data-token" in snippet
    return snippet


def top(page: Page, name: str) -> str:
    """One of the top numbers as the dashboard shows it."""
    return page.locator(f'[data-metric="{name}"]').first.inner_text()


def test_a_visit_appears_on_the_dashboard_within_a_second_and_without_reload(
    context: BrowserContext, page: Page, server: Server, measured: Measured
) -> None:
    sign_up(page, server)
    measured.snippet = add_site(page, server)
    page.goto(f"{server.url}/sites/example.com?period=day")
    page.evaluate("window.notReloaded = true")
    keep(page, "journey-before-the-first-visit")

    visitor = context.new_page()
    visitor.goto(f"{measured.url}/first?utm_source=newsletter")
    begun = time.monotonic()
    expect(page.locator("[data-current-visitors]").first).to_have_text(re.compile(r"\b1\b"), timeout=5000)
    expect(page.locator('[data-metric="pageviews"]').first).to_have_text("1", timeout=5000)
    waited = time.monotonic() - begun
    expect(page.get_by_text("/first", exact=True).first).to_be_visible(timeout=10_000)
    expect(page.get_by_text("Newsletter", exact=True).first).to_be_visible(timeout=10_000)
    expect(page.get_by_text("Germany", exact=True).first).to_be_visible(timeout=10_000)
    expect(page.get_by_text("Firefox", exact=True).first).to_be_visible(timeout=10_000)

    visitor.goto(f"{measured.url}/second")
    expect(page.locator('[data-metric="pageviews"]').first).to_have_text("2", timeout=5000)
    assert page.evaluate("window.notReloaded") is True
    keep(page, "journey-after-two-pageviews")
    # A second is what the product promises; the bound leaves room for a busy machine.
    assert waited < 4


def test_navigation_inside_a_page_counts_and_leaving_sends_a_beacon(
    context: BrowserContext, page: Page, server: Server, measured: Measured
) -> None:
    sign_up(page, server)
    measured.snippet = add_site(page, server)
    visitor = context.new_page()
    sent: list[dict[str, object]] = []
    visitor.on(
        "request", lambda request: sent.append(request.post_data_json) if "/api/collect" in request.url else None
    )
    with visitor.expect_response(lambda response: "/api/collect" in response.url):
        visitor.goto(f"{measured.url}/app")
    with visitor.expect_request(lambda request: "/api/collect" in request.url):
        visitor.evaluate("history.pushState({}, '', '/app/inbox')")
    visitor.evaluate("history.replaceState({}, '', '/app/inbox')")  # the same page: nothing to count
    with visitor.expect_request(lambda request: "/api/collect" in request.url):
        visitor.evaluate("history.back()")
    visitor.mouse.move(10, 10)
    visitor.wait_for_timeout(600)  # some engaged time
    visitor.close(run_before_unload=True)
    page.goto(f"{server.url}/sites/example.com?period=day")
    expect(page.locator('[data-metric="pageviews"]').first).to_have_text("3", timeout=5000)
    assert top(page, "visitors") == "1"
    assert top(page, "visits") == "1"
    paths = [str(body["p"]) for body in sent if body.get("n", "pageview") == "pageview"]
    assert [path.removeprefix(measured.url) for path in paths] == ["/app", "/app/inbox", "/app"]
    deadline = time.monotonic() + 30
    stored = 0
    while stored < 4 and time.monotonic() < deadline:
        stored = int(server.call("status")["position"])
    assert stored >= 4, "no engagement arrived when the page was closed"


def test_the_dashboard_works_without_javascript(browser, page: Page, server: Server) -> None:  # type: ignore[no-untyped-def]
    sign_up(page, server)
    add_site(page, server)
    token = server.token("example.com")
    for number in range(3):
        assert server.collect(token, f"/page-{number}", r="https://www.google.com/").status_code == 200
    server.call("load")  # such a page does not renew itself
    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    view = plain.new_page()
    view.goto(f"{server.url}/sites/example.com?period=day")
    expect(view.locator('[data-metric="pageviews"]').first).to_have_text("3")
    expect(view.get_by_text("/page-1", exact=True).first).to_be_visible()
    expect(view.get_by_text("Google", exact=True).first).to_be_visible()
    expect(view.locator("haru-chart table").first).to_be_visible()
    plain.close()


def test_the_tracker_falls_back_to_a_request_when_the_browser_has_no_beacon(
    context: BrowserContext, page: Page, server: Server, measured: Measured
) -> None:
    sign_up(page, server)
    measured.snippet = add_site(page, server)
    visitor = context.new_page()
    visitor.add_init_script("navigator.sendBeacon = () => false")
    with visitor.expect_response(lambda response: "/api/collect" in response.url) as answered:
        visitor.goto(f"{measured.url}/no-beacon")
    assert answered.value.status == 200
    assert answered.value.request.resource_type == "xhr"
    page.goto(f"{server.url}/sites/example.com?period=day")
    expect(page.get_by_text("/no-beacon", exact=True).first).to_be_visible(timeout=5000)
