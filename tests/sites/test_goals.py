"""The goals of a site, and the page on which they are managed."""

from __future__ import annotations

from html import unescape

import pytest
from django.db import IntegrityError, transaction

from haru.sites import goals, registry
from haru.sites.models import Goal
from haru.sites.registry import SiteError
from haru.stats.plan import StatsSite
from haru.stats.vocabulary import goals as stats

PAGE = "/sites/example.com/settings/goals"


def test_a_goal_is_named_after_its_event_or_its_page(site):
    assert goals.add_goal(site, event="Signup").name == "Signup"
    assert goals.add_goal(site, page="/thanks").name == "Visit /thanks"
    assert goals.add_goal(site, page="/thanks", scroll=50).name == "Scroll 50% on /thanks"
    assert goals.add_goal(site, page="/blog/**", name="Reads the blog").name == "Reads the blog"


def test_the_stats_know_the_goals_of_a_site(site, owner):
    goals.add_goal(site, event="Purchase", currency="eur")
    goals.add_goal(site, page="/blog/**")
    goals.add_goal(site, page="/blog/**", scroll=75, name="Reads")
    goals.add_goal(registry.create_site("other.example", "UTC", owner), event="Elsewhere")
    assert goals.stats_site(site) == StatsSite(
        site.pk,
        "Europe/Berlin",
        (
            stats.Goal("Purchase", event="Purchase", currency="EUR"),
            stats.Goal("Reads", page="/blog/**", scroll=75),
            stats.Goal("Visit /blog/**", page="/blog/**"),
        ),
    )


def test_a_goal_that_is_there_is_found_and_not_made_again(site):
    first = goals.add_goal(site, event="Signup", name="Registered")
    assert goals.add_goal(site, event="Signup") == first
    assert goals.add_goal(site, event="Signup", name="Registered") == first
    assert goals.add_goal(site, event="Signup", name="Another name") != first
    assert Goal.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({}, "event", "one of the two"),
        ({"event": "Signup", "page": "/x"}, "page", "one of the two"),
        ({"event": "pageview"}, "event", "Every visit has events named pageview"),
        ({"event": "x" * 121}, "event", "at most 120"),
        ({"page": "thanks"}, "page", "begin it with a slash"),
        ({"page": "/***"}, "page", "more than two stars"),
        ({"page": "/x", "currency": "EUR"}, "currency", "Only events bring revenue"),
        ({"page": "/x", "scroll": 101}, "scroll", "from 0 to 100"),
        ({"page": "/x", "scroll": -1}, "scroll", "from 0 to 100"),
        ({"event": "Buy", "scroll": 50}, "scroll", "Only a page is scrolled"),
        ({"page": "/x", "scroll": 50, "currency": "EUR"}, "currency", "Only events bring revenue"),
        ({"event": "Buy", "currency": "Euro"}, "currency", "three letters such as EUR"),
        ({"event": "Buy", "currency": "€€€"}, "currency", "three letters such as EUR"),
        ({"event": "Buy", "name": "x" * 121}, "name", "at most 120"),
        ({"page": "/" + "x" * 120}, "name", "at most 120"),
        ({"event": "a\0b"}, "name", "no text has"),
        ({"name": "a\udc80b", "event": "a"}, "name", "no text has"),  # bytes of a shell that are no UTF-8
    ],
)
def test_a_goal_that_cannot_be_is_refused_with_the_field_at_fault(site, fields, field, says):
    with pytest.raises(goals.GoalErrors) as caught:
        goals.add_goal(site, **fields)
    assert says in caught.value.faults[field]
    assert not Goal.objects.exists()


def test_every_field_at_fault_is_named_at_once(site):
    with pytest.raises(goals.GoalErrors) as caught:
        goals.add_goal(site, event="x" * 121, name="x" * 121, currency="?")
    assert set(caught.value.faults) == {"event", "name", "currency"}


def test_a_name_stands_for_one_goal_of_a_site(site, owner):
    goals.add_goal(site, event="Signup", name="Joined")
    with pytest.raises(goals.GoalErrors, match='another goal named "Joined"'):
        goals.add_goal(site, page="/welcome", name="Joined")
    other = registry.create_site("other.example", "UTC", owner)
    assert goals.add_goal(other, page="/welcome", name="Joined").site == other


def test_a_site_has_so_many_goals_and_no_more(site, monkeypatch):
    monkeypatch.setattr(goals, "MAX_GOALS", 1)
    goals.add_goal(site, event="One")
    with pytest.raises(goals.GoalErrors, match="delete one first"):
        goals.add_goal(site, event="Two")


def test_the_database_holds_no_goal_of_both_kinds_or_of_none(site):
    for fields in ({"event": "a", "page": "/a"}, {}, {"event": "a", "scroll": 5}, {"page": "/a", "scroll": 101}):
        with pytest.raises(IntegrityError), transaction.atomic():
            site.goals.create(name="odd", **fields)


def test_a_goal_of_another_site_cannot_be_deleted(site, owner):
    other = registry.create_site("other.example", "UTC", owner)
    goal = goals.add_goal(other, event="Signup")
    with pytest.raises(SiteError, match="no such goal"):
        goals.delete_goal(site, goal.pk)
    goals.delete_goal(other, goal.pk)
    assert not Goal.objects.exists()


def test_goals_are_added_and_deleted_on_their_page(site, owner, sign_in):
    browser = sign_in(owner)
    assert "No goals yet" in browser.get(PAGE).content.decode()
    answer = browser.post(PAGE, {"event": "Purchase", "currency": "eur"}, follow=True)
    html = unescape(answer.content.decode())
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "“Purchase” is a goal." in html
    assert 'aria-label="Delete Purchase"' in html
    assert ">EUR<" in html
    browser.post(PAGE, {"page": "/read", "scroll": "75"})
    page = unescape(browser.get(PAGE).content.decode())
    assert ">Scroll 75% on /read<" in page
    assert "scrolled to 75 %" in page
    Goal.objects.get(scroll=75).delete()
    answer = browser.post(f"{PAGE}/{Goal.objects.get().pk}/delete", follow=True)
    assert "The goal is deleted" in answer.content.decode()
    assert not Goal.objects.exists()
    assert browser.post(f"{PAGE}/99999999999999999999/delete").status_code == 404


def test_a_faulty_goal_says_what_is_wrong_beside_the_field(site, owner, sign_in):
    answer = sign_in(owner).post(PAGE, {"page": "thanks", "currency": "Euro", "scroll": "101"})
    html = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "begin it with a slash" in html
    assert 'id="id_page_error"' in html
    assert 'id="id_currency_error"' in html
    assert 'id="id_scroll_error"' in html
    assert 'value="thanks"' in html
