"""The dashboard in a real browser: who cannot see it well, what a tick may not disturb, and how one moves about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import keep
from tests.browser.test_journey import add_site, sign_up
from tests.rounds import LONG, long
from tests.server import Server

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
SITE = "/sites/example.com"


# Each theme and each width once; in `make test-long` each theme at each width.
SCREENS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 390)]
if LONG:
    SCREENS += [("dark", 1280), ("light", 390)]


def violations(page: Page) -> list[str]:
    if not AXE.exists():
        pytest.fail("axe-core is not installed: npm ci in frontend/")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


@pytest.fixture
def measured_site(page: Page, server: Server) -> Server:
    """example.com with its owner signed in on `page`, and a few visits."""
    sign_up(page, server)
    add_site(page, server)
    token = server.token("example.com")
    for number in range(4):
        body = {"r": "https://www.google.com/", "tz": "Europe/Berlin", "sw": 1280, "sh": 800}
        assert server.collect(token, f"/page-{number}", **body).status_code == 200
    page.goto(f"{server.url}{SITE}?period=day")
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")
    return server


@long
def test_axe_finds_nothing_in_either_theme_on_wide_and_narrow_screens(
    browser: Browser, page: Page, measured_site: Server
) -> None:
    state = page.context.storage_state()
    for scheme, width in SCREENS:
        context = browser.new_context(
            storage_state=state,
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
        )
        view = context.new_page()
        for address in (
            f"{SITE}?period=day&details=sources",
            "/sites",
            "/account/keys",
            "/api/docs",
            f"{SITE}?period=day",
        ):
            view.goto(f"{measured_site.url}{address}")
            assert violations(view) == []
            assert view.evaluate("document.documentElement.scrollWidth") <= width
        expect(view.locator("haru-chart canvas")).to_be_visible()
        view.locator("#pick-period summary").click()
        assert violations(view) == []
        view.locator("#pick-filter summary").click()
        assert violations(view) == []
        view.locator("#pick-filter").get_by_role("link", name="Source", exact=True).click()
        expect(view.locator("dialog[open]")).to_be_visible()
        assert violations(view) == []
        view.keyboard.press("Escape")
        keep(view, f"dashboard-{scheme}-{width}")
        context.close()


def test_a_tick_leaves_alone_what_a_person_is_doing(page: Page, measured_site: Server) -> None:
    page.locator("#panel-chart summary").click()
    page.locator("#pick-period summary").click()
    page.locator("input[name=from]").fill("2026-01-31")
    page.locator("#panel-sources").get_by_role("link", name="Channels").focus()
    page.locator("haru-chart canvas").evaluate("canvas => canvas.marked = true")
    measured_site.collect(measured_site.token("example.com"), "/page-5")
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("5")
    expect(page.locator("#panel-pages").get_by_text("/page-5", exact=True)).to_be_visible()
    assert page.locator("#pick-period").evaluate("menu => menu.open")
    assert page.locator("input[name=from]").input_value() == "2026-01-31"
    assert page.locator("#panel-chart details").evaluate("numbers => numbers.open")
    assert page.evaluate("document.activeElement.textContent") == "Channels"
    assert page.locator("haru-chart canvas").evaluate("canvas => canvas.marked")


def test_a_change_of_view_keeps_the_place_and_the_back_button_undoes_it(page: Page, measured_site: Server) -> None:
    page.evaluate("window.notReloaded = true; scrollTo(0, 500)")
    page.locator("#panel-sources").get_by_role("link", name="Channels").click()
    expect(page.get_by_text("Organic Search", exact=True)).to_be_visible()
    assert page.url.endswith("?period=day&sources=channels")
    assert page.evaluate("window.notReloaded") is True
    assert page.evaluate("scrollY") > 300
    page.go_back()
    expect(page.locator("#panel-sources").get_by_text("Google", exact=True)).to_be_visible()
    assert page.url.endswith("?period=day")


def test_a_theme_is_chosen_once(page: Page, measured_site: Server) -> None:
    page.emulate_media(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):
        page.get_by_role("button", name="Theme").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_menu_opens_and_closes_by_keys_alone(page: Page, measured_site: Server) -> None:
    page.locator("#pick-period summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.firstChild.textContent") == "Realtime"
    page.keyboard.press("Escape")
    assert not page.locator("#pick-period").evaluate("menu => menu.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**?period=7d")
    expect(page.locator("#pick-period summary")).to_contain_text("Last 7 days")


def test_news_of_a_view_that_was_left_do_not_come_over_the_new_one(page: Page, measured_site: Server) -> None:
    page.wait_for_timeout(3500)  # what the stream's first tick asked for
    held: list[Route] = []
    page.route("**/panels/sources?period=day", lambda route: held.append(route))
    page.locator("#panel-sources").evaluate("panel => { panel.asked = -1e6; }")
    with page.expect_request("**/panels/sources?period=day"):
        page.evaluate(
            "document.body.dispatchEvent("
            "new CustomEvent('tick', {bubbles: true, detail: {data: '{\"current\": 1, \"at\": 9e15}'}}))"
        )
    page.locator("#panel-sources").get_by_role("link", name="Channels").click()
    expect(page.get_by_text("Organic Search", exact=True)).to_be_visible()
    with page.expect_response("**/panels/sources?period=day"):
        held[0].continue_()
    page.wait_for_timeout(500)
    expect(page.get_by_text("Organic Search", exact=True)).to_be_visible()
    expect(page.locator("#panel-sources").get_by_role("link", name="Channels")).to_have_attribute(
        "aria-current", "true"
    )


def test_a_panel_waits_between_two_questions(page: Page, measured_site: Server) -> None:
    page.wait_for_timeout(3500)  # what the stream's first tick asked for
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/panels/sources" in request.url else None)
    page.locator("#panel-sources").evaluate("panel => { panel.dataset.cost = 400; panel.asked = performance.now(); }")
    tick = "document.body.dispatchEvent(new CustomEvent('tick', {bubbles: true, detail: {data: '{\"current\": 1, \"at\": 1}'}}))"
    for _ in range(5):
        page.evaluate(tick)
        page.wait_for_timeout(250)
    assert asked == []  # five times 400 ms have not passed
    page.wait_for_timeout(1500)
    assert len(asked) == 1


def test_a_filter_is_made_changed_and_taken_away_by_keys_alone(page: Page, measured_site: Server) -> None:
    menu = page.locator("#pick-filter summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.locator("#pick-filter").get_by_role("link", name="Page", exact=True).focus()
    page.keyboard.press("Enter")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("PAGE-2")
    expect(page.locator("#filter-values li")).to_have_count(1)
    page.get_by_label("/page-2").focus()
    page.keyboard.press("Space")
    search.fill("")
    expect(page.locator("#filter-values li")).to_have_count(4)
    expect(page.get_by_label("/page-2")).to_be_checked()
    page.get_by_label("/page-3").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    chip = page.get_by_title("Change the filter Page is /page-2 or /page-3")
    expect(chip).to_be_visible()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("2")
    expect(menu).to_be_focused()
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(chip).to_be_focused()
    page.reload()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("2")
    page.get_by_label("Remove the filter").click()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")
    page.go_back()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("2")


def test_a_click_on_a_row_filters_and_a_second_takes_it_back(page: Page, measured_site: Server) -> None:
    page.locator("#panel-pages").get_by_role("link", name="/page-1").click()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("1")
    expect(page.locator("#filters")).to_contain_text("Page is /page-1")
    page.locator("#panel-pages").get_by_role("link", name="/page-1").click()
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")


def test_what_is_typed_into_a_filter_survives_a_tick(page: Page, measured_site: Server) -> None:
    page.locator("#pick-filter summary").click()
    page.locator("#pick-filter").get_by_role("link", name="Page", exact=True).click()
    page.get_by_text("contains", exact=True).click()
    page.get_by_label("Texts, a line each").fill("/pa")
    assert measured_site.collect(measured_site.token("example.com"), "/page-9").status_code == 200
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("5")
    expect(page.get_by_label("Texts, a line each")).to_have_value("/pa")
    expect(page.get_by_label("Texts, a line each")).to_be_focused()


def test_whoever_was_signed_out_meanwhile_is_asked_to_sign_in(page: Page, measured_site: Server) -> None:
    page.context.clear_cookies()
    page.locator("#panel-sources").get_by_role("link", name="Channels").click()
    page.wait_for_url("**/account/login/**")
    expect(page.locator("input[name=login]")).to_be_visible()


def test_single_keys_lead_to_periods_and_filters_unless_they_are_off(page: Page, measured_site: Server) -> None:
    page.keyboard.press("w")
    expect(page.locator("#pick-period summary")).to_contain_text("Last 7 days")
    assert "period=7d" in page.url
    page.keyboard.press("/")
    expect(page.locator("#pick-filter nav")).to_be_visible()
    page.keyboard.press("Enter")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("d?/")
    expect(search).to_have_value("d?/")
    search.fill("")  # Escape empties a search first
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Keys are on in this browser").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert "period=7d" in page.url
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Keys are on in this browser").check()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator("#pick-period summary")).to_contain_text("Today")


def test_the_chart_is_read_and_looked_into_by_keys_alone(page: Page, measured_site: Server) -> None:
    page.goto(f"{measured_site.url}{SITE}?period=24h")
    chart = page.get_by_role("slider")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("End")
    expect(chart).to_have_attribute("aria-valuenow", "23")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"now: "))
    for _ in range(2):
        page.keyboard.press("Shift+ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r":00 – .*:00$"))
    page.keyboard.press("Enter")
    page.wait_for_url("**from=*Z&to=*Z*")
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("4")
    assert 120 < page.locator("#panel-chart tbody tr").count() <= 180  # three hours by the minute, until now
    page.go_back()
    expect(page.locator("#panel-chart tbody tr")).to_have_count(24)


def test_a_drag_over_the_chart_leads_to_that_time(page: Page, measured_site: Server) -> None:
    page.goto(f"{measured_site.url}{SITE}?period=30d")
    box = page.get_by_role("slider").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=5)
    keep(page, "chart-drag")
    page.mouse.up()
    page.wait_for_url("**period=custom*")
    assert 5 <= page.locator("#panel-chart tbody tr").count() <= 200


def test_a_lost_connection_is_said_and_found_again(page: Page, measured_site: Server) -> None:
    view = page.context.new_page()  # refused connections are errors of the console, which `page` forbids
    page.close()
    view.goto(f"{measured_site.url}{SITE}?period=day")
    sentence = view.get_by_text("The server cannot be reached.")
    expect(view.locator("haru-connection")).to_have_count(1)
    expect(sentence).to_be_hidden()
    measured_site.kill()
    expect(sentence).to_be_visible(timeout=30_000)
    assert view.locator("html.lost").count() == 1
    measured_site.start()
    expect(sentence).to_be_hidden(timeout=60_000)
    assert measured_site.collect(measured_site.token("example.com"), "/back").status_code == 200
    expect(view.locator('[data-metric="pageviews"]')).to_have_text("5", timeout=30_000)


def test_an_answer_that_is_no_panel_leaves_the_panel_as_it_was(page: Page, measured_site: Server) -> None:
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/html", body="<h1>Sign in</h1>")

    page.route("**/panels/sources*", fail)
    with page.expect_response("**/panels/sources*"):
        measured_site.collect(measured_site.token("example.com"), "/page-9")
    expect(page.locator('[data-metric="pageviews"]')).to_have_text("5")
    expect(page.locator("#panel-sources")).to_contain_text("Google")
    assert asked
