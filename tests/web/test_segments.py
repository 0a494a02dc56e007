"""The pages of segments: made of the filters of a dashboard, chosen in its menu, changed and deleted."""

from __future__ import annotations

import re
from html import unescape

import pytest

from haru.sites import goals, segments
from haru.sites.models import Segment
from tests.web.test_dashboard import events, look, total, with_filters

__all__ = ["events", "look"]
GERMANY = '[["is","visit:country",["DE"]]]'


@pytest.fixture
def save(sign_in):
    def post(person, address="/sites/example.com/segments", **fields):
        return sign_in(person).post(address, {"name": "Germans", "whose": "personal", "filters": GERMANY, **fields})

    return post


def test_the_filters_of_a_view_are_saved_and_chosen_again(look, events, save, owner):
    events.add(visitor=1, country="DE")
    events.add(visitor=2, country="AT")
    html = look("?period=day" + with_filters(["is", "visit:country", ["DE"]]))
    (saves,) = re.findall(r'href="/sites/example.com(/segments\?filters=[^"]*)"', html)
    form = look(unescape(saves))
    assert "Country is Germany" in form
    (text,) = re.findall('name="filters" value="([^"]*)"', form)
    assert save(owner, filters=unescape(text)).status_code == 302
    html = look("?period=day")
    (address,) = re.findall(r'<a class="menu-item" href="([^"]*)" title="Country is Germany"', html)
    chosen = look(unescape(address))
    assert total(chosen, "visitors") == "1"
    assert re.search('title="Country is Germany" aria-current="true"', chosen)


def test_a_personal_segment_is_its_owners_alone(site, save, sign_in, owner, team_mate, events, look):
    events.add()
    assert save(team_mate).status_code == 302
    segment = Segment.objects.get()
    assert segment.owner == team_mate
    assert "Germans" in sign_in(team_mate).get("/sites/example.com").content.decode()
    assert "Germans" not in look()
    assert "Germans" not in look("/segments")
    for address in (f"/sites/example.com/segments/{segment.pk}", f"/sites/example.com/segments/{segment.pk}/delete"):
        assert save(owner, address).status_code == 404
    changed = save(team_mate, f"/sites/example.com/segments/{segment.pk}", name="Deutsche")
    assert changed.status_code == 302
    assert Segment.objects.get().name == "Deutsche"
    assert save(team_mate, f"/sites/example.com/segments/{segment.pk}/delete").status_code == 302
    assert not Segment.objects.exists()


def test_only_those_who_manage_the_site_make_a_segment_for_everyone(site, save, owner, team_mate, stranger):
    assert save(team_mate, whose="site").status_code == 422
    assert save(stranger).status_code == 404
    assert not Segment.objects.exists()
    assert save(owner, whose="site").status_code == 302
    segment = Segment.objects.get()
    assert segment.owner is None
    assert save(team_mate, f"/sites/example.com/segments/{segment.pk}").status_code == 404


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"filters": "["}, "The filters cannot be read."),
        ({"filters": "[" * 100_000}, "The filters cannot be read."),
        ({"filters": "[]"}, "at least one"),
        ({"filters": '[["is","visit:nothing",["x"]]]'}, "Invalid dimension"),
        ({"name": "Taken"}, "There is already another segment named"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_what_makes_no_segment_is_said(site, save, owner, fields, sentence):
    segments.add(site, owner, "Taken", [["is", "event:page", ["/"]]])
    answer = save(owner, **fields)
    assert answer.status_code == 422
    assert sentence in unescape(answer.content.decode())
    assert Segment.objects.count() == 1


def test_a_segment_whose_goal_is_gone_is_listed_and_not_offered(site, owner, look, events):
    events.add()
    goal = goals.add_goal(site, event="Signup")
    segments.add(site, None, "Signed <b>up", [["is", "event:goal", ["Signup"]]])
    assert "Goal is Signup" in look()
    goals.delete_goal(site, goal.pk)
    assert "Signed &lt;b&gt;up" not in look()
    assert "Signed &lt;b&gt;up" in look("/segments")
