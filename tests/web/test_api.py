"""`POST /api/v2/query`, over a real event store."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from haru import settings
from haru.accounts.models import ApiKey
from haru.collect.ratelimit import RateLimit
from haru.live import Live
from haru.stats import bounds, turns
from haru.stats.answers import Reports
from haru.stats.query import parse
from haru.web.api import endpoint
from haru.web.project import services
from tests.stats.made import HOUR, filled, journey, ms

DAY = ["2026-05-20", "2026-05-20"]
NOON = int(datetime(2026, 5, 20, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def events(site):
    """Services over a store in which the site has two visits."""
    made = [
        *journey(100, NOON, (0, "/"), (1, "/a"), site_id=site.pk, source="Google"),
        *journey(200, NOON + HOUR, (0, "/"), site_id=site.pk),
    ]
    nothing = lambda *_: None  # noqa: E731
    services.use(
        services.Services(
            reports=Reports(filled(made)),
            live=Live(),
            sites_changed=nothing,
            delete_events=nothing,
            refusal_counts=lambda *_: [],
        )
    )
    yield
    services.use(None)


@pytest.fixture
def ask(client, events, owner):
    """Posts a query with a key of the site's owner, or with another."""
    _, own = ApiKey.create(owner, "test", ["stats:read"])

    def post(data=None, key=own, **keys):
        data = {"site_id": "example.com", "metrics": ["visitors"], "date_range": DAY, **keys} if data is None else data
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return client.post("/api/v2/query", data, content_type="application/json", headers=headers)

    return post


def test_an_answer_has_its_keys_in_order(ask) -> None:
    response = ask(
        metrics=["visitors", "bounce_rate"],
        dimensions=["visit:source"],
        filters=[["is", "event:page", ["/"]]],
        include={"total_rows": True},
        pagination={"limit": 1},
    )
    assert response.status_code == 200
    answer = response.json()
    assert list(answer) == ["results", "meta", "query"]
    assert list(answer["results"][0]) == ["metrics", "dimensions"]
    assert answer == {
        "results": [{"metrics": [1, 100], "dimensions": ["Direct / None"]}],
        "meta": {"total_rows": 2},
        "query": {
            "site_id": "example.com",
            "metrics": ["visitors", "bounce_rate"],
            "date_range": ["2026-05-20T00:00:00+02:00", "2026-05-20T23:59:59+02:00"],
            "filters": [["is", "event:page", ["/"]]],
            "dimensions": ["visit:source"],
            "order_by": [["visitors", "desc"], ["visit:source", "asc"]],
            "include": {"total_rows": True},
            "pagination": {"limit": 1, "offset": 0},
        },
    }


def test_the_query_as_understood_means_the_same(ask) -> None:
    first = ask(date_range=["2026-05-20T10:00:00.001Z", "2026-05-20T11:00:00.007Z"]).json()
    again = ask(first["query"]).json()
    assert again == first
    assert first["query"]["date_range"] == ["2026-05-20T12:00:00.001+02:00", "2026-05-20T13:00:00.007+02:00"]


def test_without_dimensions_there_is_one_result(ask) -> None:
    assert ask().json()["results"] == [{"metrics": [2], "dimensions": []}]
    assert ask(date_range=["2020-01-01", "2020-01-02"]).json()["results"] == [{"metrics": [0], "dimensions": []}]


def test_labels_and_comparisons_are_answered_when_asked(ask) -> None:
    answer = ask(
        dimensions=["time"],
        include={"time_labels": True, "imports": True, "comparisons": {"mode": "previous_period"}},
    ).json()
    assert len(answer["meta"]["time_labels"]) == 24
    assert answer["meta"]["imports_included"] is False
    assert [row["dimensions"][0] for row in answer["results"]] == answer["meta"]["time_labels"]
    assert answer["results"][14] == {
        "metrics": [1],
        "dimensions": ["2026-05-20 14:00:00"],
        "comparison": {"metrics": [0], "dimensions": ["2026-05-19 14:00:00"], "change": [100]},
    }
    assert answer["results"][0]["comparison"]["change"] == [0]
    ends = answer["query"]["include"]["comparisons"]["date_range"]
    assert ends == ["2026-05-19T00:00:00+02:00", "2026-05-19T23:59:59+02:00"]


def test_a_comparison_to_now_ends_where_the_period_is_now(ask, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "now_ms", lambda: ms("2026-05-20 07:32"))
    compared = ask(include={"comparisons": {"mode": "previous_period", "to_now": True}}).json()["query"]["include"]
    ends = ["2026-05-19T00:00:00+02:00", "2026-05-19T09:32:00.000+02:00"]
    assert compared == {"comparisons": {"mode": "previous_period", "date_range": ends, "to_now": True}}


def test_where_nothing_happened_rates_are_0_and_have_no_change(ask) -> None:
    metrics = ["visitors", "bounce_rate", "visit_duration", "views_per_visit", "percentage"]
    include = {"comparisons": {"mode": "previous_period"}}
    assert ask(metrics=metrics, date_range=["2020-01-01", "2020-01-02"], include=include).json()["results"] == [
        {
            "metrics": [0, 0, 0, 0, 0],
            "dimensions": [],
            "comparison": {"metrics": [0, 0, 0, 0, 0], "dimensions": [], "change": [0, None, None, None, None]},
        }
    ]


def test_every_fault_is_in_one_sentence(ask) -> None:
    response = ask({"metrics": ["x"], "date_range": "day", "surprise": 1})
    assert response.status_code == 400
    error = response.json()["error"]
    assert '#/metrics/0: Invalid metric "x"' in error
    assert "#/site_id: This key is required" in error
    assert "#/surprise: Unknown key" in error
    assert ask(site_id=7).json()["error"] == "#/site_id: Give the site's domain"


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, "\xff", '{"a":NaN'])
def test_what_is_not_json_is_refused(ask, body) -> None:
    response = ask(body)
    assert response.status_code == 400
    assert response.json() == {"error": "#: The body is not JSON"}


def test_no_key_and_no_access_get_the_same_answer(ask, owner, team_mate, stranger) -> None:
    _, of_stranger = ApiKey.create(stranger, "test", ["stats:read"])
    _, of_sender = ApiKey.create(owner, "test", ["events:write"])
    refused = [ask(key=None), ask(key="haru_wrong"), ask(key=of_stranger), ask(key=of_sender), ask(site_id="other.com")]
    assert {(response.status_code, response.content) for response in refused} == {(401, refused[0].content)}
    assert refused[0].json() == {"error": endpoint.NO_ACCESS}
    _, of_mate = ApiKey.create(team_mate, "test", ["stats:read"])
    assert ask(key=of_mate).status_code == 200


def test_a_domain_may_be_written_as_people_do(ask) -> None:
    assert ask(site_id="WWW.Example.com").json()["query"]["site_id"] == "example.com"


def test_only_post_is_answered(client, events) -> None:
    response = client.get("/api/v2/query")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert response.json() == {"error": "Ask with POST."}


def test_too_many_labels_are_a_fault(ask) -> None:
    response = ask(date_range=["2020-01-01", "2026-01-01"], dimensions=["time:minute"], include={"time_labels": True})
    assert response.status_code == 400
    assert response.json()["error"].startswith("#/dimensions: ")


def test_a_key_may_ask_so_often_and_no_more(ask, owner, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "_limit", RateLimit(0))
    monkeypatch.setattr(settings, "current", lambda: settings.read({"HARU_API_RATE_LIMIT": "2"}))
    _, other = ApiKey.create(owner, "other", ["stats:read"])
    assert [ask().status_code for _ in range(2)] == [200, 200]
    response = ask()
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert "2 times in a minute" in response.json()["error"]
    assert ask(key=other).status_code == 200


def test_a_store_that_does_not_answer_is_503(ask, monkeypatch) -> None:
    from haru.store.protocol import StoreUnavailable

    def unavailable(*_):
        raise StoreUnavailable("disk")

    monkeypatch.setattr(services.get().reports, "answer", unavailable)
    response = ask()
    assert response.status_code == 503
    assert response.headers["Retry-After"]


def test_the_key_is_noted_as_used_today(ask) -> None:
    ask()
    assert ApiKey.objects.get().last_used_on in {date.fromtimestamp(time.time()), datetime.now(UTC).date()}


def test_an_explanation_says_how_a_number_comes_about(client, events, owner, stranger) -> None:
    _, own = ApiKey.create(owner, "test", ["stats:read"])
    _, other = ApiKey.create(stranger, "test", ["stats:read"])
    query = {
        "site_id": "example.com",
        "metrics": ["bounce_rate"],
        "date_range": DAY,
        "filters": [["is", "visit:source", ["Google", "Bing"]]],
    }

    def ask(key, **change):
        headers = {"Authorization": f"Bearer {key}"}
        return client.post("/api/v2/query/explain", query | change, content_type="application/json", headers=headers)

    answer = ask(own).json()
    assert answer["metrics"][0]["name"] == "bounce_rate"
    assert answer["filters"][0]["words"] == 'visit:source is "Google" or "Bing"'
    assert answer["period"]["first"] == "2026-05-20T00:00:00+02:00"
    assert answer["period"]["timezone"] == "Europe/Berlin"
    assert "SELECT" in answer["statements"][0]["sql"]
    assert ask(own, metrics=["x"]).json() == {"error": '#/metrics/0: Invalid metric "x"'}
    assert ask(other).json() == ask("haru_wrong").json() == {"error": endpoint.NO_ACCESS}


def test_the_example_of_the_docs_is_a_query() -> None:
    import json
    import re
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
    body = re.search(r"-d '(.*?)'\n```", page, re.S)
    assert body is not None
    assert parse(json.loads(body[1])).limit == 2


def test_a_question_too_many_is_asked_to_come_again(ask, monkeypatch) -> None:
    monkeypatch.setattr(turns, "MAX_EACH", 0)
    refused = ask()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"


def test_an_answer_that_is_too_large_is_refused_with_the_figure(ask, monkeypatch) -> None:
    sizes = {"dimensions": ["event:page"], "metrics": ["visitors", "pageviews"]}
    assert ask(**sizes).status_code == 200
    for most in (1, 100):  # what the rows say, and then the JSON
        monkeypatch.setattr(bounds, "MAX_ANSWER", most)
        refused = ask(**sizes)
        assert refused.status_code == 413
        assert "MiB: ask for fewer rows with pagination" in refused.json()["error"]
    assert bounds_of_the_docs()["the JSON of the answer"].startswith("16 MiB, else 413")


def test_a_query_of_more_bytes_than_the_docs_say_is_refused_with_the_figure(ask) -> None:
    query = b'{"site_id": "example.com", "metrics": ["visitors"], "date_range": "day"}'
    assert ask(query.ljust(128 * 1024)).status_code == 200
    refused = ask(query.ljust(128 * 1024 + 1))
    assert refused.status_code == 413
    assert refused.json() == {"error": "The body is larger than 128 KiB."}


def bounds_of_the_docs() -> dict[str, str]:
    text = (Path(__file__).parents[2] / "docs" / "query.md").read_text("utf-8")
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE))
