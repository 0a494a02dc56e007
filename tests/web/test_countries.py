"""A country has one name wherever people read it: for every code there is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape

import pytest

from haru.accounts.models import ApiKey
from haru.collect.exclusions import BadRules, read_country
from haru.events.countries import COUNTRIES
from haru.live import Live
from haru.stats.answers import Reports
from haru.web.api import endpoint
from haru.web.dashboard import views as dashboard
from haru.web.dashboard.breakdowns import panels, tabs
from haru.web.project import services
from tests.stats.made import HOUR, filled, journey, ms

NOW = ms("2026-01-15 12:00")


@pytest.fixture(autouse=True)
def a_visit_from_everywhere(site, monkeypatch) -> Iterator[None]:
    events = [
        event
        for number, code in enumerate(COUNTRIES, 1)
        for event in journey(10 * number, NOW - HOUR, (0, "/"), site_id=site.pk, hostname="example.com", country=code)
    ]
    for module in (dashboard, endpoint):
        monkeypatch.setattr(module, "now_ms", lambda: NOW)
    services.use(
        services.Services(
            reports=Reports(filled(events)),
            live=Live(),
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
            events=lambda *_: iter(()),
        )
    )
    yield
    services.use(None)


@pytest.fixture
def query(client, owner, site):
    _, key = ApiKey.create(owner, "test", ["stats:read"])

    def answered(path: str = "", **change):
        data = {"site_id": "example.com", "metrics": ["visitors"], "date_range": "day"} | change
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.post(f"/api/v2/query{path}", data, content_type="application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    return answered


def test_in_the_api(query) -> None:
    dimensions = ["visit:country", "visit:country_name"]
    found = query(dimensions=dimensions, pagination={"limit": 1000})["results"]
    assert dict(row["dimensions"] for row in found) == COUNTRIES


@pytest.mark.parametrize("code", ["CZ", "GB", "HK", "KR", "TR", "XK"])
def test_in_a_filter(query, code: str) -> None:
    filters = [["is", "visit:country_name", [COUNTRIES[code]]]]
    found = query(dimensions=["visit:country"], filters=filters)["results"]
    assert [row["dimensions"] for row in found] == [[code]]


def test_in_an_export(sign_in, owner) -> None:
    answer = sign_in(owner).get("/sites/example.com/export/countries.csv?period=day")
    table = csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline=""))
    assert {code: name for code, name, *_ in list(table)[1:]} == COUNTRIES


def test_on_the_dashboard(sign_in, owner) -> None:
    tab = next(tab for tab in tabs.ALL_TABS if tab.mark == "flag")
    names = {code: panels.text_of(tab, (code,)) for code in COUNTRIES}
    assert names == COUNTRIES


def test_where_countries_are_left_out(sign_in, owner) -> None:
    page = sign_in(owner).get("/sites/example.com/settings/counting").content.decode()
    choices = re.findall(r'value="(\w\w)"[^>]*>([^<]+)</label>', page)
    assert {code: unescape(name) for code, name in choices} == COUNTRIES
    names = [unescape(name) for _, name in choices]
    assert names.index("Albania") < names.index("Åland Islands") + 2 < names.index("Germany") < names.index("Türkiye")


def test_where_a_rule_names_one() -> None:
    for code, name in COUNTRIES.items():
        assert read_country(code.lower()) == code
        with pytest.raises(BadRules, match=f"write {code}"):
            read_country(name)
