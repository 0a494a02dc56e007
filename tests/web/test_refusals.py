"""The page and the API of the refusal ledger, over a real event store."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from haru.accounts.models import ApiKey
from haru.clock import HOUR_MS
from haru.events.columns import COLUMNS
from haru.events.ledger import RefusalCount
from haru.events.refusals import Refusal
from haru.live import Live
from haru.sites import registry
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.vocabulary.periods import Dates
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress, StoreUnavailable
from haru.web.api import endpoint
from haru.web.dashboard import views as dashboard
from haru.web.project import services
from haru.web.refusals import ledger
from haru.web.refusals import views as refusals
from tests.stats.made import stored

NOW = datetime(2026, 1, 15, 12, 10)  # UTC; ten past one in Berlin
DOCS = Path(__file__).parents[2] / "docs"


def ms(when: datetime) -> int:
    return int(when.replace(tzinfo=UTC).timestamp() * 1000)


class Filled:
    """A store with a site's events and refusals."""

    def __init__(self, site_id: int) -> None:
        self.store = DuckStore(None)
        self.reports = Reports(self.store)
        self.site_id = site_id
        self.asked: list[tuple[int, int, int]] = []
        self.count = 0

    def load(self, events: list[dict[str, object]], refusals: list[RefusalCount]) -> None:
        self.count += 1
        rows = [tuple(event[name] for name, _ in COLUMNS) for event in events]
        self.store.load(rows, Progress(self.count), refusals=refusals)
        self.reports.asking.invalidate([self.site_id])

    def accept(self, when: datetime = NOW, count: int = 1, **columns: object) -> None:
        self.load([stored(self.count + n, ms(when), 1, site_id=self.site_id, **columns) for n in range(count)], [])

    def refuse(
        self, reason: str, count: int = 1, when: datetime = NOW, detail: str = "", site_id: int | None = None
    ) -> None:
        hour = ms(when) // HOUR_MS * HOUR_MS
        self.load([], [RefusalCount(self.site_id if site_id is None else site_id, hour, reason, detail, count)])

    def refusal_counts(self, site_id: int, since: int, until: int) -> list[RefusalCount]:
        self.asked.append((site_id, since, until))
        return self.store.refusal_counts(site_id, since, until)


@pytest.fixture
def filled(site, monkeypatch):
    filled = Filled(site.pk)
    monkeypatch.setattr(dashboard, "now_ms", lambda: ms(NOW))
    monkeypatch.setattr(endpoint, "now_ms", lambda: ms(NOW))
    services.use(
        services.Services(
            reports=filled.reports,
            live=Live(),
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=filled.refusal_counts,
        )
    )
    yield filled
    services.use(None)
    filled.store.close()


@pytest.fixture
def look(filled, sign_in, owner):
    """The text of the page, for the owner of the site or another."""

    def page(address: str = "", who=owner) -> str:
        answer = sign_in(who).get(f"/sites/example.com/refusals{address}")
        assert answer.status_code == 200, answer
        return unescape(answer.content.decode())

    return page


@pytest.fixture
def ask(client, filled, owner):
    """Asks the API with a key of the site's owner, or with another."""
    _, own = ApiKey.create(owner, "test", ["stats:read"])

    def get(key=own, **parameters):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return client.get("/api/v1/refusals", {"site_id": "example.com", **parameters}, headers=headers)

    return get


def totals(html: str) -> list[str]:
    return re.findall(r'<dd class="text-2xl[^>]*>([^<]*)<', html)


def reasons(html: str) -> list[tuple[str, str, str]]:
    """Reason, count and share of each row of the table."""
    cells = r'data-reason="(\w+)".*?<td[^>]* title="[^"]*">([^<]*)<.*?</td>\s*<td[^>]*>([^<]*)</td>'
    return re.findall(cells, html, re.DOTALL)


def chart(html: str) -> list[tuple[str, str, str]]:
    """Label, accepted and refused of each point; "" for what has not come yet."""
    line = r'<tr data-label="([^"]+)"[^>]*><th[^>]*>[^<]*</th><td(?: data-value="(\d+)")?>[^<]*</td><td(?: data-value="(\d+)")?>'
    return re.findall(line, html)


def breakdown(html: str, name: str) -> list[tuple[str, str]]:
    part = html.partition(f'aria-labelledby="{name}-title"')[2].partition("</section>")[0]
    return re.findall(r'<th scope="row" title="([^"]*)">.*?<td[^>]*>([^<]*)<', part, re.DOTALL)


@pytest.mark.parametrize("reason", Refusal)
def test_every_reason_of_the_list_is_explained(reason):
    told = refusals.EXPLANATIONS[reason]
    for text in (told.meaning, told.remedy):
        assert text.endswith(".")
    assert told.title
    assert bool(told.page) == bool(told.link)
    if reason.startswith("excluded_"):
        assert told.page.format(domain="example.com") == "/sites/example.com/settings/counting"


def test_no_reason_is_explained_that_there_is_not():
    assert list(refusals.EXPLANATIONS) == list(Refusal)


def test_the_table_of_the_docs_is_that_of_the_page():
    text = (DOCS / "refusals.md").read_text("utf-8")
    assert refusals.reference() in text, "put the text of haru.web.refusals.views.reference() into docs/refusals.md"


def test_the_page_says_how_many_and_why(look, filled):
    filled.accept(count=6)
    filled.refuse("bot", 3)
    filled.refuse("opted_out", 1)
    html = look()
    assert totals(html) == ["6", "4", "40.0%"]
    assert reasons(html) == [("bot", "3", "75.0%"), ("opted_out", "1", "25.0%")]
    assert "Robot or program" in html
    assert refusals.EXPLANATIONS["opted_out"].meaning in html
    assert 'href="/sites/example.com/settings/counting"' in html.partition('data-reason="opted_out"')[2]


def test_accepted_is_the_metric_events(look, filled, site):
    filled.accept(count=2)
    filled.accept(name="engagement")
    filled.accept(NOW - timedelta(days=2), count=4)
    assert totals(look())[0] == "2"
    assert totals(look("?period=custom&from=2026-01-13&to=2026-01-15"))[0] == "6"


def test_crawlers_of_ai_companies_are_listed_by_name(look, filled):
    filled.refuse("bot", 5)
    filled.refuse("bot", 2, detail="ClaudeBot")
    filled.refuse("bot", 3, detail="GPTBot")
    filled.refuse("bot", 4, NOW - timedelta(hours=3), detail="GPTBot")
    html = look()
    assert breakdown(html, "crawlers") == [("GPTBot", "7"), ("ClaudeBot", "2")]
    assert reasons(html) == [("bot", "14", "100.0%")]


def test_bodies_that_cannot_be_read_are_listed_by_field(look, filled):
    filled.refuse("invalid", 2, detail="sw")
    filled.refuse("invalid", 1, detail="p")
    filled.refuse("invalid", 1, detail="future")
    fields = [("sw (width of the screen)", "2"), ("future", "1"), ("p (page)", "1")]
    assert breakdown(look(), "fields") == fields


def test_a_reason_of_a_later_version_is_shown_by_its_name(look, filled, ask):
    filled.refuse("solar_flare", 2)
    assert reasons(look()) == [("solar_flare", "2", "100.0%")]
    assert ask(period="24h").json()["reasons"][0]["title"] == "solar_flare"


def test_what_comes_from_outside_is_text(filled, sign_in, owner):
    filled.refuse("bot", detail="<script>alert(1)</script>")
    html = sign_in(owner).get("/sites/example.com/refusals").content.decode()
    assert "&lt;script&gt;alert" in html
    assert "<script>alert" not in html


def test_nothing_on_the_page_is_inline(look, filled):
    filled.refuse("bot", detail="GPTBot")
    html = look()
    assert " style=" not in html
    assert not re.search(r"<style|<script(?![^>]* src=)| on[a-z]+=", html)


def test_the_chart_has_each_hour_and_leaves_the_future_open(look, filled):
    filled.accept(NOW, 3)
    filled.refuse("bot", 2)
    filled.refuse("prefetch", 1)
    filled.refuse("bot", 4, datetime(2026, 1, 15, 6))
    lines = chart(look("?period=day"))
    assert len(lines) == 24
    assert lines[7] == ("07:00", "0", "4")
    assert lines[13:15] == [("13:00", "3", "3"), ("14:00", "", "")]


def test_the_first_period_includes_now_and_widens_to_whole_hours(look, filled):
    filled.refuse("bot", 1)
    filled.refuse("bot", 2, NOW - timedelta(hours=23))
    filled.refuse("bot", 4, NOW - timedelta(hours=24))
    assert totals(look())[1] == "3"
    assert totals(look("?period=realtime"))[1] == "1"
    lines = chart(look())
    assert len(lines) == 24
    assert (lines[0], lines[-1]) == (("14:00", "0", "2"), ("13:00", "0", "1"))
    assert chart(look("?period=rubbish")) == lines


def test_all_time_begins_with_the_first_refusal_when_no_event_came_before(look, filled):
    filled.refuse("invalid", 7, NOW - timedelta(days=70))
    filled.accept()
    html = look("?period=all")
    assert totals(html) == ["1", "7", "87.5%"]
    assert "Nov 6, 2025" in html
    filled.accept(NOW - timedelta(days=90))
    assert totals(look("?period=all"))[0] == "2"


def test_a_day_is_that_of_the_sites_zone(look, filled):
    filled.refuse("bot", 1, datetime(2026, 1, 13, 22))  # eleven in the evening in Berlin
    filled.refuse("bot", 2, datetime(2026, 1, 13, 23))  # midnight
    filled.refuse("bot", 4, datetime(2026, 1, 14, 22))
    filled.refuse("bot", 8, datetime(2026, 1, 14, 23))
    assert totals(look("?period=yesterday"))[1] == "6"
    days = chart(look("?period=custom&from=2026-01-13&to=2026-01-15&interval=day"))
    assert [(label, refused) for label, _, refused in days] == [("Jan 13", "1"), ("Jan 14", "6"), ("Jan 15", "8")]


def test_an_hour_belongs_to_where_it_begins_in_a_zone_of_half_hours(filled, site):
    now = ms(NOW)
    filled.refuse("bot", 1, datetime(2026, 1, 14, 18))  # 23:30 in Kolkata
    filled.refuse("bot", 2, datetime(2026, 1, 14, 19))  # half past midnight
    india = StatsSite(site.pk, "Asia/Kolkata")
    found = {day: ledger.read(india, ledger.find(india, day, now), "", now) for day in ("day", "yesterday")}
    assert (found["yesterday"].refused, found["day"].refused) == (1, 2)
    assert [bucket.label for bucket in found["day"].buckets if bucket.refused] == ["2026-01-15 00:00:00"]


def test_the_hour_that_happens_twice_is_one(filled, site):
    now = ms(NOW)
    for hour in (0, 1):  # both are called two o'clock in Berlin
        filled.refuse("bot", 1, datetime(2025, 10, 26, hour))
    berlin = StatsSite(site.pk, "Europe/Berlin")
    day = datetime(2025, 10, 26).date()
    counted = ledger.read(berlin, ledger.find(berlin, Dates(day, day), now), "", now)
    assert [(bucket.label, bucket.refused) for bucket in counted.buckets if bucket.refused] == [
        ("2025-10-26 02:00:00", {"bot": 2})
    ]
    assert len(counted.buckets) == 24


@pytest.mark.parametrize("period", [*dashboard.state.PERIODS, "custom&from=1990-01-01&to=2200-01-01"])
def test_every_period_makes_a_page(look, filled, period):
    filled.refuse("bot", 1, NOW - timedelta(days=500))
    filled.accept()
    filled.refuse("bot", 1)
    html = look(f"?period={period}")
    _, accepted, refused = zip(*chart(html), strict=True)
    assert [sum(map(int, filter(None, numbers))) for numbers in (accepted, refused)] == list(map(int, totals(html)[:2]))


def test_without_refusals_the_page_helps_to_find_a_hit(look, filled, site, team_mate):
    html = look()
    assert totals(html) == ["0", "0", "0.0%"]
    assert "Nothing was refused in this period." in html
    assert "curl -i http://localhost:4000/api/collect" in html
    assert "x-haru-dropped" in html
    assert site.token in html
    theirs = look(who=team_mate)
    assert site.token not in theirs
    assert "Let someone who manages example.com send a test hit" in theirs


def test_everyone_of_the_team_looks_and_strangers_find_nothing(
    filled, site, sign_in, owner, team_mate, stranger, make_user
):
    admin = make_user("admin@example.com")
    registry.set_role(site, admin, "admin")
    address = "/sites/example.com/refusals"
    assert [sign_in(who).get(address).status_code for who in (owner, admin, team_mate, stranger)] == [
        200,
        200,
        200,
        404,
    ]
    assert sign_in().get(address).status_code == 302
    assert sign_in(owner).post(address).status_code == 405


def test_a_viewer_is_not_led_to_the_settings(look, filled, team_mate):
    filled.refuse("excluded_page")
    assert "/sites/example.com/settings" in look()
    assert "/sites/example.com/settings" not in look(who=team_mate)


def test_what_belongs_to_no_site_or_to_another_is_shown_to_nobody(look, filled, ask):
    filled.refuse("unknown_site", 9, site_id=0)
    filled.refuse("bot", 5, site_id=filled.site_id + 1)
    assert totals(look())[1] == "0"
    assert ask().json()["refused"] == 0
    assert {site_id for site_id, _, _ in filled.asked} == {filled.site_id}


def test_the_dashboard_leads_here_and_asks_nothing_of_the_ledger(filled, sign_in, owner, team_mate):
    for _ in ("before the first event", "after it"):
        for who in (owner, team_mate):
            assert '"/sites/example.com/refusals' in sign_in(who).get("/sites/example.com").content.decode()
        filled.accept()
    assert '"/sites/example.com/refusals' in sign_in(owner).get("/sites/example.com/settings").content.decode()
    assert filled.asked == []


def test_the_api_answers_in_json(ask, filled):
    filled.accept(NOW, 3)
    filled.refuse("bot", 2)
    filled.refuse("bot", 4, datetime(2026, 1, 15, 6), "GPTBot")
    filled.refuse("invalid", 1, detail="p")
    answer = ask(period="day").json()
    assert list(answer) == ["accepted", "refused", "reasons", "period", "interval", "series"]
    assert answer["accepted"] == 3
    assert answer["refused"] == 7
    assert answer["reasons"] == [
        {"reason": "bot", "title": "Robot or program", "count": 6, "details": [{"detail": "GPTBot", "count": 4}]},
        {"reason": "invalid", "title": "Cannot be read", "count": 1, "details": [{"detail": "p", "count": 1}]},
    ]
    assert answer["period"] == ["2026-01-15T00:00:00+01:00", "2026-01-15T23:59:59+01:00"]
    assert answer["interval"] == "hour"
    assert len(answer["series"]) == 14  # up to the hour of now
    assert answer["series"][7] == {"time": "2026-01-15T07:00:00", "accepted": 0, "refused": {"bot": 4}}
    assert answer["series"][13] == {"time": "2026-01-15T13:00:00", "accepted": 3, "refused": {"bot": 2, "invalid": 1}}


def test_the_api_knows_days_and_ranges(ask, filled):
    filled.refuse("bot", 1, datetime(2026, 1, 10, 12))
    filled.refuse("bot", 2, datetime(2026, 1, 12, 12))
    assert ask(period="day", date="2026-01-10").json()["refused"] == 1
    ranged = ask(period="custom", date="2026-01-10,2026-01-12").json()
    assert ranged["refused"] == 3
    assert [bucket["time"] for bucket in ranged["series"]] == ["2026-01-10", "2026-01-11", "2026-01-12"]
    assert ask(period="7d").json()["refused"] == 3
    assert ask().json()["period"][0] == "2026-01-14T14:00:00+01:00"  # the last 24 hours, from the beginning of one


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"period": "fortnight"}, '#/period: Invalid period "fortnight": give one of realtime, day'),
        ({"period": "day", "date": "tomorrow"}, '#/date: Invalid date range, "tomorrow" is neither date nor instant'),
        ({"period": "custom"}, "#/date: "),
        ({"period": "custom", "date": "2026-01-12,2026-01-10"}, "#/date: Invalid date range: it ends before it begins"),
        ({"period": "day", "date": "2026-01-10T08:00:00Z"}, "#/date: Give dates such as 2026-01-31"),
        ({"period": "7d", "date": "2026-01-10"}, "#/date: Only the periods day and custom take a date"),
        ({"site_id": ""}, "#/site_id: This parameter is required"),
        ({"surprise": "1"}, "#/surprise: Unknown parameter; known are site_id, period, date"),
    ],
)
def test_a_faulty_question_is_told_what_is_wrong(ask, parameters, says):
    answer = ask(**parameters)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_every_fault_is_named_at_once(ask):
    error = ask(period="x", surprise="1", site_id="").json()["error"]
    assert all(f"#/{name}: " in error for name in ("period", "surprise", "site_id"))


def test_no_key_and_no_access_get_the_same_answer(ask, owner, team_mate, stranger):
    _, of_stranger = ApiKey.create(stranger, "test", ["stats:read"])
    _, of_sender = ApiKey.create(owner, "test", ["events:write"])
    refused = [ask(key=None), ask(key="haru_wrong"), ask(key=of_stranger), ask(key=of_sender), ask(site_id="other.com")]
    assert {(answer.status_code, answer.content) for answer in refused} == {(401, refused[0].content)}
    assert refused[0].json() == {"error": endpoint.NO_ACCESS}
    assert refused[0].headers["WWW-Authenticate"] == "Bearer"
    _, of_mate = ApiKey.create(team_mate, "test", ["stats:read"])
    assert ask(key=of_mate).status_code == 200
    assert ask(site_id="WWW.Example.com").status_code == 200


def test_only_get_is_answered(client, filled):
    answer = client.post("/api/v1/refusals")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json() == {"error": "Ask with GET."}


@pytest.mark.parametrize("part", ["refusal_counts", "reports"])
def test_a_store_that_does_not_answer_is_503(ask, filled, monkeypatch, part):
    def unavailable(*_, **__):
        raise StoreUnavailable("disk")

    if part == "refusal_counts":
        monkeypatch.setattr(filled.store, "refusal_counts", unavailable)
    else:
        monkeypatch.setattr(filled.reports, "answer", unavailable)
    answer = ask()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_the_example_of_the_docs_names_what_the_api_answers(ask, filled):
    filled.refuse("bot", detail="GPTBot")
    answer = ask().json()
    text = (DOCS / "refusals.md").read_text("utf-8")
    for key in (*answer, *answer["reasons"][0], *answer["series"][0], *answer["reasons"][0]["details"][0]):
        assert f'"{key}"' in text, key
