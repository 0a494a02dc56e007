"""The older reads below /api/v1/stats, over a real event store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import re2

from haru.accounts.models import ApiKey
from haru.live import Live
from haru.sites import goals
from haru.stats.answers import Reports
from haru.store.protocol import StoreUnavailable
from haru.web.api import endpoint
from haru.web.api.v1 import parameters
from haru.web.project import services
from tests.stats.made import HOUR, filled, journey

NOON = int(datetime(2026, 5, 20, 12, tzinfo=UTC).timestamp() * 1000)  # two in the afternoon in Berlin
DAY = 24 * HOUR
CUSTOM = {"period": "custom", "date": "2026-05-20,2026-05-20"}


@pytest.fixture
def live():
    return Live()


@pytest.fixture
def events(site, live, monkeypatch):
    """Services on the evening of the 20th: two visits on that day, one on the day before, one in April."""
    made = [
        *journey(100, NOON, (0, "/"), (1, "/blog/a|b"), (2, "/blog/2/x"), site_id=site.pk, source="Google"),
        *journey(200, NOON + HOUR, (0, "/"), site_id=site.pk, source="Bing", country="DE"),
        *journey(300, NOON - DAY, (0, "/old"), site_id=site.pk, source="Google"),
        *journey(400, NOON - 25 * DAY, (0, "/april"), site_id=site.pk),
    ]
    monkeypatch.setattr(endpoint, "now_ms", lambda: NOON + 6 * HOUR)
    services.use(
        services.Services(
            reports=Reports(filled(sorted(made, key=lambda event: event["id"]))),
            live=live,
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
        )
    )
    yield
    services.use(None)


@pytest.fixture
def ask(client, events, owner):
    """Asks a read with a key of the site's owner, or with another."""
    _, own = ApiKey.create(owner, "test", ["stats:read"])

    def get(read: str, key=own, **parameters):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return client.get(f"/api/v1/stats/{read}", {"site_id": "example.com", **parameters}, headers=headers)

    return get


def test_current_visitors_are_a_number_and_nothing_else(ask, site, live) -> None:
    assert ask("realtime/visitors").json() == 0
    now = NOON + 6 * HOUR
    live.visitors.seen([(site.pk, 7, now), (site.pk, 8, now)], now)
    assert ask("realtime/visitors").content == b"2"


@pytest.mark.parametrize(
    ("parameters", "visitors"),
    [
        ({"period": "day"}, 2),
        ({"period": "day", "date": "2026-05-19"}, 1),
        ({"period": "day", "date": "today"}, 2),
        (CUSTOM, 2),
        ({"period": "custom", "date": "2026-05-19, 2026-05-20"}, 3),
        ({"period": "7d"}, 1),
        ({"period": "7d", "date": "2026-05-21"}, 3),
        ({}, 2),
        ({"period": "month"}, 3),
        ({"period": "month", "date": "2026-04-30"}, 1),
        ({"period": "12mo"}, 1),
        ({"period": "6mo", "date": "2026-06-02"}, 4),
        ({"period": "all"}, 4),
        ({"period": "realtime"}, 0),
    ],
)
def test_a_period_is_counted_from_its_date(ask, parameters, visitors) -> None:
    assert ask("aggregate", **parameters).json() == {"results": {"visitors": {"value": visitors}}}


def test_totals_have_their_metrics_and_how_they_changed(ask) -> None:
    answer = ask("aggregate", **CUSTOM, metrics="visitors,pageviews,bounce_rate", compare="previous_period")
    assert answer.json() == {
        "results": {
            "visitors": {"value": 2, "comparison_value": 1, "change": 100},
            "pageviews": {"value": 4, "comparison_value": 1, "change": 300},
            "bounce_rate": {"value": 50, "comparison_value": 100, "change": -50.0},
        }
    }


def test_every_bucket_of_time_is_there(ask) -> None:
    week = {"period": "custom", "date": "2026-05-18,2026-05-21"}
    assert ask("timeseries", **week, metrics="visitors,pageviews").json() == {
        "results": [
            {"date": "2026-05-18", "visitors": 0, "pageviews": 0},
            {"date": "2026-05-19", "visitors": 1, "pageviews": 1},
            {"date": "2026-05-20", "visitors": 2, "pageviews": 4},
            {"date": "2026-05-21", "visitors": 0, "pageviews": 0},
        ]
    }


def test_a_bucket_without_visits_has_no_bounce_rate_and_no_duration(ask) -> None:
    metrics = "visitors,bounce_rate,visit_duration,views_per_visit"
    answer = ask("timeseries", period="custom", date="2026-05-18,2026-05-19", metrics=metrics).json()
    assert answer["results"] == [
        {"date": "2026-05-18", "visitors": 0, "bounce_rate": None, "visit_duration": None, "views_per_visit": 0},
        {"date": "2026-05-19", "visitors": 1, "bounce_rate": 100, "visit_duration": 0, "views_per_visit": 1.0},
    ]
    day = {"period": "custom", "date": "2026-05-18,2026-05-18", "compare": "previous_period"}
    assert ask("aggregate", **day, metrics="bounce_rate").json() == {
        "results": {"bounce_rate": {"value": 0, "comparison_value": 0, "change": None}}
    }


def test_a_day_that_clocks_skipped_has_no_buckets(ask, site) -> None:
    site.timezone = "Pacific/Apia"
    site.save()
    for period, count in (("day", 0), ("month", 30)):
        answer = ask("timeseries", period=period, date="2011-12-30")
        assert len(answer.json()["results"]) == count
    before = ask("timeseries", period="yesterday", date="2011-12-31").json()["results"]
    assert before == []


@pytest.mark.parametrize(
    ("parameters", "count", "first"),
    [
        ({"period": "day"}, 24, "2026-05-20 00:00:00"),
        ({"period": "7d"}, 7, "2026-05-13"),
        ({}, 30, "2026-04-20"),
        ({"period": "6mo"}, 6, "2025-11-01"),
        ({"period": "1mo"}, 30, "2026-04-01"),
        ({"period": "year"}, 12, "2026-01-01"),
        ({"period": "6mo", "interval": "date"}, 181, "2025-11-01"),
        ({"period": "7d", "interval": "week"}, 2, "2026-05-13"),
        ({"period": "month", "interval": "month"}, 1, "2026-05-01"),
        ({"period": "day", "interval": "day"}, 1, "2026-05-20"),
    ],
)
def test_the_interval_suits_the_period_unless_one_is_given(ask, parameters, count, first) -> None:
    results = ask("timeseries", **parameters).json()["results"]
    assert (len(results), results[0]["date"]) == (count, first)


def test_a_breakdown_has_the_largest_first_under_the_name_of_its_property(ask) -> None:
    answer = ask("breakdown", property="visit:source", period="all", metrics="visitors,visits")
    assert answer.json() == {
        "results": [
            {"source": "Google", "visitors": 2, "visits": 2},
            {"source": "Bing", "visitors": 1, "visits": 1},
            {"source": "Direct / None", "visitors": 1, "visits": 1},
        ]
    }


def test_a_breakdown_is_read_page_by_page(ask) -> None:
    asked = {"property": "event:page", "period": "all", "limit": "2"}
    pages = [[row["page"] for row in ask("breakdown", **asked, page=page).json()["results"]] for page in (1, 2, 3, 4)]
    assert pages == [["/", "/april"], ["/blog/2/x", "/blog/a|b"], ["/old"], []]


@pytest.mark.parametrize(
    ("filters", "visitors"),
    [
        ("event:page==/blog/2/x", 1),
        ("event:page==/blog/*", 1),
        ("event:page==/**", 4),
        ("event:page==**x", 1),
        ("event:page==/blog", 0),
        ("event:page!=/", 3),
        ("event:page!=/b*", 4),
        ("visit:source==Google|Bing", 3),
        ("visit:source!=Google|Bing", 1),
        ("visit:source==Goo*|Bing", 3),
        (r"event:page==/blog/a\|b", 1),
        ("event:page==/blog/a|b", 0),
        (r"event:page==/blog/a\|*", 1),
        ("event:page~blog|old", 2),
        ("event:page!~l", 2),
        ("visit:source==Google;event:page==/", 1),
        (" visit:source == Google ", 0),
        ("visit:country==DE", 1),
        ("visit:source==Direct / None", 1),
        (r"event:page==/\*", 0),
        ("event:page==/blog/.*", 0),
        ("", 4),
    ],
)
def test_filters_choose_what_counts(ask, filters, visitors) -> None:
    answer = ask("aggregate", period="all", filters=filters)
    assert answer.json() == {"results": {"visitors": {"value": visitors}}}


@pytest.mark.parametrize(
    ("filters", "leaves"),
    [
        ("event:page==/a", [["is", "event:page", ["/a"]]]),
        ("event:page==/a*", [["matches", "event:page", [r"(?s)\A\/a.*\z"]]]),
        ("event:page!=/a**/b", [["matches_not", "event:page", [r"(?s)\A\/a.*\/b\z"]]]),
        (r"visit:source==a\*b|c\|d\\e", [["is", "visit:source", ["a*b", r"c|d\e"]]]),
        (r"visit:source==a\*b*", [["matches", "visit:source", [r"(?s)\Aa\*b.*\z"]]]),
        (r"visit:utm_term==x\;y;visit:os==Linux", [["is", "visit:utm_term", ["x;y"]], ["is", "visit:os", ["Linux"]]]),
        ("event:page==/a==b", [["is", "event:page", ["/a==b"]]]),
        ("visit:source~a*", [["contains", "visit:source", ["a*"]]]),
        ("event:goal==Visit /blog/**|Signup", [["is", "event:goal", ["Visit /blog/**", "Signup"]]]),
        ("event:props:a b==ü?", [["is", "event:props:a b", ["ü?"]]]),
    ],
)
def test_a_filter_becomes_one_of_the_query(filters, leaves) -> None:
    faults: list[str] = []
    assert parameters._filters(filters, faults) == leaves
    assert faults == []


@pytest.mark.parametrize("text", ["/a", "", "a.b", "ü\n(x)[y]{2}^$+?|\\*", " ", "日本*語"])
def test_a_pattern_means_the_text_with_its_stars(text) -> None:
    escaped = text.replace("\\", "\\\\").replace("*", r"\*")
    search = re2.compile(parameters._pattern(escaped)).search
    assert search(text)
    assert not search(text + "x")
    assert not search("x" + text)
    begins = re2.compile(parameters._pattern(escaped + "*")).search
    assert begins(text + "\nmore")


@pytest.mark.parametrize(
    ("read", "parameters", "says"),
    [
        ("aggregate", {"site_id": ""}, "#/site_id: This is required"),
        ("realtime/visitors", {"site_id": ""}, "#/site_id: This is required"),
        ("realtime/visitors", {"period": "day"}, "#/period: Unknown; known are site_id"),
        ("aggregate", {"period": "fortnight"}, '#/period: Invalid period "fortnight": give one of realtime'),
        ("aggregate", {"period": "custom"}, "#/date: The period custom needs its first and its last day"),
        ("aggregate", {"period": "custom", "date": "2026-01-01"}, "#/date: The period custom needs"),
        ("aggregate", {"period": "custom", "date": "2026-02-01,2026-01-01"}, "#/date: Invalid date range: it ends"),
        ("aggregate", {"period": "day", "date": "yesterday"}, '#/date: "yesterday" is not a date'),
        ("aggregate", {"period": "day", "date": "0001-01-01"}, '#/date: "0001-01-01" is not a date'),
        ("aggregate", {"period": "all", "date": "2026-01-01"}, "#/date: The period all takes no date"),
        ("aggregate", {"metrics": "visitors,x"}, '#/metrics/1: Invalid metric "x"'),
        ("aggregate", {"metrics": "visitors,visitors"}, '#/metrics/1: The metric "visitors" is given twice'),
        ("aggregate", {"metrics": "exit_rate"}, "#/metrics/0: exit_rate "),
        ("aggregate", {"filters": "event:goal==Nothing"}, '#/filters/0/2/0: This site has no goal "Nothing"'),
        ("aggregate", {"compare": "last_year"}, '#/compare: Invalid comparison "last_year": give previous_period'),
        ("aggregate", {"compare": "previous_period", "period": "all"}, "#/compare: There is nothing before all time"),
        ("aggregate", {"filters": "visit:source"}, '#/filters/0: "visit:source" is no filter: write property==value'),
        ("aggregate", {"filters": "x;visit:mood==good"}, '#/filters/1/1: Invalid dimension "visit:mood"'),
        ("aggregate", {"with_imported": "maybe"}, "#/with_imported: Give true or false"),
        ("aggregate", {"interval": "day"}, "#/interval: Unknown"),
        ("timeseries", {"interval": "decade"}, '#/interval: Invalid interval "decade"'),
        ("timeseries", {"period": "custom", "date": "2020-01-01,2026-01-01", "interval": "minute"}, "#/dimensions: "),
        ("breakdown", {}, "#/property: This is required"),
        ("breakdown", {"property": "visit:mood"}, '#/property: Invalid dimension "visit:mood"'),
        ("breakdown", {"property": "time:day"}, "#/property: Ask /api/v1/stats/timeseries"),
        ("breakdown", {"property": "event:page", "limit": "1001"}, "#/limit: Give a whole number from 1 to 1000"),
        ("breakdown", {"property": "event:page", "limit": "0"}, "#/limit: Give a whole number"),
        ("breakdown", {"property": "event:page", "limit": "٣"}, "#/limit: Give a whole number"),
        ("breakdown", {"property": "event:page", "page": "-1"}, "#/page: Give the number of a page"),
        ("breakdown", {"property": "event:page", "page": "9" * 30}, "#/page: Give the number of a page"),
        ("breakdown", {"property": "event:page", "metrics": "views_per_visit"}, "#/metrics/0: views_per_visit cannot"),
        ("aggregate", {"period": "a\0b"}, "#/period: There is a character in it that no text has"),
    ],
)
def test_a_fault_is_named_by_its_place(ask, read, parameters, says) -> None:
    answer = ask(read, **parameters)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_every_fault_is_named_at_once(ask) -> None:
    error = ask("breakdown", site_id="", period="x", metrics="y", filters="z", limit="0", surprise="1").json()["error"]
    for path in ("site_id", "property", "period", "metrics/0", "filters/0", "surprise"):
        assert f"#/{path}: " in error


@pytest.mark.parametrize("read", ["realtime/visitors", "aggregate", "timeseries", "breakdown"])
def test_no_key_and_no_access_get_the_same_answer(ask, owner, team_mate, stranger, read) -> None:
    extra = {"property": "visit:source"} if read == "breakdown" else {}
    _, of_stranger = ApiKey.create(stranger, "test", ["stats:read", "sites:write"])
    _, of_sender = ApiKey.create(owner, "test", ["events:write", "sites:write"])
    keys = (None, "haru_wrong", of_stranger, of_sender)
    refused = [ask(read, key=key, **extra) for key in keys] + [ask(read, site_id="other.com", **extra)]
    assert {(answer.status_code, answer.content) for answer in refused} == {(401, refused[0].content)}
    assert refused[0].json() == {"error": endpoint.NO_ACCESS}
    assert refused[0].headers["WWW-Authenticate"] == "Bearer"
    _, of_mate = ApiKey.create(team_mate, "test", ["stats:read"])
    assert ask(read, key=of_mate, **extra).status_code == 200
    assert ask(read, site_id="WWW.Example.com", **extra).status_code == 200


@pytest.mark.parametrize("read", ["realtime/visitors", "aggregate", "timeseries", "breakdown"])
def test_only_get_is_answered(client, events, read) -> None:
    answer = client.post(f"/api/v1/stats/{read}")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert answer.json() == {"error": "Ask with GET."}


def test_a_store_that_does_not_answer_is_503(ask, monkeypatch) -> None:
    def unavailable(*_):
        raise StoreUnavailable("disk")

    monkeypatch.setattr(services.get().reports, "answer", unavailable)
    for read in ("aggregate", "timeseries"):
        answer = ask(read)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]


def test_the_reads_know_the_goals_of_the_site(ask, site, monkeypatch) -> None:
    goals.add_goal(site, event="Signup")
    asked = []

    def answer(site, *_):
        asked.append(site.goals)
        raise StoreUnavailable("enough")

    monkeypatch.setattr(services.get().reports, "answer", answer)
    ask("aggregate")
    assert [goal.name for goal in asked[0]] == ["Signup"]
