"""Annotations by API, and what the chart of a person or of a guest shows: who reads and who changes which."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from haru.accounts.models import ApiKey
from haru.sites import annotations as notes
from haru.sites import registry
from haru.sites.models import Annotation
from haru.web.api import endpoint
from tests.stats.made import ms

PATH = "/api/v1/annotations"
AT = "2026-05-20T10:00:00+02:00"
DAY = (ms("2026-05-20 00:00"), ms("2026-05-21 00:00"))


@pytest.fixture
def admin(site, make_user):
    person = make_user("admin@example.com")
    registry.set_role(site, person, "admin")
    return person


def send(person, method: str, path: str = PATH, data=None, scopes=("stats:read", "sites:write"), **query):
    headers = {}
    if person is not None:
        _, key = ApiKey.create(person, "test", scopes)
        headers = {"Authorization": f"Bearer {key}"}
    options = {"query_params": query}
    if data is not None:
        data = {"site_id": "example.com", **data}
        options |= {"data": json.dumps(data), "content_type": "application/json"}
    return getattr(Client(), method)(path, headers=headers, **options)


def read(person, **query) -> set[str]:
    answer = send(person, "get", site_id="example.com", **query)
    assert "@" not in answer.content.decode()  # nobody is told who wrote a note
    return {one["text"] for one in answer.json()["annotations"]}


def test_an_annotation_is_made_read_changed_and_deleted(owner, site) -> None:
    made = send(owner, "post", data={"at": "2026-05-20T08:00:00.1239Z", "text": "  New \n home page "})
    assert made.status_code == 200
    note = made.json()
    assert note == {**note, "at": "2026-05-20T10:00:00.123+02:00", "text": "New home page", "personal": True}
    assert send(owner, "get", site_id="example.com").json()["annotations"] == [note]
    path = f"{PATH}/{note['id']}"
    assert send(owner, "put", path, {"text": "Old"}).json() == {**note, "text": "Old"}
    changed = send(owner, "put", path, {"at": "2026-01-20T10:00:00+01:00", "personal": False}).json()
    assert changed == {**note, "text": "Old", "at": "2026-01-20T10:00:00+01:00", "personal": False}
    assert send(owner, "delete", path, site_id="example.com").json() == {"deleted": True}
    assert not Annotation.objects.exists()


def test_a_personal_annotation_is_its_owner_s_alone(owner, admin, team_mate, stranger, site) -> None:
    note = notes.add(site, team_mate, AT, "Mine")
    assert read(team_mate) == {"Mine"}
    assert read(owner) == read(admin) == set()
    path = f"{PATH}/{note.pk}"
    for person, status in ((owner, 404), (admin, 404), (stranger, 401), (None, 401)):
        assert send(person, "put", path, {"text": "Theirs"}).status_code == status
        assert send(person, "delete", path, site_id="example.com").status_code == status
    for person in (stranger, None):
        assert send(person, "get", site_id="example.com").status_code == 401
    assert send(team_mate, "put", path, {"text": "Ours"}).json()["text"] == "Ours"
    assert send(team_mate, "put", path, {"personal": False}).status_code == 401
    assert send(team_mate, "delete", path, site_id="example.com").status_code == 200


def test_an_annotation_of_the_site_is_read_by_all_and_changed_by_those_who_manage_it(
    owner, admin, team_mate, stranger, site
) -> None:
    ours = {"at": AT, "text": "Ours", "personal": False}
    for person in (team_mate, stranger, None):
        answer = send(person, "post", data=ours)
        assert (answer.status_code, answer.json()["error"]) == (401, endpoint.NO_CHANGE)
    path = f"{PATH}/{send(admin, 'post', data=ours).json()['id']}"
    assert read(owner) == read(admin) == read(team_mate) == {"Ours"}
    for person in (team_mate, stranger, None):
        assert send(person, "put", path, {"text": "Theirs"}).status_code == 401
        assert send(person, "put", path, {"personal": True}).status_code == 401
        assert send(person, "delete", path, site_id="example.com").status_code == 401
    assert send(owner, "put", path, {"text": "All"}).json()["personal"] is False
    assert send(owner, "delete", path, site_id="example.com").status_code == 200


def test_a_key_that_may_only_read_lists_and_changes_nothing(owner, site) -> None:
    only = ("stats:read",)
    note = notes.add(site, owner, AT, "Mine")
    assert send(owner, "get", scopes=only, site_id="example.com").status_code == 200
    assert send(owner, "post", data={"at": AT, "text": "B"}, scopes=only).status_code == 401
    assert send(owner, "put", f"{PATH}/{note.pk}", {"text": "B"}, scopes=only).status_code == 401
    assert send(owner, "delete", f"{PATH}/{note.pk}", scopes=only, site_id="example.com").status_code == 401


def test_a_period_shows_those_that_a_person_or_a_guest_may_see(owner, team_mate, stranger, site) -> None:
    other = registry.create_site("other.example", "UTC", owner)
    notes.add(other, None, AT, "Elsewhere")
    for at, text in (
        ("2026-05-20T00:00Z", "First"),
        ("2026-05-20T23:59:59.999Z", "Last"),
        ("2026-05-21T00:00Z", "After"),
    ):
        notes.add(site, None, at, text)
    notes.add(site, owner, AT, "Mine")
    assert [note.text for note in notes.within(owner, site, DAY)] == ["First", "Mine", "Last"]
    for person in (team_mate, stranger, notes.GUEST):
        assert [note.text for note in notes.within(person, site, DAY)] == ["First", "Last"]
    assert len(notes.within(owner, site, (0, 2**60))) == 4


def test_a_list_may_be_of_days_in_the_site_s_zone(owner, site) -> None:
    notes.add(site, owner, "2026-05-19T22:00:00Z", "Midnight in Berlin")
    notes.add(site, owner, "2026-05-20T22:00:00Z", "The day after")
    assert read(owner, since="2026-05-20", until="2026-05-20") == {"Midnight in Berlin"}
    assert read(owner, since="2026-05-20T21:59:00Z") == {"The day after"}
    answer = send(owner, "get", site_id="example.com", since="then", until="2026-05-20", limit="0")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith('#/since: "then" is neither date nor instant')
    assert "; #/limit: Give a whole number" in answer.json()["error"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"text": "A"}, "#/at: This is required"),
        ({"at": AT}, "#/text: This is required"),
        ({"at": "2026-05-20T10:00:00", "text": "A"}, "#/at: Give an instant with its offset"),
        ({"at": "yesterday", "text": "A"}, "#/at: Give an instant with its offset"),
        ({"at": "0001-01-01T00:00:00+14:00", "text": "A"}, "#/at: Give an instant with its offset"),
        ({"at": "2200-01-01T00:00:00Z", "text": "A"}, "#/at: Give an instant with its offset"),
        ({"at": 7, "text": "A"}, "#/at: Give a text such as"),
        ({"at": AT, "text": " "}, "#/text: Give a text of at most 500"),
        ({"at": AT, "text": "x" * 501}, "#/text: Give a text of at most 500"),
        ({"at": AT, "text": "a\x00"}, "#/text: There is a character"),
        ({"at": AT, "text": "A", "personal": "perhaps"}, "#/personal: Give true or false"),
        ({"at": AT, "text": "A", "colour": "red"}, "#/colour: Unknown"),
    ],
)
def test_a_faulty_annotation_is_named_by_its_faults(owner, site, data, sentence) -> None:
    answer = send(owner, "post", data=data)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert not Annotation.objects.exists()


def test_there_are_only_so_many(owner, site, monkeypatch) -> None:
    monkeypatch.setattr(notes, "MAX_ANNOTATIONS", 1)
    mine, _ = notes.add(site, owner, AT, "A"), notes.add(site, None, AT, "A")
    for person in (owner, None):
        with pytest.raises(notes.AnnotationErrors, match="which is the most"):
            notes.add(site, person, AT, "B")
    assert notes.change(mine, owner, AT, "C").text == "C"


def test_what_is_not_there_is_404(owner, site, stranger) -> None:
    other = registry.create_site("other.example", "UTC", stranger)
    foreign = notes.add(other, None, AT, "Foreign")
    for pk in (foreign.pk, foreign.pk + 1, 10**30):
        assert send(owner, "put", f"{PATH}/{pk}", {"text": "A"}).status_code == 404
        assert send(owner, "delete", f"{PATH}/{pk}", site_id="example.com").status_code == 404


def test_a_personal_annotation_goes_with_its_owner_and_one_of_the_site_stays(team_mate, site) -> None:
    notes.add(site, team_mate, AT, "Mine")
    notes.add(site, None, AT, "Ours")
    team_mate.delete()
    assert [note.text for note in Annotation.objects.all()] == ["Ours"]
