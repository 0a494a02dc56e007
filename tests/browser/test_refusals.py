"""The page of the refusal ledger in a real browser."""

from __future__ import annotations

import time

import duckdb
import pytest
from playwright.sync_api import Browser, Page, expect

from haru.clock import HOUR_MS
from tests.browser.conftest import keep
from tests.browser.test_dashboard import SCREENS, measured_site, violations  # noqa: F401
from tests.rounds import long
from tests.server import Server

pytestmark = pytest.mark.browser

REFUSALS = "/sites/example.com/refusals"
LEDGER = (
    ("bot", "GPTBot", 30),
    ("bot", "ClaudeBot", 12),
    ("bot", "", 4),
    ("excluded_address", "", 3),
    ("rate_limited", "", 2),
    ("invalid", "p", 1),
)


@pytest.fixture
def refused(page: Page, measured_site: Server) -> Server:  # noqa: F811
    """The measured site with refusals of this hour and the one before."""
    page.goto("about:blank")  # the dashboard would miss its stream
    measured_site.call("load")
    measured_site.stop()
    now = int(time.time() * 1000) // HOUR_MS * HOUR_MS
    with duckdb.connect(str(measured_site.data_dir / "events.duckdb")) as store:
        found = store.execute("SELECT any_value(site_id) FROM event").fetchone()
        assert found is not None
        for reason, detail, count in LEDGER:
            for hour in (now, now - HOUR_MS):
                store.execute(
                    "INSERT INTO refusal VALUES ($1, make_timestamp_ms($2), $3, $4, $5)",
                    [found[0], hour, reason, detail, count],
                )
    return measured_site.start()


@long
def test_axe_finds_nothing_in_either_theme_on_wide_and_narrow_screens(
    browser: Browser, page: Page, refused: Server
) -> None:
    page.goto(f"{refused.url}{REFUSALS}")
    expect(page.locator('[data-reason="bot"]')).to_contain_text("92")
    state = page.context.storage_state()
    for scheme, width in SCREENS:
        context = browser.new_context(
            storage_state=state,
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
        )
        view = context.new_page()
        for address in (REFUSALS, f"{REFUSALS}?period=yesterday", "/sites/example.com/settings"):
            view.goto(f"{refused.url}{address}")
            assert violations(view) == []
            assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.goto(f"{refused.url}{REFUSALS}")
        expect(view.locator("haru-chart canvas")).to_be_visible()
        keep(view, f"refusals-{scheme}-{width}")
        view.get_by_text("The reasons that did not occur").click()
        view.locator("#pick-period summary").click()
        assert violations(view) == []
        context.close()


def test_from_the_dashboard_one_finds_out_where_a_hit_went(page: Page, refused: Server) -> None:
    page.goto(f"{refused.url}/sites/example.com?period=day")
    page.get_by_role("link", name="Where did my hit go?").click()
    expect(page.get_by_role("heading", name="Where did my hit go?")).to_be_visible()
    expect(page.locator("dl").first).to_contain_text("104")
    expect(page.get_by_role("region", name="AI crawlers").get_by_role("row", name="GPTBot")).to_contain_text("60")
    row = page.locator('[data-reason="excluded_address"]')
    link = row.get_by_role("link", name="What is counted")
    assert link.get_attribute("href") == "/sites/example.com/settings/counting"
    page.locator("haru-chart summary").click()
    last = page.locator("haru-chart tbody tr[data-unfinished] td")
    expect(last.nth(1)).to_have_text("52")
    page.locator("#pick-period summary").click()
    page.get_by_role("link", name="Yesterday", exact=True).click()
    page.wait_for_url("**/refusals?period=yesterday")
    page.get_by_role("link", name="Dashboard").click()
    expect(page.locator("[data-current-visitors]").first).to_be_visible()


def test_the_numbers_are_there_without_scripts(browser: Browser, page: Page, refused: Server) -> None:
    context = browser.new_context(storage_state=page.context.storage_state(), java_script_enabled=False)
    view = context.new_page()
    view.goto(f"{refused.url}{REFUSALS}")
    expect(view.get_by_role("table", name="Accepted and refused")).to_be_visible()
    expect(view.get_by_role("table", name="Refused hits by reason")).to_contain_text("excluded_address")
    context.close()
