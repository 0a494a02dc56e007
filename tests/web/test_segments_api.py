"""Segments by API, and in the filters of a query: who knows which, and what they do there."""

from __future__ import annotations

import json
import time

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from haru.accounts.models import ApiKey
from haru.live import Live
from haru.sites import goals, links, registry, segments
from haru.sites.models import Segment
from haru.stats.answers import Reports
from haru.web.api import endpoint
from haru.web.project import services
from tests.stats.made import filled, journey

GERMAN = ["is", "visit:country", ["DE"]]
FRENCH = ["is", "visit:country", ["FR"]]
PATH = "/api/v1/sites/segments"


@pytest.fixture
def admin(site, make_user):
    person = make_user("admin@example.com")
    registry.set_role(site, person, "admin")
    return person


@pytest.fixture
def events(site):
    """Services over a store in which the site has a visit from each of two countries."""
    now = int(time.time() * 1000) - 1000
    made = [
        *journey(100, now, (0, "/pricing"), site_id=site.pk, country="DE"),
        *journey(200, now, (0, "/blog"), site_id=site.pk, country="FR"),
    ]
    services.use(
        services.Services(
            reports=Reports(filled(made)), live=Live(), sites_changed=list, delete_events=list, refusal_counts=list
        )
    )
    yield
    services.use(None)


def send(person, method: str, path: str = PATH, data=None, scopes=("stats:read", "sites:write"), **query):
    headers = {}
    if person is not None:
        _, key = ApiKey.create(person, "test", scopes)
        headers = {"Authorization": f"Bearer {key}"}
    if data is not None:
        data = {"site_id": "example.com", **data}
    options = {"query_params": query} | ({"data": json.dumps(data), "content_type": "application/json"} if data else {})
    return getattr(Client(), method)(path, headers=headers, **options)


def names(person) -> set[str]:
    return {one["name"] for one in send(person, "get", site_id="example.com").json()["segments"]}


def ask(person, *trees, path="/api/v2/query", **query):
    query = {"metrics": ["visitors"], "date_range": "day", "filters": list(trees), **query}
    return send(person, "post", path, query)


def test_a_segment_is_made_read_changed_and_deleted(owner, site) -> None:
    made = send(owner, "post", data={"name": " Germans ", "filters": [GERMAN]})
    assert made.status_code == 200
    segment = made.json()
    assert segment == {**segment, "name": "Germans", "personal": True, "filters": [GERMAN]}
    assert send(owner, "get", site_id="example.com").json()["segments"] == [segment]
    path = f"{PATH}/{segment['id']}"
    assert send(owner, "put", path, {"name": "French"}).json() == {**segment, "name": "French"}
    changed = send(owner, "put", path, {"filters": [FRENCH], "personal": False}).json()
    assert changed == {**segment, "name": "French", "filters": [FRENCH], "personal": False}
    assert send(owner, "delete", path, site_id="example.com").json() == {"deleted": True}
    assert not Segment.objects.exists()


def test_a_personal_segment_is_its_owner_s_alone(owner, admin, team_mate, stranger, site) -> None:
    segment = segments.add(site, team_mate, "Mine", [GERMAN])
    assert names(team_mate) == {"Mine"}
    assert names(owner) == names(admin) == set()
    path = f"{PATH}/{segment.pk}"
    for person in (owner, admin):
        assert send(person, "put", path, {"name": "Theirs"}).status_code == 404
        assert send(person, "delete", path, site_id="example.com").status_code == 404
    for person in (stranger, None):
        assert send(person, "put", path, {"name": "Theirs"}).status_code == 401
        assert send(person, "delete", path, site_id="example.com").status_code == 401
        assert send(person, "get", site_id="example.com").status_code == 401
    assert send(team_mate, "put", path, {"name": "Ours"}).json()["name"] == "Ours"
    assert send(team_mate, "delete", path, site_id="example.com").status_code == 200


def test_a_segment_of_the_site_is_read_by_all_and_changed_by_those_who_manage_it(
    owner, admin, team_mate, stranger, site
) -> None:
    ours = {"name": "Ours", "filters": [GERMAN], "personal": False}
    for person in (team_mate, stranger, None):
        answer = send(person, "post", data=ours)
        assert (answer.status_code, answer.json()["error"]) == (401, endpoint.NO_CHANGE)
    segment = send(admin, "post", data=ours).json()
    path = f"{PATH}/{segment['id']}"
    assert names(owner) == names(admin) == names(team_mate) == {"Ours"}
    for person in (team_mate, stranger, None):
        assert send(person, "put", path, {"name": "Theirs"}).status_code == 401
        assert send(person, "put", path, {"personal": True}).status_code == 401
        assert send(person, "delete", path, site_id="example.com").status_code == 401
    assert send(owner, "put", path, {"name": "All"}).json()["personal"] is False
    mine = segments.add(site, team_mate, "Mine", [GERMAN])
    assert send(team_mate, "put", f"{PATH}/{mine.pk}", {"personal": False}).status_code == 401
    assert Segment.objects.get(pk=mine.pk).personal
    assert send(owner, "delete", path, site_id="example.com").status_code == 200


def test_a_segment_goes_with_its_owner_and_stays_without_a_role_unknown(owner, team_mate, site) -> None:
    mine = segments.add(site, team_mate, "Mine", [GERMAN])
    ours = segments.add(site, None, "Ours", [GERMAN])
    assert segments.known_to(team_mate, "Example.com")(mine.pk) == [GERMAN]
    site.memberships.filter(user=team_mate).delete()
    assert segments.known_to(team_mate, "example.com")(mine.pk) is None
    assert segments.known_to(team_mate, "example.com")(ours.pk) is None
    team_mate.delete()
    assert [segment.name for segment in Segment.objects.all()] == ["Ours"]


def test_a_key_that_may_only_read_lists_and_changes_nothing(owner, site) -> None:
    read = ("stats:read",)
    segment = segments.add(site, owner, "Mine", [GERMAN])
    assert send(owner, "get", scopes=read, site_id="example.com").status_code == 200
    assert send(owner, "post", data={"name": "B", "filters": [GERMAN]}, scopes=read).status_code == 401
    assert send(owner, "put", f"{PATH}/{segment.pk}", {"name": "B"}, scopes=read).status_code == 401
    assert send(owner, "delete", f"{PATH}/{segment.pk}", scopes=read, site_id="example.com").status_code == 401


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"filters": [GERMAN]}, "#/name: This is required"),
        ({"name": "  ", "filters": [GERMAN]}, "#/name: Give the segment a name"),
        ({"name": "x" * 101, "filters": [GERMAN]}, "#/name: Give a text of at most 100"),
        ({"name": "a\x00", "filters": [GERMAN]}, "#/name: There is a character"),
        ({"name": "A"}, "#/filters: This is required"),
        ({"name": "A", "filters": []}, "#/filters: Give a list of at least one"),
        ({"name": "A", "filters": "x"}, "#/filters: Give a list of at least one"),
        ({"name": "A", "filters": [["is", "segment", [1]]]}, "#/filters/0: A segment cannot hold another segment"),
        ({"name": "A", "filters": [["is", "event:goal", ["No"]]]}, "#/filters/0/2/0: This site has no goal"),
        ({"name": "A", "filters": [GERMAN] * 201}, "#/filters: Give at most 200 comparisons"),
        ({"name": "A", "filters": [["is", "event:page", ["x" * 2000] * 70]]}, "#/filters: They have more than 128 KiB"),
        ({"name": "A", "filters": [GERMAN], "personal": "perhaps"}, "#/personal: Give true or false"),
        ({"name": "A", "filters": [GERMAN], "owner": "x"}, "#/owner: Unknown"),
        ({"name": "Taken", "filters": [GERMAN]}, '#/name: There is already another segment named "Taken"'),
    ],
)
def test_a_faulty_segment_is_named_by_its_faults(owner, site, data, sentence) -> None:
    segments.add(site, owner, "Taken", [GERMAN])
    answer = send(owner, "post", data=data)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert Segment.objects.count() == 1


def test_a_name_is_there_once_among_the_site_s_and_among_each_person_s(owner, team_mate, site) -> None:
    for person in (owner, team_mate, None):
        segments.add(site, person, "A", [GERMAN])
        with pytest.raises(segments.SegmentErrors, match="already another"):
            segments.add(site, person, "A", [GERMAN])
        with transaction.atomic(), pytest.raises(IntegrityError):
            Segment.objects.create(site=site, owner=person, name="A", filters=[GERMAN])
    mine = Segment.objects.get(owner=owner)
    answer = send(owner, "put", f"{PATH}/{mine.pk}", {"personal": False})
    assert (answer.status_code, "already another" in answer.json()["error"]) == (400, True)
    assert Segment.objects.get(pk=mine.pk).personal


def test_there_are_only_so_many(owner, site, monkeypatch) -> None:
    monkeypatch.setattr(segments, "MAX_SEGMENTS", 1)
    mine, _ = segments.add(site, owner, "A", [GERMAN]), segments.add(site, None, "A", [GERMAN])
    for person in (owner, None):
        with pytest.raises(segments.SegmentErrors, match="which is the most"):
            segments.add(site, person, "B", [GERMAN])
    assert segments.change(mine, owner, "C", [FRENCH]).name == "C"


@pytest.mark.parametrize("id", [1, 10**18, 10**30])
def test_what_is_not_there_is_404(owner, site, stranger, id) -> None:
    other = registry.create_site("other.example", "UTC", stranger)
    foreign = segments.add(other, None, "Foreign", [GERMAN])
    for pk in (id + foreign.pk, foreign.pk):
        assert send(owner, "put", f"{PATH}/{pk}", {"name": "A"}).status_code == 404
        assert send(owner, "delete", f"{PATH}/{pk}", site_id="example.com").status_code == 404


def test_a_query_filters_by_what_the_segment_holds(owner, site, events) -> None:
    segment = segments.add(site, owner, "Germans", [GERMAN, ["is", "event:page", ["/pricing"]]])
    by_name = ask(owner, ["is", "segment", [segment.pk]])
    assert by_name.json()["results"] == [{"metrics": [1], "dimensions": []}]
    assert by_name.json() == ask(owner, *segment.filters).json()
    assert by_name.json()["query"]["filters"] == segment.filters
    outside = ask(owner, ["not", ["is", "segment", [segment.pk]]], dimensions=["visit:country"])
    assert outside.json()["results"] == [{"metrics": [1], "dimensions": ["FR"]}]
    explained = ask(owner, ["is", "segment", [segment.pk]], path="/api/v2/query/explain").json()
    assert [one["filter"] for one in explained["filters"]] == segment.filters


def test_answers_by_a_segment_are_kept_under_what_it_holds(owner, site, events) -> None:
    segment = segments.add(site, owner, "A", [GERMAN])
    ask(owner, GERMAN)
    misses = services.get().reports.asking.cache.misses
    assert ask(owner, ["is", "segment", [segment.pk]]).json()["results"][0]["metrics"] == [1]
    assert services.get().reports.asking.cache.misses == misses
    segments.change(segment, owner, "A", [["is", "visit:country", ["FR", "DE"]]])
    assert ask(owner, ["is", "segment", [segment.pk]]).json()["results"][0]["metrics"] == [2]


def test_a_segment_that_is_unknown_another_s_or_of_another_site_is_the_same_fault(
    owner, admin, team_mate, stranger, site, events
) -> None:
    mine = segments.add(site, team_mate, "Mine", [GERMAN])
    other = registry.create_site("other.example", "UTC", owner)
    foreign = segments.add(other, None, "Of the other site", [GERMAN])
    assert ask(team_mate, ["is", "segment", [mine.pk]]).status_code == 200
    for person, pk in ((owner, mine.pk), (admin, mine.pk), (stranger, mine.pk), (owner, foreign.pk), (owner, 999_999)):
        answer = ask(person, ["is", "segment", [pk]])
        assert answer.status_code == 400
        assert answer.json() == {"error": f'#/filters/0/2/0: Unknown segment "{pk}"'}
    ours = segments.add(site, None, "Ours", [GERMAN])
    for person in (owner, admin, team_mate):
        assert ask(person, ["is", "segment", [ours.pk]]).status_code == 200
    for domain in ("example.com", "missing.example", 7, "x" * 5000, "a\x00"):
        answer = ask(stranger, ["is", "segment", [ours.pk]], site_id=domain)
        assert answer.json()["error"].endswith(f'#/filters/0/2/0: Unknown segment "{ours.pk}"')


def test_a_goal_that_has_gone_is_told_of_the_segment(owner, site, events) -> None:
    goal = goals.add_goal(site, event="Signup")
    segment = segments.add(site, owner, "Buyers", [["is", "event:goal", ["Signup"]]])
    assert ask(owner, ["is", "segment", [segment.pk]]).status_code == 200
    goals.delete_goal(site, goal.pk)
    answer = ask(owner, ["is", "segment", [segment.pk]])
    assert (answer.status_code, "This site has no goal" in answer.json()["error"]) == (400, True)


def test_suggestions_know_the_segments_that_the_asker_knows_and_guests_none(
    owner, team_mate, sign_in, site, events
) -> None:
    segment = segments.add(site, owner, "Mine", [GERMAN])
    ours = segments.add(site, None, "Ours", [GERMAN])
    asked = {"dimension": "event:page", "date_range": "day", "filters": json.dumps([["is", "segment", [segment.pk]]])}
    by_key = send(owner, "get", "/api/v2/suggestions", site_id="example.com", **asked)
    assert [one["value"] for one in by_key.json()["results"]] == ["/pricing"]
    assert sign_in(owner).get("/sites/example.com/suggestions", asked).json() == by_key.json()
    assert sign_in(team_mate).get("/sites/example.com/suggestions", asked).status_code == 400
    link = links.add_link(site, "Board")
    for pk in (segment.pk, ours.pk):
        asked["filters"] = json.dumps([["is", "segment", [pk]]])
        answer = sign_in(owner).get(f"/share/{link.slug}/suggestions", asked)
        assert (answer.status_code, "Unknown segment" in answer.json()["error"]) == (400, True)
