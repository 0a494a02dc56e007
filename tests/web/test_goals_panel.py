"""The panel of goals, properties and events: when it is there, what it counts, and where its rows lead."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest

from haru.sites import goals
from haru.web.dashboard.state import State, read
from tests.web.test_dashboard import NOW, events, href, look, part, total, with_filters  # noqa: F401
from tests.web.test_details import heads, leads
from tests.web.test_details import table as details_table

PANEL = "/panels/goals?period=day"


def table(html: str) -> dict[str, list[str]]:
    """The rows of the panel by their name: each number."""
    found = re.findall(r'<th scope="row" title="([^"]*)">.*?</th>(.*?)</tr>', part(html, "goals"), re.DOTALL)
    return {unescape(name): re.findall(r"<td[^>]*>([^<]*)", cells) for name, cells in found}


def columns(html: str) -> list[str]:
    return re.findall(r'<th scope="col">([^<]*)', part(html, "goals"))


def tabs(html: str) -> list[str]:
    """The tabs, and what is in their menu."""
    nav = part(html, "goals").partition('<nav class="tabs"')[2].partition("</nav>")[0]
    return [unescape(label) for label in re.findall(r"<a [^>]*>([^<]*)", nav)]


@pytest.fixture
def visits(events):  # noqa: F811
    """Four visitors: two sign up, one of them twice; one of these buys."""
    for visitor in range(1, 5):
        events.add(NOW - timedelta(minutes=10), visitor)
    for visitor, plan in ((1, "pro"), (1, "pro"), (2, "free")):
        events.add(visitor=visitor, name="Signup", props=json.dumps({"plan": plan}))
    events.add(visitor=1, name="Purchase", revenue_currency="EUR", revenue_amount="1250.00")
    return events


def test_a_site_with_neither_goals_nor_properties_nor_events_has_no_such_panel(look, events, site):  # noqa: F811
    events.add()
    assert 'id="panel-goals"' not in look("?period=day")
    goals.add_goal(site, event="Signup")
    assert 'id="panel-goals"' in look("?period=day")


def test_goals_have_uniques_totals_rate_and_revenue(look, visits, site):  # noqa: F811
    goals.add_goal(site, event="Signup")
    assert columns(look(PANEL)) == ["Goal", "Uniques", "Total", "Conv. rate"]
    assert table(look(PANEL)) == {"Signup": ["2", "3", "50.0%"]}
    goals.add_goal(site, event="Purchase", currency="EUR")
    goals.add_goal(site, page="/", scroll=50)
    html = look("?period=day")
    assert table(html) == {"Signup": ["2", "3", "50.0%"], "Purchase": ["1", "1", "25.0%"]}
    purchase = part(html, "goals").partition('title="Purchase"')[2].partition("</tr>")[0]
    assert '<span class="badge">€1.2K</span>' in purchase
    assert part(html, "goals").count('class="badge"') == 1


def test_a_goal_of_scroll_has_no_total(look, events, site):  # noqa: F811
    events.add()
    events.add(name="engagement", scroll_depth=80, engaged_ms=1000)
    goals.add_goal(site, page="/", scroll=50)
    assert table(look(PANEL)) == {"Scroll 50% on /": ["1", "–", "100.0%"]}


def test_a_goal_filters_and_its_rate_is_of_everyone(look, visits, site):  # noqa: F811
    goals.add_goal(site, event="Signup")
    html = look(href(look("?period=day"), "Signup"))
    assert total(html, "visitors") == "2"
    assert table(html) == {"Signup": ["2", "3", "50.0%"]}


def test_the_values_of_each_property_can_be_chosen(look, visits):  # noqa: F811
    visits.add(visitor=3, name="Vote", props='{"choice": "a"}')
    html = look("?period=day")
    assert tabs(html) == ["plan", "choice", "Events"]
    assert columns(html) == ["plan", "Visitors", "Events", "Share"]
    assert table(html) == {"free": ["1", "1", "50.0%"], "pro": ["1", "2", "50.0%"]}
    other = look(leads_to(html, "choice"))
    assert table(other) == {"a": ["1", "1", "100.0%"]}
    assert "prop=choice" in leads_to(html, "choice")
    filtered = look(href(html, "pro"))
    assert total(filtered, "visitors") == "1"
    assert "plan is <b>pro</b>" in filtered


def leads_to(html: str, label: str) -> str:
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{label}', part(html, "goals"))
    assert found, f"no link {label}"
    return unescape(found[1])


def test_events_are_those_that_are_no_pageviews(look, visits):  # noqa: F811
    visits.add(visitor=3, name="engagement")
    html = look("?period=day&goals=events")
    assert table(html) == {"Signup": ["2", "3"], "Purchase": ["1", "1"]}
    assert total(look(href(part(html, "goals"), "Purchase")), "visitors") == "1"


def test_details_of_goals_have_their_rate_and_their_revenue(look, visits, site, sign_in, owner):  # noqa: F811
    goals.add_goal(site, event="Purchase", currency="EUR")
    html = look("?period=day&details=goals&compare=none")
    assert list(heads(html))[:7] == ["Goal", "Uniques", "Total", "Conv. rate", "Share", "Revenue", "Average revenue"]
    assert details_table(html)["Purchase"][:6] == ["1", "1", "25.0%", "25.0%", "€1.2K", "€1.2K"]
    answer = sign_in(owner).get(leads(html, "Export as CSV"))
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))
    assert rows[1][0] == "Purchase"
    assert dict(zip(*rows, strict=True))["total_revenue"] == "1250.0 EUR"


def test_under_a_goal_every_row_has_a_rate(look, visits, site):  # noqa: F811
    goals.add_goal(site, event="Signup")
    html = look("?period=day&details=pages&compare=none" + with_filters(["is", "event:goal", ["Signup"]]))
    assert list(heads(html))[:4] == ["Page", "Visitors", "Share", "Conversion rate"]
    assert details_table(html)["/"][:3] == ["2", "100.0%", "50.0%"]


def test_details_of_a_property_and_their_csv(look, visits, sign_in, owner):  # noqa: F811
    html = look("?period=day&details=goals&goals=properties&prop=plan&search=PRO&compare=none")
    assert list(details_table(html)) == ["pro"]
    answer = sign_in(owner).get(leads(html, "Export as CSV"))
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))
    assert rows[0][0] == "props:plan"
    assert [row[0] for row in rows[1:]] == ["pro"]
    assert sign_in(owner).get("/sites/example.com/export/properties.csv").status_code == 404


def test_a_property_that_the_period_has_not_is_shown_without_rows(look, visits):  # noqa: F811
    html = look("?period=day&goals=properties&prop=gone")
    assert table(html) == {}
    assert "gone" in tabs(html)


def test_keys_and_values_from_outside_are_text(look, events):  # noqa: F811
    key, value = "<script>k\u202e", '"><img src=x>'
    events.add(name="x", props=json.dumps({key: value}))
    html = look("?period=day")
    assert "<script>k" not in html
    assert "<img src=x>" not in html
    assert list(table(html)) == [value]
    assert list(table(look(f"?period=day&goals=properties&prop={quote(key)}"))) == [value]


@pytest.mark.parametrize("prop", ["x" * 301, "a\x00", "\ud800", ""])
def test_a_key_that_no_property_has_is_left_aside(prop):
    assert read({"goals": "properties", "prop": prop}, "30d") == State(period="30d", goals="properties")


def test_a_view_of_a_property_survives_its_address():
    view = State(period="7d", goals="properties", prop="a&b = ü")
    assert read(dict(view.pairs()), "30d") == view


def test_the_panel_is_for_whoever_may_see_the_site(visits, sign_in, owner, team_mate, stranger):
    address = f"/sites/example.com{PANEL}"
    assert "pro" in sign_in(owner).get(address).content.decode()
    assert "pro" in sign_in(team_mate).get(address).content.decode()
    assert sign_in(stranger).get(address).status_code == 404
    assert sign_in().get(address).status_code == 302
