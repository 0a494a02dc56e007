"""The panels and their details in a real browser: by mouse, by keys alone, and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import keep
from tests.browser.test_dashboard import SITE, measured_site, violations  # noqa: F401
from tests.server import Server

pytestmark = pytest.mark.browser


def test_details_are_a_dialog_with_an_address_that_the_back_button_leaves(page: Page, measured_site: Server) -> None:  # noqa: F811
    page.evaluate("window.notReloaded = true")
    before = page.url
    link = page.get_by_role("link", name="Details of pages")
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Pages")
    expect(dialog).to_be_visible()
    assert page.url == f"{before}&details=pages"
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.go_back()
    expect(dialog).to_be_hidden()
    assert page.url == before
    expect(link).to_be_focused()
    assert page.evaluate("window.notReloaded") is True


@pytest.mark.parametrize("way", ["Escape", "button", "beside"])
def test_details_close_and_leave_the_dashboard_as_it_was(page: Page, measured_site: Server, way: str) -> None:  # noqa: F811
    page.evaluate("window.notReloaded = true")
    before = page.url
    page.get_by_role("link", name="Details of pages").click()
    dialog = page.get_by_role("dialog", name="Pages")
    dialog.get_by_role("link", name="Pageviews").click()
    expect(dialog.get_by_role("columnheader", name="Pageviews")).to_have_attribute("aria-sort", "descending")
    assert page.url == f"{before}&details=pages&sort=pageviews.desc"
    if way == "Escape":
        page.keyboard.press("Escape")
    elif way == "button":
        dialog.get_by_role("link", name="Close").click()
    else:
        page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()
    page.wait_for_url(before)
    expect(page.get_by_role("link", name="Details of pages")).to_be_focused()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")
    assert page.evaluate("window.notReloaded") is True
    page.get_by_role("link", name="Details of pages").click()
    expect(dialog).to_be_visible()


def test_within_the_dialog_one_searches_and_changes_the_tab_by_keys(page: Page, measured_site: Server) -> None:  # noqa: F811
    page.get_by_role("link", name="Details of pages").click()
    dialog = page.get_by_role("dialog", name="Pages")
    search = dialog.get_by_role("searchbox")
    search.fill("E-3")
    search.press("Enter")
    expect(dialog.get_by_text("All 1.")).to_be_visible()
    expect(dialog.locator("tbody tr")).to_have_count(1)
    expect(dialog.get_by_role("searchbox")).to_be_focused()
    assert "search=E-3" in page.url
    menu = dialog.locator("summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("link", name="Entry hosts")).to_be_visible()
    page.keyboard.press("Escape")  # the menu, not the dialog around it
    expect(dialog.get_by_role("link", name="Entry hosts")).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("columnheader", name="Host name")).to_be_visible()
    assert "pages=hosts" in page.url
    assert "search" not in page.url


def test_a_row_of_the_details_filters_the_dashboard(page: Page, measured_site: Server) -> None:  # noqa: F811
    page.evaluate("window.notReloaded = true")
    before = page.url
    page.get_by_role("link", name="Details of pages").click()
    page.get_by_role("dialog").get_by_role("link", name="/page-3").click()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("1")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#filters")).to_contain_text("Page is /page-3")
    assert "details" not in page.url
    assert page.evaluate("window.notReloaded") is True
    page.go_back()
    page.wait_for_url(before)
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")


def test_an_address_of_details_is_a_page_after_a_reload(page: Page, measured_site: Server) -> None:  # noqa: F811
    before = page.url
    page.get_by_role("link", name="Details of pages").click()
    expect(page.get_by_role("dialog", name="Pages")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Pages", level=1)).to_be_visible()
    page.go_back()
    page.wait_for_url(before)
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")


def test_a_menu_of_tabs_stays_open_when_news_come(page: Page, measured_site: Server) -> None:  # noqa: F811
    menu = page.locator("#pages-menu-4")
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    measured_site.collect(measured_site.token("example.com"), "/page-9")
    expect(page.locator("#panel-pages").get_by_text("/page-9", exact=True)).to_be_visible()
    assert menu.evaluate("menu => menu.open")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-pages").get_by_role("columnheader", name="Host name")).to_be_visible()
    expect(menu.locator("summary")).to_have_attribute("aria-current", "true")


def test_without_javascript_tabs_and_details_work(browser: Browser, page: Page, measured_site: Server) -> None:  # noqa: F811
    context = browser.new_context(storage_state=page.context.storage_state(), java_script_enabled=False)
    view = context.new_page()
    view.goto(f"{measured_site.url}{SITE}?period=day")
    view.locator("#pages-menu-4 summary").click()
    view.locator("#pages-menu-4").get_by_role("link", name="Host names").click()
    expect(view.locator("#panel-pages").get_by_role("columnheader", name="Host name")).to_be_visible()
    view.get_by_role("link", name="Details of pages").click()
    expect(view.get_by_role("heading", name="Pages", level=1)).to_be_visible()
    view.get_by_role("link", name="Pages", exact=True).click()
    view.get_by_role("searchbox").fill("page-2")
    view.get_by_role("button", name="Search").click()
    expect(view.locator("#details tbody tr")).to_have_count(1)
    view.get_by_role("link", name="Dashboard").click()
    expect(view.locator('[data-metric="pageviews"]')).to_have_text("4")
    context.close()


def test_axe_finds_nothing_and_no_column_is_out_of_reach(browser: Browser, page: Page, measured_site: Server) -> None:  # noqa: F811
    state = page.context.storage_state()
    for scheme, width in (("light", 1280), ("dark", 390), ("light", 360)):
        context = browser.new_context(
            storage_state=state,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
        )
        view = context.new_page()
        view.goto(f"{measured_site.url}{SITE}?period=day")
        view.locator("#pages-menu-4 summary").click()
        assert violations(view) == []
        view.keyboard.press("Escape")
        view.get_by_role("link", name="Details of pages").click()
        scroller = view.get_by_role("region", name="Pages with all their numbers")
        expect(scroller).to_be_visible()
        view.wait_for_timeout(300)
        assert violations(view) == []
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        scroller.evaluate("part => part.scrollLeft = 10_000")
        last, name = (view.locator(f"#details thead th:{place}-child").bounding_box() for place in ("last", "first"))
        frame = scroller.bounding_box()
        assert last
        assert name
        assert frame
        assert last["x"] + last["width"] <= frame["x"] + frame["width"] + 1
        assert abs(name["x"] - frame["x"]) < 1  # it stays
        assert re.search("Exit rate", view.locator("#details thead").inner_text())
        keep(view, f"details-{scheme}-{width}")
        context.close()


def test_the_panel_of_goals_appears_with_the_first_property_and_is_used_by_keys(
    page: Page,
    measured_site: Server,  # noqa: F811
) -> None:
    panel = page.locator("#panel-goals")
    assert panel.count() == 0
    token = measured_site.token("example.com")
    for name, plan in (("Signup", "pro"), ("Signup", "free"), ("Vote", "pro")):
        answer = measured_site.collect(token, "/page-1", n=name, d={"plan": plan, f"z{name}": "x"})
        assert answer.status_code == 200
    expect(page.locator('[data-metric="visits"]')).to_have_text("1")
    for _ in range(20):  # until the events are in the store, which no part of the page tells of yet
        page.reload()
        if panel.count():
            break
        page.wait_for_timeout(500)
    expect(panel.get_by_role("columnheader", name="plan")).to_be_visible()
    assert violations(page) == []
    panel.locator("summary").focus()
    page.keyboard.press("Enter")
    panel.get_by_role("link", name="zVote").focus()
    page.keyboard.press("Enter")
    expect(panel.get_by_role("columnheader", name="zVote")).to_be_visible()
    expect(panel.get_by_role("link", name="x", exact=True)).to_be_visible()
    assert "prop=zVote" in page.url
    panel.get_by_role("link", name="Events", exact=True).click()
    expect(panel.get_by_role("link", name="Signup", exact=True)).to_be_visible()
    panel.get_by_role("link", name="Details of events").click()
    dialog = page.get_by_role("dialog", name="Events")
    expect(dialog.get_by_role("columnheader", name="Total")).to_be_visible()
    page.wait_for_timeout(300)
    assert violations(page) == []
    keep(page, "goals")
