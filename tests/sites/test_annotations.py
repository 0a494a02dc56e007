"""The pages on which annotations are written, read, changed and deleted."""

from __future__ import annotations

import re

import pytest

from haru.sites import annotations as notes
from haru.sites.models import Annotation

PAGE = "/sites/example.com/annotations"
NOON = {"at": "2026-05-20T12:00", "text": "New home page"}
AT = "2026-05-20T10:00:00+00:00"


def read(person, sign_in) -> str:
    return sign_in(person).get(PAGE).content.decode()


def test_a_note_is_written_in_the_site_s_zone_changed_and_deleted(site, owner, sign_in):
    browser = sign_in(owner)
    assert "No annotations yet" in browser.get(PAGE).content.decode()
    answer = browser.post(PAGE, NOON)
    assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)
    note = Annotation.objects.get()
    assert (note.at.isoformat(), note.text, note.owner) == (AT, "New home page", owner)
    html = browser.get(PAGE).content.decode()
    assert "New home page" in html
    assert "12:00" in html
    assert "Only you" in html
    change = f"{PAGE}/{note.pk}"
    assert 'value="2026-05-20T12:00"' in browser.get(change).content.decode()
    browser.post(change, {"at": "2026-01-20T12:00", "text": "Old", "of_site": "on"})
    note.refresh_from_db()
    assert (note.at.isoformat(), note.text, note.owner) == ("2026-01-20T11:00:00+00:00", "Old", None)
    assert browser.post(f"{change}/delete").headers["Location"] == PAGE
    assert not Annotation.objects.exists()


def test_a_moment_that_is_left_as_it_was_keeps_its_seconds(site, owner, sign_in):
    note = notes.add(site, owner, "2026-05-20T10:00:12.345Z", "A")
    sign_in(owner).post(f"{PAGE}/{note.pk}", {**NOON, "text": "B"})
    note.refresh_from_db()
    assert (note.text, note.at.isoformat()) == ("B", "2026-05-20T10:00:12.345000+00:00")


def test_a_viewer_writes_for_themselves_and_reads_what_is_the_site_s(site, owner, team_mate, sign_in):
    sign_in(team_mate).post(PAGE, {**NOON, "of_site": "on"})
    mine = Annotation.objects.get()
    assert mine.owner == team_mate
    ours = notes.add(site, None, AT, "For all")
    html = read(team_mate, sign_in)
    assert "New home page" in html
    assert "For all" in html
    assert "of_site" not in html
    assert f"{PAGE}/{mine.pk}/delete" in html
    assert f"{PAGE}/{ours.pk}" not in html
    assert "New home page" not in read(owner, sign_in)
    assert sign_in(owner).get(f"{PAGE}/{mine.pk}").status_code == 404
    assert sign_in(owner).post(f"{PAGE}/{mine.pk}/delete").status_code == 404
    assert sign_in(team_mate).post(f"{PAGE}/{ours.pk}/delete").status_code == 404
    assert sign_in(team_mate).post(f"{PAGE}/{mine.pk}/delete").status_code == 302
    assert Annotation.objects.get() == ours


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("?period=7d&compare=none", "/sites/example.com?period=7d&compare=none"),
        ("//evil.example", PAGE),
        ("@evil.example", PAGE),
        ("https://evil.example", PAGE),
    ],
)
def test_who_came_from_the_dashboard_is_led_back_there_and_nowhere_else(site, owner, sign_in, back, leads_to):
    assert sign_in(owner).post(PAGE, {**NOON, "back": back}).headers["Location"] == leads_to


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"text": "A"}, "This field is required"),
        ({"at": "soon", "text": "A"}, "Enter a valid date/time"),
        ({"at": "1815-05-20T12:00", "text": "A"}, "Give an instant"),
        ({**NOON, "text": ""}, "This field is required"),
        ({**NOON, "text": "x" * 501}, "at most 500 characters"),
        ({**NOON, "text": "a\x00"}, "Null characters are not allowed"),
    ],
)
def test_what_is_wrong_with_a_note_is_said_beside_it(site, owner, sign_in, data, sentence):
    answer = sign_in(owner).post(PAGE, data)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Annotation.objects.exists()


def test_a_hostile_text_is_inert(site, owner, sign_in):
    notes.add(site, owner, AT, "<script>alert(1)</script>\u202e\"'")
    html = read(owner, sign_in)
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_a_form_without_its_key_writes_nothing(site, owner, sign_in):
    assert sign_in(owner, enforce_csrf_checks=True).post(PAGE, NOON).status_code == 403
    assert not Annotation.objects.exists()


def test_the_settings_lead_to_the_page(site, owner, sign_in):
    html = sign_in(owner).get("/sites/example.com/settings").content.decode()
    assert re.search(rf'href="{PAGE}"', html)
