"""The tabs of the panels: what each breaks down by, and where its rows lead."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from haru.stats.vocabulary.dimensions import DIMENSIONS, Level
from haru.web.dashboard.breakdowns import tabs
from tests.web.test_dashboard import NOW, events, href, look, part, rows, total  # noqa: F401


@pytest.mark.parametrize(
    ("panel", "tab", "expected"),
    [
        ("sources", "sources", [("Google", "1")]),
        ("sources", "channels", [("Organic Search", "1")]),
        ("sources", "referrers", [("google.com/search", "1")]),
        ("sources", "campaigns", [("spring", "1")]),
        ("sources", "utm_sources", [("letter", "1")]),
        ("sources", "utm_mediums", [("mail", "1")]),
        ("sources", "utm_contents", [("top", "1")]),
        ("sources", "utm_terms", [("seeds", "1")]),
        ("pages", "pages", [("/in", "1"), ("/out", "1")]),
        ("pages", "entry", [("/in", "1")]),
        ("pages", "exit", [("/out", "1")]),
        ("pages", "hosts", [("example.com", "1")]),
        ("pages", "entry_hosts", [("example.com", "1")]),
        ("pages", "exit_hosts", [("example.com", "1")]),
        ("locations", "countries", [("Germany", "1")]),
        ("locations", "regions", [("Berlin, Germany", "1")]),
        ("locations", "cities", [("Berlin, Germany", "1")]),
        ("locations", "languages", [("Greek", "1")]),
        ("devices", "browsers", [("Firefox", "1")]),
        ("devices", "browser_versions", [("Firefox 128", "1")]),
        ("devices", "os", [("Linux", "1")]),
        ("devices", "os_versions", [("Linux (not set)", "1")]),
        ("devices", "devices", [("Tablet", "1")]),
        ("devices", "screens", [("1920x1080", "1")]),
    ],
)
def test_each_tab_breaks_down_by_its_own(look, events, panel, tab, expected):  # noqa: F811
    origin = {
        "source": "Google",
        "channel": "Organic Search",
        "referrer": "google.com/search",
        "utm_campaign": "spring",
        "utm_source": "letter",
        "utm_medium": "mail",
        "utm_content": "top",
        "utm_term": "seeds",
        "hostname": "example.com",
        "country": "DE",
        "region": "DE-BE",
        "city": "2950159",
        "language": "el",
        "browser": "Firefox",
        "browser_version": "128",
        "os": "Linux",
        "device": "Tablet",
        "screen": "1920x1080",
    }
    events.add(NOW - timedelta(minutes=4), path="/in", **origin)
    events.add(NOW - timedelta(minutes=3), path="/out", **origin)
    html = look(f"?period=day&{panel}={tab}")
    assert rows(html, panel) == expected
    assert rows(look(f"/panels/{panel}?period=day&{panel}={tab}"), panel) == expected
    # Whoever follows a row sees its visitors, and comes back by the same row's chip.
    assert total(look(href(part(html, panel), expected[0][0])), "visitors") == "1"


def test_everything_that_questions_can_be_broken_down_by_has_a_tab():
    shown = {dimension for tab in tabs.ALL_TABS for dimension in tab.dimensions}
    named = {f"{dimension}_name" for dimension in shown}
    can = {name for name, dimension in DIMENSIONS.items() if dimension.level is not Level.TIME}
    assert can - named == shown


def test_the_names_of_tabs_are_unique():
    names = [tab.name for tab in tabs.ALL_TABS]
    assert len(set(names)) == len(names)
    assert {tab.opens for tab in tabs.ALL_TABS} - {""} <= set(names)


def test_a_menu_of_tabs_bears_the_name_of_the_open_one(look, events):  # noqa: F811
    events.add()
    menu = r'<details id="sources-menu-4">\s*<summary([^>]*)>(.*?)<svg'
    assert re.search(menu, look("?period=day"))[2] == "Campaigns"
    assert re.search(menu, look("?period=day"))[1] == ""
    found = re.search(menu, look("?period=day&sources=utm_terms"))
    assert (found[1], found[2]) == (' aria-current="true"', "UTM terms")
    found = re.search(menu, look("?period=day&sources=campaigns"))
    assert (found[1], found[2]) == (' aria-current="true"', "Campaigns")


def test_a_row_opens_what_is_inside_of_it(look, events):  # noqa: F811
    events.add(source="Google", referrer="google.com/search", country="DE", region="DE-BE", city="2950159")
    events.add(visitor=2)
    html = look("?period=day")
    assert rows(look(href(html, "Google")), "sources") == [("google.com/search", "1")]
    assert "sources=" not in href(html, "Direct / None")
    regions = look(href(html, "Germany"))
    assert rows(regions, "locations") == [("Berlin, Germany", "1")]
    cities = look(href(regions, "Berlin, Germany"))
    assert rows(cities, "locations") == [("Berlin, Germany", "1")]
    city = look(href(part(cities, "locations"), "Berlin, Germany"))
    assert "City is <b>Berlin</b>" in city
    assert total(look(href(part(city, "locations"), "Berlin, Germany")), "visitors") == "1"


def test_a_version_filters_together_with_its_browser(look, events):  # noqa: F811
    events.add(visitor=1, browser="Firefox", browser_version="128")
    events.add(visitor=2, browser="Firefox", browser_version="127")
    events.add(visitor=3, browser="Chrome", browser_version="128")
    html = look("?period=day&devices=browser_versions")
    narrow = href(html, "Firefox 128")
    assert json.loads(parse_qs(narrow[1:])["filters"][0]) == [
        ["is", "visit:browser", ["Firefox"]],
        ["is", "visit:browser_version", ["128"]],
    ]
    assert total(look(narrow), "visitors") == "1"
    assert "filters" not in href(look(narrow), "Firefox 128")
    assert rows(look(href(look("?period=day"), "Firefox")), "devices") == [("Firefox 127", "1"), ("Firefox 128", "1")]
