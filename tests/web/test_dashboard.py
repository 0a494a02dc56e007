"""The dashboard, rendered over a real event store."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import quote, unquote

import pytest
from django.db import OperationalError

from haru.events.columns import COLUMNS
from haru.live import Live
from haru.sites import registry
from haru.sites.models import RememberedView
from haru.stats.answers import Reports
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress
from haru.web.dashboard import views as dashboard
from haru.web.dashboard.state import COMPARISONS, PERIODS
from haru.web.project import services

NOW = datetime(2026, 1, 15, 12, 0)  # UTC; one o'clock in Berlin
NOW_MS = int(NOW.replace(tzinfo=UTC).timestamp() * 1000)
_EMPTY = {"VARCHAR": "", "BIGINT": 0, "SMALLINT": -1, "BOOLEAN": True, "TIMESTAMP": NOW_MS}


def _ms(when: datetime) -> int:
    return int(when.replace(tzinfo=UTC).timestamp() * 1000)


class Events:
    """Rows of the store, written by hand."""

    def __init__(self, site_id: int) -> None:
        self.store = DuckStore(None)
        self.reports = Reports(self.store)
        self.live = Live()
        self.site_id = site_id
        self.count = 0

    def add(self, when: datetime = NOW - timedelta(minutes=3), visitor: int = 1, **values: object) -> None:
        self.count += 1
        row = {name: _EMPTY[kind] for name, kind in COLUMNS}
        row |= {"id": self.count, "site_id": self.site_id, "occurred_at": _ms(when), "name": "pageview", "props": "{}"}
        row |= {"visitor_id": visitor, "visit_id": visitor, "path": "/", **values}
        self.store.load([tuple(row.values())], Progress(self.count))
        self.reports.asking.invalidate([self.site_id])


@pytest.fixture
def events(site, monkeypatch):
    events = Events(site.pk)
    monkeypatch.setattr(dashboard, "now_ms", lambda: NOW_MS)
    services.use(
        services.Services(
            reports=events.reports,
            live=events.live,
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
        )
    )
    yield events
    services.use(None)
    events.store.close()


@pytest.fixture
def look(events, sign_in, owner):
    """The text of a page of the site, for its owner."""
    browser = sign_in(owner)

    def page(address: str = "") -> str:
        answer = browser.get(f"/sites/example.com{address}")
        assert answer.status_code == 200, answer
        return answer.content.decode()

    return page


def total(html: str, metric: str) -> str:
    found = re.search(rf'data-metric="{metric}"[^>]*>([^<]*)<', html)
    assert found, f"{metric} is not on the page"
    return found[1]


def rows(html: str, panel: str) -> list[tuple[str, str]]:
    part = html.partition(f'id="panel-{panel}"')[2].partition("</haru-panel>")[0]
    return re.findall(r'<th scope="row" title="([^"]*)">.*?<td[^>]*>([^<]*)<', part, re.DOTALL)


def test_a_site_without_events_waits_and_shows_its_snippet_to_those_who_manage_it(look, site, sign_in, team_mate):
    html = look()
    assert "Waiting for the first visit" in html
    assert site.token in html
    assert "/sites/example.com/live" in html
    theirs = sign_in(team_mate).get("/sites/example.com").content.decode()
    assert "Waiting for the first visit" in theirs
    assert site.token not in theirs


def test_the_whole_page_comes_in_one_answer(look, events):
    events.add(source="Google", country="DE", browser="Firefox", os="Linux", device="Desktop", path="/first")
    events.add(source="Google", country="DE", browser="Firefox", os="Linux", device="Desktop", path="/second")
    events.add(visitor=2, country="FR", browser="Safari", os="iOS", device="Mobile", path="/first")
    html = look("?period=day")
    assert total(html, "visitors") == "2"
    assert total(html, "visits") == "2"
    assert total(html, "pageviews") == "3"
    assert total(html, "views_per_visit") == "1.50"
    assert total(html, "bounce_rate") == "50%"
    assert rows(html, "sources") == [("Direct / None", "1"), ("Google", "1")]
    assert rows(html, "pages") == [("/first", "2"), ("/second", "1")]
    assert rows(html, "locations") == [("Germany", "1"), ("France", "1")]
    assert rows(html, "devices") == [("Firefox", "1"), ("Safari", "1")]


def test_visits_without_a_campaign_are_no_campaign(look, events):
    events.add()
    assert rows(look("?period=day&sources=campaigns"), "sources") == []
    assert "Nothing in this period." in look("/panels/sources?period=day&sources=campaigns")


def test_a_dashboard_opens_on_the_last_day_by_the_hour(look, events):
    events.add()
    html = look()
    assert "Last 24 hours" in part(html, "chart") or 'aria-current="true">Last 24 hours' in html
    assert part(html, "chart").count("<tr data-label") == 24
    assert "Jan 14, 14:00 – now" in part(html, "chart")


def test_a_dashboard_opens_as_each_person_left_it(look, events, sign_in, team_mate):
    events.add(NOW - timedelta(days=2), country="DE", source="Google")
    look("?period=7d&metric=visits&sources=channels" + with_filters(["is", "visit:country", ["DE"]]))
    html = look()
    assert re.search('aria-current="true">Last 7 days', html)
    assert '<div class="chosen">' in html
    assert re.search('aria-current="true">Channels', html)
    assert "Country is" not in html
    theirs = sign_in(team_mate).get("/sites/example.com").content.decode()
    assert re.search('aria-current="true">Last 24 hours', theirs)
    look("?period=custom&from=2026-01-01&to=2026-01-02&metric=pageviews")
    html = look()
    assert re.search('aria-current="true">Last 24 hours', html)
    look("?period=28d&details=pages")
    assert re.search('aria-current="true">Last 28 days', look("?metric=visits&period=28d"))


def test_what_cannot_be_remembered_is_shown_all_the_same(look, events, monkeypatch):
    events.add()

    def refused(**_: object) -> None:
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(RememberedView.objects, "update_or_create", refused)
    assert total(look("?period=day"), "visitors") == "1"


def test_a_period_without_visits_offers_the_month_that_has_some(look, events):
    events.add(datetime(2015, 5, 17, 10), path="/old")
    events.add(datetime(2015, 7, 2, 10), path="/newer")
    html = look("?period=24h")
    assert "the newest are of July 2015" in html
    found = re.search('href="([^"]*)">Show July 2015', html)
    assert "/newer" in look(unescape(found[1]))
    html = look("?period=custom&from=2015-01-01&to=2015-02-01")
    assert "before the first visit, which was in May 2015" in html
    assert "Show July 2015" not in look("?period=custom&from=2015-05-17&to=2015-05-17")
    assert "Show July 2015" not in look("?period=24h" + with_filters(["is", "visit:country", ["DE"]]))


def test_a_period_that_ends_yesterday_says_so_and_another_year_is_named(look, events):
    events.add(NOW - timedelta(days=2))
    assert "Jan 8 – Jan 14, to yesterday" in part(look("?period=7d"), "chart")
    assert "Dec 16, 2025 – Jan 14, to yesterday" in part(look("?period=30d"), "chart")
    assert "to yesterday" not in look("?period=custom&from=2026-01-02&to=2026-01-05")


def test_switching_the_site_and_the_ledger_keep_the_view(look, events, owner):
    events.add()
    registry.create_site("other.example", "UTC", owner)
    html = look("?period=7d&sources=channels")
    assert 'href="/sites/other.example?period=7d&amp;sources=channels"' in html
    assert 'href="/sites/example.com/refusals?period=7d&amp;sources=channels"' in html
    assert 'href="/sites/example.com?period=7d' in look("/refusals?period=7d&sources=channels")


def test_a_rubbish_address_shows_the_usual(look, events):
    events.add()
    html = look("?period=never&metric=x&interval=eon&compare=?&sources=../&details=%00")
    assert total(html, "pageviews") == "1"


def test_changes_are_against_the_previous_period_and_fewer_bounces_are_good(look, events):
    yesterday = NOW - timedelta(days=1)
    for visitor in (1, 2):
        events.add(yesterday, visitor)
    for visitor in (3, 4, 5):
        events.add(NOW - timedelta(minutes=5), visitor)
    events.add(NOW - timedelta(minutes=4), 3)
    html = look("/panels/top?period=day")
    visitors = html.partition('data-metric="visitors"')[2].partition("</dd>")[0]
    assert "text-success" in visitors
    assert "50%" in visitors
    bounces = html.partition('data-metric="bounce_rate"')[2].partition("</dd>")[0]
    assert "text-success" in bounces
    assert "down" in bounces
    assert "33 pt" in bounces
    assert 'class="change' not in look("/panels/top?period=day&compare=none")


def number(html, metric):
    """A top number and its change, without the marks between them."""
    cell = html.partition(f'data-metric="{metric}"')[2].partition("</dd>")[0].partition(">")[2]
    return re.sub(r"<[^>]*>", " ", cell).split()


def test_a_change_from_an_empty_period_is_a_dash_and_one_to_it_is_all(look, events):
    events.add(NOW - timedelta(minutes=5), 1)
    today = look("/panels/top?period=day")
    assert {metric: number(today, metric) for metric in ("visitors", "pageviews", "bounce_rate")} == {
        "visitors": ["1", "–"],
        "pageviews": ["1", "–"],
        "bounce_rate": ["100%", "–"],
    }
    assert "text-error" not in today
    assert "text-success" not in today
    after = look("/panels/top?period=custom&from=2026-01-16&to=2026-01-16")
    assert number(after, "visitors") == ["0", "down", "100%"]
    assert [number(after, metric) for metric in ("bounce_rate", "visit_duration", "views_per_visit")] == [
        ["–", "–"]
    ] * 3


def test_a_running_period_is_compared_to_the_same_moment_and_says_so(look, events, monkeypatch):
    yesterday = NOW - timedelta(days=1)
    events.add(NOW - timedelta(minutes=5), 1)
    events.add(yesterday - timedelta(hours=1), 2)
    events.add(yesterday + timedelta(hours=1), 3)
    today = look("/panels/top?period=day")
    assert number(today, "visitors") == ["1", "0%"]
    assert "Changes are against Jan 14 until 13:00" in today
    monkeypatch.setattr(dashboard, "now_ms", lambda: NOW_MS + 20_000)
    look("/panels/top?period=24h")
    monkeypatch.setattr(dashboard, "now_ms", lambda: NOW_MS + 30_000)
    assert "Changes are against Jan 13 – Jan 14 until 13:00" in look("/panels/top?period=24h")
    assert "Changes are against" not in look("/panels/top?period=yesterday")
    assert "Changes are against" not in look("/panels/top?period=day&compare=none")
    # The line of the other day is shown whole.
    chart = look("/panels/chart?period=day")
    assert re.search(r'data-label="14:00"[^>]*><th[^>]*>[^<]*</th><td></td><td data-value="1">1</td>', chart)


def test_the_country_of_a_region_stands_beside_its_name(look, events):
    events.add(visitor=1, region="AG-03", country="AG")
    events.add(visitor=2, region="VC-04", country="VC")
    events.add(visitor=3)
    html = look("/panels/locations?period=day&locations=regions")
    assert re.findall(r'<th scope="row" title="([^"]*)"', html) == [
        "(not set)",
        "Saint George, Antigua & Barbuda".replace("&", "&amp;"),
        "Saint George, St. Vincent & Grenadines".replace("&", "&amp;"),
    ]
    assert 'Saint George <span class="text-muted">' in html


def test_rates_of_nobody_are_a_dash_and_a_gap_in_the_chart(look, events):
    events.add(NOW - timedelta(hours=2), 1)
    html = look("/panels/chart?period=day&metric=bounce_rate&compare=none")
    found = re.findall(r'<tr data-label="(..):00"[^>]*><th[^>]*>[^<]*</th><td([^>]*)>([^<]*)</td>', html)
    assert found[10:15] == [
        ("10", "", "–"),
        ("11", ' data-value="100"', "100%"),
        ("12", "", "–"),
        ("13", "", "–"),
        ("14", "", ""),  # is to come
    ]
    counts = look("/panels/chart?period=day&metric=visitors&compare=none")
    assert (
        'data-label="10:00" data-from="2026-01-15T09:00Z" data-to="2026-01-15T09:59Z"><th scope="row">Thu, Jan 15, 10:00</th><td data-value="0">0</td>'
        in counts
    )


def test_the_chart_has_every_bucket_and_leaves_the_future_open(look, events):
    events.add(NOW - timedelta(minutes=30))
    html = look("/panels/chart?period=day&compare=none")
    lines = re.findall(
        r'<tr data-label="([^"]+)"( data-unfinished)?[^>]*><th[^>]*>[^<]*</th><td(?: data-value="(\d+)")?', html
    )
    assert len(lines) == 24
    assert [line for line in lines if line[2] and int(line[2])] == [("12:00", "", "1")]
    assert [line[0] for line in lines if line[1]] == ["13:00"]
    assert all(not line[2] for line in lines[14:])


def test_the_chart_shows_the_metric_and_the_interval_asked_for(look, events):
    events.add(NOW - timedelta(days=2))
    html = look("/panels/chart?period=30d&metric=pageviews&interval=week")
    assert "Pageviews over time" in html
    assert html.count("Week of") == 5
    assert "Dec 16, 2025 – Jan 14" in html


def test_an_interval_that_would_be_unreadable_is_not_used(look, events):
    events.add(NOW - timedelta(days=2))
    assert look("/panels/chart?period=12mo&interval=minute&compare=none").count("<tr data-label") == 53


def test_only_a_period_that_includes_now_asks_for_news(look, events):
    events.add()
    assert look("?period=day").count(" data-live") == 6
    assert " data-live" not in look("?period=yesterday")


def test_each_panel_says_what_it_cost_and_when_it_was_computed(look, events):
    events.add()
    for panel in ("top", "chart", "sources", "pages", "locations", "devices"):
        html = look(f"/panels/{panel}?period=day")
        assert re.search(r'data-cost="\d+\.\d"', html)
        assert f'data-at="{NOW_MS}"' in html


def test_counting_one_person_on_several_days_is_said_where_the_number_stands(look, events):
    events.add(NOW - timedelta(days=2))
    assert "up to three visitors" in look("?period=7d")
    assert "up to three visitors" not in look("?period=day")


def test_who_is_there_right_now_is_counted(look, events, site):
    events.add()
    events.live.visitors.seen([(site.pk, 7, NOW_MS)], NOW_MS)
    assert re.search(r"data-current-visitors>1<", look("?period=day"))


def test_a_path_from_outside_is_text(look, events):
    events.add(path="/<script>alert(1)</script>", source='"><img src=x>')
    html = look("?period=day")
    assert "<script>alert" not in html
    assert "<img src=x>" not in html


def test_nothing_on_the_page_is_inline(look, events):
    events.add()
    for html in (look("?period=day"), look("?period=day&details=pages")):
        assert " style=" not in html
        assert "<style" not in html
        assert not re.search(r"<script(?![^>]* src=)", html)
        assert not re.search(r" on[a-z]+=", html)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "?details=pages",
        "/panels/top",
        "/panels/sources",
        "/filter?dimension=event:page",
        "/filter/values?dimension=event:page",
    ],
)
def test_strangers_find_nothing_and_everyone_of_the_team_looks(events, sign_in, owner, team_mate, stranger, address):
    events.add()
    assert sign_in(owner).get(f"/sites/example.com{address}").status_code == 200
    assert sign_in(team_mate).get(f"/sites/example.com{address}").status_code == 200
    assert sign_in(stranger).get(f"/sites/example.com{address}").status_code == 404
    assert sign_in().get(f"/sites/example.com{address}").status_code == 302


def test_a_viewer_is_not_led_to_the_settings(events, sign_in, owner, team_mate):
    events.add()
    assert "/sites/example.com/settings" in sign_in(owner).get("/sites/example.com").content.decode()
    assert "/sites/example.com/settings" not in sign_in(team_mate).get("/sites/example.com").content.decode()


def test_a_panel_that_there_is_not_is_not_found(events, sign_in, owner):
    events.add()
    assert sign_in(owner).get("/sites/example.com/panels/secrets").status_code == 404


def test_a_cached_page_takes_few_questions_and_little_time(look, events):
    for day in range(30):
        events.add(NOW - timedelta(days=day), day)
    look("?period=30d")
    asked: list[object] = []
    fetch = events.store.fetch
    events.store.fetch = lambda *arguments: asked.append(arguments) or fetch(*arguments)
    begun = time.perf_counter()
    look("?period=30d")
    assert asked == []
    # Measured at a small part of this; the bound leaves room for a busy machine.
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize(
    "period", [*PERIODS, "custom&from=1990-01-01&to=2200-01-01", "custom&from=2026-01-15&to=2026-01-15"]
)
def test_every_period_and_comparison_makes_a_page(look, events, period, compare):
    events.add(NOW - timedelta(days=500))
    events.add()
    for metric in ("visitors", "visit_duration"):
        html = look(f"?period={period}&compare={compare}&metric={metric}")
        assert html.count("</haru-panel>") == 6
        assert "<tr data-label" in html


def part(html: str, panel: str) -> str:
    return html.partition(f'id="panel-{panel}"')[2].partition("</haru-panel>")[0]


def href(html: str, text: str) -> str:
    """Where the row of this name leads."""
    found = re.search(rf'<th scope="row" title="{re.escape(text)}">.*?<a class="text" href="([^"]*)"', html, re.DOTALL)
    assert found, f"no row {text}"
    return unescape(found[1])


def with_filters(*trees: object) -> str:
    return "&filters=" + quote(json.dumps(trees))


def test_every_part_of_the_page_keeps_to_the_filters(look, events):
    for visitor, country in enumerate(("DE", "DE", "AT", "FR"), 1):
        events.add(visitor=visitor, country=country, path=f"/{country}", utm_campaign=country)
    html = look("?period=day&sources=campaigns" + with_filters(["is", "visit:country", ["DE", "AT"]]))
    assert total(html, "visitors") == "3"
    assert "/DE" in html
    assert "/FR" not in html
    assert sum(map(int, re.findall(r'<td data-value="(\d+)"', part(html, "chart")))) == 3
    assert rows(html, "sources") == [("DE", "2"), ("AT", "1")]
    details = look("?period=day&details=pages" + with_filters(["is", "visit:country", ["FR"]]))
    assert "/FR" in details
    assert "/DE" not in details


def test_a_row_leads_to_its_own_view_and_back(look, events):
    events.add(visitor=1, country="DE")
    events.add(visitor=2, country="AT")
    narrow = href(look("?period=day&details=locations"), "Austria")
    html = look(narrow)
    assert total(html, "visitors") == "1"
    assert "details" not in narrow
    assert "Country is <b>Austria</b>" in html
    assert total(look(href(look(f"{narrow}&locations=countries"), "Austria")), "visitors") == "2"


def test_filters_that_cannot_be_read_are_said_and_left_aside(look, events):
    events.add()
    html = look("?period=day" + with_filters(["is", "visit:nothing", ["<script>"]]))
    assert "A filter of this address could not be read" in html
    assert "Invalid dimension" in html
    assert total(html, "visitors") == "1"
    assert "<script>" not in html.replace("<script ", "")


def test_a_filter_from_outside_is_text(look, events):
    events.add()
    html = look("?period=day" + with_filters(["is", "event:page", ["<img src=x>\u202e\U0001f338"]]))
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html
    assert "Nothing under these filters" in html


def test_the_form_of_a_filter_suggests_values_among_what_the_others_leave(look, events):
    for visitor, (country, path) in enumerate((("DE", "/a"), ("AT", "/b"), ("AT", "/<b>")), 1):
        events.add(visitor=visitor, country=country, path=path)
    pages = look("/filter?period=day&dimension=event:page" + with_filters(["is", "visit:country", ["AT"]]))
    assert re.findall('name="value" value="([^"]*)"', pages) == ["/&lt;b&gt;", "/b"]
    values = look("/filter/values?period=day&dimension=visit:country&typed=germ&operator=is&value=AT")
    assert re.findall('value="([^"]*)"( checked)?', values) == [("AT", " checked"), ("DE", "")]
    change = look("/filter?period=day&at=0" + with_filters(["is", "visit:country", ["AT"]]))
    assert re.findall('name="value" value="([^"]*)"( checked)?', change) == [("AT", " checked"), ("DE", "")]


def test_the_form_leads_to_the_view_with_its_filter(look, events, sign_in, owner):
    events.add(country="AT")
    sends = "?period=day&dimension=visit:country&operator=is&value=AT"
    answer = sign_in(owner).get(f"/sites/example.com{sends}")
    assert answer.status_code == 302
    assert (
        unquote(answer.headers["Location"]) == '/sites/example.com?period=day&filters=[["is","visit:country",["AT"]]]'
    )
    answer = sign_in(owner).get(f"/sites/example.com{sends}", headers={"HX-Request": "true"})
    assert unquote(answer.headers["HX-Push-Url"]).endswith('&filters=[["is","visit:country",["AT"]]]')
    assert "Country is <b>Austria</b>" in answer.content.decode()
    html = look("?period=day&dimension=event:page&operator=matches&lines=(")
    assert "The filter was left as it was." in html
    assert "Invalid regular expression" in html


def test_where_scripts_run_the_form_is_a_dialog_alone(events, sign_in, owner):
    events.add()
    browser = sign_in(owner)
    for dimension in ("event:page", "event:props:"):
        address = f"/sites/example.com/filter?period=day&dimension={dimension}"
        html = browser.get(address, headers={"HX-Request": "true"}).content.decode()
        assert html.lstrip().startswith("<haru-dialog>")
        assert "<html" not in html


def test_the_keys_of_properties_lead_to_their_values(look, events):
    events.add(props='{"plan":"pro"}')
    html = look("/filter?period=day&dimension=event:props:")
    assert "dimension=event%3Aprops%3Aplan" in html
    assert 'value="pro"' in look("/filter?period=day&dimension=event:props:plan")


def test_each_bucket_says_which_time_it_is_of(look, events):
    events.add()
    assert 'data-from="2026-01-15T11:00Z" data-to="2026-01-15T11:59Z"' in look("/panels/chart?period=day")
    assert 'data-from="2026-01-08" data-to="2026-01-08"' in look("/panels/chart?period=7d&interval=day")
    html = look("/panels/chart?period=custom&from=2025-12-10&to=2026-01-15&interval=week")
    assert 'data-from="2025-12-10" data-to="2025-12-14"' in html  # a first week that is not whole
    assert 'href="?period=custom&amp;from=' in html


def test_a_part_of_a_day_is_a_period(look, events):
    events.add(NOW - timedelta(hours=3, minutes=1))
    events.add(NOW - timedelta(hours=3), visitor=2)
    events.add(NOW - timedelta(hours=2), visitor=3)
    html = look("?period=custom&from=2026-01-15T10:59Z&to=2026-01-15T09:00Z")
    assert total(html, "visitors") == "2"
    assert "Jan 15, 10:00 – 11:59" in html
    assert part(html, "chart").count("<tr data-label") == 120  # by the minute
    assert 'href="?period=custom&amp;interval=day' not in html
    assert "Last 24 hours" in re.sub(r"\s+", " ", look().partition("pick-period")[2].partition("</summary>")[0])


def test_weekends_are_marked_where_they_can_be_told_from_other_days(look, events):
    events.add()
    assert look("/panels/chart?period=7d&interval=day").count(" data-weekend") == 2
    assert "data-weekend" not in look("/panels/chart?period=custom&from=2026-01-10&to=2026-01-11&interval=hour")
    assert "data-weekend" not in look("/panels/chart?period=30d&interval=week")


def test_no_line_is_drawn_for_the_time_before_the_site(look, events):
    events.add(datetime(2026, 1, 13, 10))
    html = look("/panels/chart?period=yesterday&interval=hour")
    assert "Previous period" in html
    html = re.sub(r" data-(from|to)=\"[^\"]*\"", "", html)
    assert re.search(r'data-label="10:00"><th[^>]*>[^<]*</th><td[^>]*>0</td><td></td>', html)
    assert re.search(r'data-label="11:00"><th[^>]*>[^<]*</th><td[^>]*>0</td><td data-value="1">1</td>', html)
    assert re.search(r'data-label="12:00"><th[^>]*>[^<]*</th><td[^>]*>0</td><td data-value="0">0</td>', html)
    assert "Previous period" not in look("/panels/chart?period=custom&from=2026-01-13&to=2026-01-15")


def test_the_last_line_goes_with_what_the_first_visit_replaces(look, events):
    for html in (look(), (events.add(), look())[1]):
        assert html.count("Cookie-free analytics") == 1
        assert "Cookie-free analytics" not in html.partition("</main>")[2]
