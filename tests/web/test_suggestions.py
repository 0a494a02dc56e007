"""Suggestions for menus of filters: by key, by session and by shared link, over a real event store."""

from __future__ import annotations

import json
import time

import pytest
from django.test import Client

from haru.accounts.models import ApiKey
from haru.live import Live
from haru.sites import goals, links, registry
from haru.stats.answers import Reports
from haru.stats.turns import Turns
from haru.web.dashboard import share, suggestions
from haru.web.project import services
from tests.stats.made import filled, journey

SECRET = "one long secret"
ASKED = {"dimension": "visit:country", "date_range": "day", "prefix": "GERM"}
GERMANY = {"results": [{"value": "DE", "label": "Germany", "visitors": 1}]}


@pytest.fixture
def other(stranger):
    """A site of the stranger."""
    return registry.create_site("other.example", "UTC", stranger)


@pytest.fixture
def events(site, other):
    """Services over a store in which each of two sites has a visit of just now."""
    now = int(time.time() * 1000) - 1000
    made = [
        *journey(100, now, (0, "/pricing"), site_id=site.pk, country="DE", props='{"plan":"Pro"}'),
        *journey(200, now, (0, "/secret"), site_id=other.pk, country="FR", props='{"hidden":"1"}'),
    ]
    services.use(
        services.Services(
            reports=Reports(filled(made)), live=Live(), sites_changed=list, delete_events=list, refusal_counts=list
        )
    )
    yield
    services.use(None)


def by_key(person, *, scope: str = "stats:read", **parameters: str):
    _, key = ApiKey.create(person, "test", [scope])
    asked = {"site_id": "example.com", **ASKED, **parameters}
    return Client().get("/api/v2/suggestions", asked, headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize("who", ["owner", "team_mate"])
def test_whoever_may_see_the_site_is_suggested_its_values(request, sign_in, events, who) -> None:
    person = request.getfixturevalue(who)
    assert by_key(person).json() == GERMANY
    answer = sign_in(person).get("/sites/example.com/suggestions", ASKED)
    assert answer.json() == GERMANY
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_stranger_and_a_key_of_another_site_are_told_what_is_told_of_no_site(sign_in, events, stranger) -> None:
    told = by_key(stranger)
    assert told.status_code == 401
    assert told.content == by_key(stranger, site_id="missing.example").content
    assert sign_in(stranger).get("/sites/example.com/suggestions", ASKED).status_code == 404
    assert by_key(stranger, site_id="other.example", prefix="").json()["results"][0]["label"] == "France"


def test_a_key_without_the_scope_and_no_key_are_refused(owner, events) -> None:
    assert by_key(owner, scope="sites:write").status_code == 401
    assert Client().get("/api/v2/suggestions", {"site_id": "example.com", **ASKED}).status_code == 401


def test_a_guest_is_suggested_the_values_of_the_link_s_site(sign_in, events, site) -> None:
    link = links.add_link(site, "Board")
    answer = sign_in().get(f"/share/{link.slug}/suggestions", ASKED)
    assert answer.json() == GERMANY
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    faulty = sign_in().get(f"/share/{link.slug}/suggestions", {**ASKED, "site_id": "other.example"})
    assert faulty.status_code == 400
    links.revoke_link(site, link.pk)
    assert sign_in().get(f"/share/{link.slug}/suggestions", ASKED).status_code == 404


def test_a_guest_without_the_password_is_suggested_nothing(sign_in, events, site) -> None:
    link = links.add_link(site, "Locked", SECRET)
    browser = sign_in()
    assert browser.get(f"/share/{link.slug}/suggestions", ASKED).status_code == 404
    browser.post(f"/share/{link.slug}", {"password": SECRET})
    assert browser.get(f"/share/{link.slug}/suggestions", ASKED).json() == GERMANY


def test_a_guest_waits_for_a_turn_as_for_a_page(sign_in, events, site, monkeypatch) -> None:
    link = links.add_link(site, "Board")
    monkeypatch.setattr(share, "_turns", Turns(0))
    monkeypatch.setattr(share, "WAIT_SECONDS", 0.05)
    assert sign_in().get(f"/share/{link.slug}/suggestions", ASKED).status_code == 503


def test_questions_of_people_are_asked_as_theirs(sign_in, owner, events, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(suggestions.asking, "name_asker", asked.append)
    sign_in(owner).get("/sites/example.com/suggestions", ASKED)
    assert asked == [("user", owner.pk)]


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        ("event:page", ["/pricing"]),
        ("event:goal", ["Visit /pricing", "Signup"]),
        ("event:name", ["pageview"]),
        ("event:props:", ["event:props:plan"]),
        ("event:props:plan", ["Pro"]),
        ("event:props:hidden", ["(none)"]),
    ],
)
def test_only_values_of_the_site_are_suggested(owner, site, events, dimension, values) -> None:
    goals.add_goal(site, page="/pricing")
    goals.add_goal(site, event="Signup")
    answer = by_key(owner, dimension=dimension, prefix="")
    assert [one["value"] for one in answer.json()["results"]] == values


def test_dates_and_filters_are_json(owner, events) -> None:
    nowhere = json.dumps([["is", "event:page", ["/nowhere"]]])
    assert by_key(owner, filters=nowhere).json() == {"results": []}
    assert by_key(owner, date_range='["2001-01-01", "2001-01-02"]').json() == {"results": []}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"site_id": ""}, "#/site_id: This is required"),
        ({"dimension": ""}, "#/dimension: This is required"),
        ({"dimension": "visit:x"}, '#/dimension: Invalid dimension "visit:x"'),
        ({"dimension": "time:day"}, '#/dimension: The dimension "time:day" cannot be filtered by'),
        ({"date_range": ""}, "#/date_range: This is required"),
        ({"date_range": "[1"}, "#/date_range: Invalid date range"),
        ({"filters": "nothing"}, "#/filters: Give a list of filters"),
        ({"filters": "[" * 5000}, "#/filters: Give a list of filters"),
        ({"filters": json.dumps([["is", "event:goal", ["No goal"]]])}, "#/filters/0/2/0: This site has no goal"),
        ({"prefix": "x" * 10_000}, "#/prefix: The text has more than 2,000 characters"),
        ({"prefix": "a\x00"}, "#/prefix: There is a character in it that no text has"),
        ({"limit": "7"}, "#/limit: Unknown"),
    ],
)
def test_a_fault_is_named_to_everyone(sign_in, owner, site, events, given, sentence) -> None:
    answer = by_key(owner, **given)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    if "site_id" not in given:
        of_session = sign_in(owner).get("/sites/example.com/suggestions", ASKED | given)
        assert (of_session.status_code, of_session.json()["error"][:17]) == (400, answer.json()["error"][:17])
        link = links.add_link(site, "Board")
        of_link = sign_in().get(f"/share/{link.slug}/suggestions", ASKED | given)
        assert (of_link.status_code, of_link.json()) == (400, of_session.json())
