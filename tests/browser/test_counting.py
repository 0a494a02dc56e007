"""What of a site is counted, changed by a person on the page and in force with the very next request."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import keep
from tests.browser.test_journey import add_site, sign_up
from tests.server import Server

pytestmark = pytest.mark.browser


def test_a_person_leaves_out_their_own_address_with_a_click(page: Page, server: Server) -> None:
    sign_up(page, server)
    add_site(page, server)
    token = server.token("example.com")
    assert "x-haru-dropped" not in server.collect(token).headers
    page.goto(f"{server.url}/sites/example.com/settings")
    page.get_by_role("link", name="Change", exact=True).click()
    area = page.get_by_label("Addresses that are not counted")
    area.fill("10.0.0.0/8\n")
    page.get_by_role("button", name="Add my address").click()
    page.get_by_role("button", name="Add my address").click()  # a second time adds nothing
    expect(area).to_have_value("10.0.0.0/8\n127.0.0.1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert server.collect(token).headers["x-haru-dropped"] == "excluded_address"
    expect(page.get_by_text("Your visits are not counted.")).to_be_visible()
    page.get_by_label("Addresses that are not counted").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert "x-haru-dropped" not in server.collect(token).headers


def test_countries_pages_and_hosts_are_chosen_and_faults_are_said(context: BrowserContext, server: Server) -> None:
    page = context.new_page()  # not the fixture: the browser logs the status 422 as an error
    sign_up(page, server)
    add_site(page, server)
    token = server.token("example.com")
    page.goto(f"{server.url}/sites/example.com/settings/counting")
    page.get_by_role("group", name="Countries that are not counted").get_by_text("None").click()
    page.get_by_label("Germany").check()
    page.get_by_label("Pages that are not counted").fill("/admin/**")
    page.get_by_label("Only these host names are counted").fill("shop example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_text('"shop example" is no host name')).to_be_visible()
    expect(page.get_by_label("Pages that are not counted")).to_have_value("/admin/**")
    keep(page, "counting-with-a-fault")
    page.get_by_label("Only these host names are counted").fill("*.example.com")
    page.get_by_label("Requests a minute from one address").fill("500")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    for body, reason in [
        ({"path": "/admin/x"}, "excluded_page"),
        ({"path": "/", "tz": "Europe/Berlin"}, "excluded_country"),
        ({"path": "/", "h": "copy.example"}, "excluded_hostname"),
        ({"path": "/", "h": "www.example.com"}, None),
    ]:
        assert server.collect(token, **body).headers.get("x-haru-dropped") == reason  # type: ignore[arg-type]


def test_the_page_works_without_javascript(browser: Browser, page: Page, server: Server) -> None:
    sign_up(page, server)
    add_site(page, server)
    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    view = plain.new_page()
    view.goto(f"{server.url}/sites/example.com/settings/counting")
    expect(view.get_by_text("Your address is 127.0.0.1")).to_be_visible()
    expect(view.get_by_role("button", name="Add my address")).to_be_hidden()
    view.get_by_label("Addresses that are not counted").fill("127.0.0.1")
    view.get_by_role("button", name="Save").click()
    expect(view.get_by_text("Your visits are not counted.")).to_be_visible()
    plain.close()
