"""The details of a panel: their numbers, order, search, pages, comparison and CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest

from haru.events.columns import COLUMNS
from haru.sites import goals
from haru.stats.vocabulary.dimensions import of
from haru.web.dashboard.breakdowns import details, tabs
from haru.web.dashboard.state import State, read
from tests.web.test_dashboard import NOW, events, href, look, with_filters  # noqa: F401

YESTERDAY = NOW - timedelta(days=1)


def heads(html: str) -> dict[str, str]:
    """The heads of the columns, each with what it says of the order."""
    found = re.findall(r'<th scope="col"( aria-sort="[a-z]+")?><a id="sort-[a-z_]+"[^>]*>([^<]*)', html)
    return {label: sort.partition('"')[2].strip('"') for sort, label in found}


def table(html: str) -> dict[str, list[str]]:
    """The rows by their name: each number, with its change behind it."""
    body = html.partition('id="details"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    found = re.findall(r'<th scope="row" title="([^"]*)">.*?</th>(.*?)</tr>', body, re.DOTALL)
    return {
        unescape(name): [
            " ".join(re.sub(r"<[^>]*>", " ", cell).split())
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells, re.DOTALL)
        ]
        for name, cells in found
    }


def leads(html: str, label: str) -> str:
    """Where the link of this label leads."""
    found = re.search(rf'<a[^>]* href="([^"]*)"[^>]*>(?:<svg.*?</svg>)?{label}', html.partition('id="details"')[2])
    assert found, f"no link {label}"
    return unescape(found[1])


@pytest.mark.parametrize("tab", tabs.ALL_TABS, ids=lambda tab: tab.name)
def test_every_tab_has_its_details(look, events, site, tab):  # noqa: F811
    columns = {of(dimension).column for each in tabs.ALL_TABS for dimension in each.dimensions}
    values = dict.fromkeys(columns.intersection(name for name, _ in COLUMNS) - {"name", "path"}, "7")
    events.add(**values)
    events.add(name="Signup", **values)
    goals.add_goal(site, event="Signup")
    panels = {**tabs.PANELS, tabs.GOALS: tabs.goals_group(True, ())}
    panel = next(name for name, group in panels.items() if tab in group.tabs)
    html = look(f"?period=day&details={panel}&{panel}={tab.name}")
    assert list(heads(html))[: 1 + len(tab.columns)] == [tab.head, *(head for _, head in tab.columns)]
    assert len(table(html)) == 1


def test_pages_have_what_only_pages_have_and_others_when_they_are_filtered_by_one(look, events):  # noqa: F811
    events.add(path="/a", source="Google")
    pages = list(heads(look("?period=day&details=pages")))
    assert pages[-3:] == ["Time on page", "Scroll depth", "Exit rate"]
    assert "Views per visit" not in pages
    sources = list(heads(look("?period=day&details=sources")))
    assert "Views per visit" in sources
    assert "Time on page" not in sources
    filtered = look("?period=day&details=sources" + with_filters(["is", "event:page", ["/a"]]))
    assert list(heads(filtered))[-2:] == ["Time on page", "Scroll depth"]
    assert "Exit rate" not in heads(look("?period=day&details=pages" + with_filters(["is", "event:page", ["/a"]])))


def test_a_column_sorts_and_sorts_the_other_way(look, events):  # noqa: F811
    for visitor, pages in ((1, 1), (2, 3), (3, 2)):
        for minute in range(pages):
            events.add(NOW - timedelta(minutes=20 - minute), visitor, source=f"S{visitor}")
    usual = look("?period=day&details=sources")
    assert [label for label, sort in heads(usual).items() if sort] == ["Visitors"]
    assert list(table(usual)) == ["S1", "S2", "S3"]
    down = look(leads(usual, "Pageviews"))
    assert heads(down)["Pageviews"] == "descending"
    assert heads(down)["Visitors"] == ""
    assert list(table(down)) == ["S2", "S3", "S1"]
    up = look(leads(down, "Pageviews"))
    assert heads(up)["Pageviews"] == "ascending"
    assert list(table(up)) == ["S1", "S3", "S2"]


def test_names_sort_as_they_are_read(look, events):  # noqa: F811
    for visitor, country in enumerate(("DE", "AT", "CH", "DE"), 1):
        events.add(visitor=visitor, country=country)
    by_name = look(leads(look("?period=day&details=locations"), "Country"))
    assert heads(by_name)["Country"] == "ascending"
    assert list(table(by_name)) == ["Austria", "Germany", "Switzerland"]
    assert list(table(look(leads(by_name, "Country")))) == ["Switzerland", "Germany", "Austria"]


def test_an_order_of_a_column_that_is_not_there_is_the_usual_one(look, events):  # noqa: F811
    events.add(source="Google")
    html = look("?period=day&details=sources&sort=exit_rate.asc")
    assert heads(html)["Visitors"] == "descending"
    assert "Google" in table(html)


def test_a_search_finds_what_people_read_in_capitals_or_not(look, events):  # noqa: F811
    for visitor, country in enumerate(("DE", "AT", "FR"), 1):
        events.add(visitor=visitor, country=country, browser="Firefox", browser_version=str(visitor))
    html = look("?period=day&details=locations&search=GERM")
    assert list(table(html)) == ["Germany"]
    assert "All 1." in html
    assert table(html)["Germany"][1].startswith("33.3%")  # of everyone, not of what was found
    assert 'value="GERM"' in html
    versions = "?period=day&details=devices&devices=browser_versions"
    assert list(table(look(versions + "&search=fox 2"))) == ["Firefox 2"]
    nothing = look("?period=day&details=locations&search=<b>")
    assert "Nothing here contains “&lt;b&gt;”" in nothing
    assert len(table(look(leads(nothing, "Show all")))) == 3


def test_rows_come_in_pages(look, events, monkeypatch):  # noqa: F811
    monkeypatch.setattr(details, "PAGE_ROWS", 3)
    for number in range(7):
        events.add(visitor=number, path=f"/page-{number}")
    html = look("?period=day&details=pages&compare=none")
    assert "1 – 3 of 7" in html
    assert 'rel="prev"' not in html
    second = look(leads(html, "Next"))
    assert list(table(second)) == ["/page-3", "/page-4", "/page-5"]
    third = look(leads(second, "Next"))
    assert "7 – 7 of 7" in third
    assert 'rel="next"' not in third
    assert list(table(look(leads(third, "Previous<")))) == list(table(second))
    assert "page=" not in leads(third, "Visits")  # another order begins at the first page
    behind = look("?period=day&details=pages&page=9")
    assert "There are no more rows." in behind
    assert list(table(look(leads(behind, "To the first page")))) == ["/page-0", "/page-1", "/page-2"]
    searched = look("?period=day&details=pages&search=page&page=2")
    assert list(table(searched)) == ["/page-3", "/page-4", "/page-5"]


def test_each_number_stands_beside_how_it_changed(look, events):  # noqa: F811
    events.add(YESTERDAY, 1, source="Google")
    events.add(YESTERDAY, 2, source="Bing")
    events.add(NOW - timedelta(minutes=5), 3, source="Google")
    events.add(NOW - timedelta(minutes=5), 4, source="Google")
    html = look("?period=day&details=sources")
    assert table(html)["Google"][:3] == ["2 up 100%", "100.0% up 100%", "2 up 100%"]
    assert table(html)["Bing"][:2] == ["0 down 100%", "0.0% down 100%"]
    assert table(look("?period=day&details=sources&compare=none")) == {
        "Google": ["2", "100.0%", "2", "2", "2", "1.00", "100%", "0s"]
    }


def test_rows_that_are_too_many_say_what_to_do(look, events, monkeypatch):  # noqa: F811
    from haru.stats import bounds

    for number in range(7):
        events.add(visitor=number, path=f"/page-{number}")
    monkeypatch.setattr(bounds, "MAX_CELLS", 20)
    assert "There are too many rows to be compared" in look("?period=day&details=pages")


def test_csv_is_what_is_shown(look, events, sign_in, owner):  # noqa: F811
    for visitor, country in enumerate(("DE", "AT", "AT", "FR"), 1):
        events.add(visitor=visitor, country=country, path="/a")
    events.add(YESTERDAY, 9, country="DE")
    html = look("?period=day&details=locations&search=a&sort=name.desc" + with_filters(["is", "event:page", ["/a"]]))
    answer = sign_in(owner).get(f"/sites/example.com{leads(html, 'Export as CSV').removeprefix('/sites/example.com')}")
    lines = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))
    assert lines[0][:4] == ["country", "country_name", "visitors", "percentage"]
    assert "visitors_change" in lines[0]
    assert [line[1] for line in lines[1:]] == list(table(html)) == ["Germany", "France", "Austria"]
    assert [line[2] for line in lines[1:]] == ["1", "1", "2"]


def test_a_name_from_outside_is_text(look, events):  # noqa: F811
    events.add(path='/<script>alert(1)</script>"\u202e')
    html = look("?period=day&details=pages&search=" + quote('"><img src=x>'))
    assert "<img src=x>" not in html
    assert "<script>alert" not in look("?period=day&details=pages")


@pytest.mark.parametrize(
    "view",
    [
        State(period="7d", details="pages", sort="visits.asc", search="a&b=ü", page=3),
        State(period="7d", details="sources", sources="utm_terms", sort="name.desc"),
    ],
)
def test_an_address_of_details_is_read_as_it_was_written(view):
    assert read(dict(view.pairs()), "30d") == view


def test_without_details_nothing_of_them_is_in_the_address():
    view = State(period="7d", details="pages", sort="visits.asc", search="a", page=3)
    assert view.address(details="") == "?period=7d"
    assert view.address(pages="exit") == "?period=7d&pages=exit&details=pages&sort=visits.asc"


@pytest.mark.parametrize(
    "rubbish",
    [
        {"sort": "money.asc"},
        {"sort": "visits.up"},
        {"sort": "visits"},
        {"page": "0"},
        {"page": "-1"},
        {"page": "\u0663"},
    ],
)
def test_what_cannot_be_used_of_details_is_left_aside(rubbish):
    assert read({"details": "pages", **rubbish}, "30d") == State(period="30d", details="pages")


def test_a_search_is_bounded_and_can_be_stored():
    assert len(read({"search": "x" * 10_000}, "30d").search) == 200
    assert read({"search": "a\x00b"}, "30d").search == "a\ufffdb"
    assert read({"details": "pages", "page": "9" * 9}, "30d").page == 10_000


def test_strangers_find_no_details_and_everyone_of_the_team_looks(events, sign_in, owner, team_mate, stranger):  # noqa: F811
    events.add()
    address = "/sites/example.com?details=pages&sort=visits.asc&search=x&page=2"
    assert sign_in(owner).get(address).status_code == 200
    assert sign_in(team_mate).get(address).status_code == 200
    assert sign_in(stranger).get(address).status_code == 404
    assert sign_in().get(address).status_code == 302


def test_over_a_dashboard_details_are_a_dialog_for_whoever_may_see_them(events, sign_in, owner, stranger):  # noqa: F811
    events.add()
    address = "/sites/example.com?period=day&details=pages"
    dialog = sign_in(owner).get(address, headers={"HX-Request": "true"}).content.decode()
    assert dialog.startswith('<haru-dialog id="details-dialog"')
    assert "<html" not in dialog
    assert sign_in(stranger).get(address, headers={"HX-Request": "true"}).status_code == 404


def test_more_exits_are_not_welcome(look, events):  # noqa: F811
    events.add(YESTERDAY, 1, path="/a")
    events.add(YESTERDAY + timedelta(minutes=1), 1, path="/b")
    events.add(NOW - timedelta(minutes=5), 2, path="/a")
    html = look("?period=day&details=pages")
    assert table(html)["/a"][-1] == "100.0% up 100 pt"
    cell = html.partition('title="/a"')[2].partition("</tr>")[0].rpartition("<td")[2]
    assert 'class="change text-error"' in cell
