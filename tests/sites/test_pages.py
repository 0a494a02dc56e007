from __future__ import annotations

import re
from html import unescape

import pytest
from allauth.account.models import EmailAddress

from haru.collect.sites import Sites
from haru.live import CurrentVisitors, Live
from haru.sites import access
from haru.sites.models import Role, Site
from haru.web.project import services


def text_of(answer) -> str:
    return unescape(answer.content.decode())


def test_a_first_site_is_added_and_its_snippet_shown(owner, sign_in, data_dir, django_capture_on_commit_callbacks):
    browser = sign_in(owner)
    assert "No sites yet" in text_of(browser.get("/sites"))
    with django_capture_on_commit_callbacks(execute=True):
        answer = browser.post(
            "/sites/new", {"domain": "https://www.Example.com/", "timezone": "Asia/Tokyo"}, follow=True
        )
    assert answer.redirect_chain == [("/sites/example.com/snippet", 302)]
    site = Site.objects.get()
    page = text_of(answer)
    assert f'<script defer src="http://localhost:4000/js/haru.js" data-token="{site.token}"></script>' in page
    assert f"curl http://localhost:4000/api/collect -H 'Authorization: Bearer {site.token}'" in page
    assert 'href="/sites/example.com"' in page
    assert Sites(data_dir).by_token(site.token).timezone == "Asia/Tokyo"
    assert 'href="/sites/example.com"' in text_of(browser.get("/sites"))


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"domain": "intranet", "timezone": "UTC"}, "domain", "write the whole domain"),
        ({"domain": "", "timezone": "UTC"}, "domain", "This field is required"),
        ({"domain": "example.com", "timezone": "UTC"}, "domain", "already measured here"),
        ({"domain": "new.example", "timezone": "Mars/Base"}, "timezone", "Select a valid choice"),
    ],
)
def test_a_faulty_form_says_what_is_wrong_beside_the_field(site, stranger, sign_in, form, field, says):
    answer = sign_in(stranger).post("/sites/new", form)
    page = text_of(answer)
    assert answer.status_code == 422
    assert says in page
    widget = re.search(rf'<(?:input|select)[^>]*name="{field}"[^>]*>', page).group()
    assert 'aria-invalid="true"' in widget
    assert f"id_{field}_error" in re.search(r'aria-describedby="([^"]*)"', widget).group(1)
    assert f'id="id_{field}_error"' in page
    assert f'<label class="text-[13px] font-medium" for="id_{field}"' in page
    assert "owner@example.com" not in page
    assert Site.objects.count() == 1


def test_the_root_leads_to_the_first_site_or_to_the_list(site, owner, stranger, sign_in):
    assert sign_in(owner).get("/").headers["Location"] == "/sites/example.com"
    assert sign_in(stranger).get("/").headers["Location"] == "/sites"


def test_the_list_shows_how_many_are_there_now(site, owner, sign_in):
    class Visitors(CurrentVisitors):
        def count(self, site_id: int, now_ms: int) -> int:
            assert site_id == site.pk
            assert now_ms > 1_700_000_000_000
            return 27

    services.use(
        services.Services(
            reports=None, live=Live(Visitors()), sites_changed=list, delete_events=list, refusal_counts=lambda *_: []
        )
    )
    try:
        assert "27 current visitors" in text_of(sign_in(owner).get("/sites"))
    finally:
        services.use(None)
    assert "current visitors" not in text_of(sign_in(owner).get("/sites"))


def test_the_time_zone_can_be_changed(site, owner, sign_in):
    browser = sign_in(owner)
    page = text_of(browser.get("/sites/example.com/settings"))
    assert '<option value="Europe/Berlin" selected>' in page
    answer = browser.post("/sites/example.com/settings", {"timezone": "America/New_York"}, follow=True)
    assert "The time zone is now America/New_York." in text_of(answer)
    site.refresh_from_db()
    assert site.timezone == "America/New_York"
    assert browser.post("/sites/example.com/settings", {"timezone": "Mars/Base"}).status_code == 422
    site.refresh_from_db()
    assert site.timezone == "America/New_York"


def test_a_new_token_ends_the_old_one(site, owner, sign_in, data_dir, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = sign_in(owner).post("/sites/example.com/settings/token", follow=True)
    assert site.token not in text_of(answer)
    assert Sites(data_dir).by_token(site.token) is None
    site.refresh_from_db()
    assert site.token in text_of(answer)
    assert Sites(data_dir).by_token(site.token).domain == "example.com"


def test_a_person_is_given_access_and_loses_it_again(site, owner, stranger, sign_in):
    browser = sign_in(owner)
    form = {"email": "Stranger@example.com", "role": "viewer"}
    page = text_of(browser.post("/sites/example.com/settings/people", form, follow=True))
    assert "stranger@example.com now has access." in page
    assert access.role_of(stranger, site) == Role.VIEWER
    browser.post("/sites/example.com/settings/people", {**form, "role": "admin"})
    assert access.role_of(stranger, site) == Role.ADMIN
    browser.post(f"/sites/example.com/settings/people/{stranger.pk}/remove")
    assert access.role_of(stranger, site) is None


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"email": "who@example.com", "role": "viewer"}, "There is no account for who@example.com"),
        ({"email": "nobody", "role": "viewer"}, "valid email address"),
        ({"email": "stranger@example.com", "role": "owner"}, "Select a valid choice"),
        ({"email": "owner@example.com", "role": "viewer"}, "cannot be given another role"),
    ],
)
def test_access_is_refused_with_a_sentence(site, owner, stranger, sign_in, form, says):
    answer = sign_in(owner).post("/sites/example.com/settings/people", form)
    assert answer.status_code == 422
    assert says in text_of(answer)
    assert site.memberships.count() == 2


def test_where_mails_are_sent_only_a_confirmed_address_gets_access(site, owner, stranger, sign_in, settings):
    settings.MAILS_ARE_SENT = True
    form = {"email": "stranger@example.com", "role": "viewer"}
    EmailAddress.objects.filter(user=stranger).update(verified=False)
    answer = sign_in(owner).post("/sites/example.com/settings/people", form)
    assert "not confirmed yet" in text_of(answer)
    assert access.role_of(stranger, site) is None
    EmailAddress.objects.filter(user=stranger).update(verified=True)
    sign_in(owner).post("/sites/example.com/settings/people", form)
    assert access.role_of(stranger, site) == Role.VIEWER


def test_the_owner_cannot_be_removed(site, owner, sign_in):
    answer = sign_in(owner).post(f"/sites/example.com/settings/people/{owner.pk}/remove", follow=True)
    assert "The owner of a site cannot be removed" in text_of(answer)
    assert access.role_of(owner, site) == Role.OWNER


def test_an_admin_may_leave_but_not_delete(site, team_mate, sign_in):
    site.memberships.filter(user=team_mate).update(role="admin")
    browser = sign_in(team_mate)
    assert "Delete the site" not in text_of(browser.get("/sites/example.com/settings"))
    answer = browser.post(f"/sites/example.com/settings/people/{team_mate.pk}/remove")
    assert answer.headers["Location"] == "/sites"


@pytest.mark.parametrize("typed", ["", "example.org", "yes"])
def test_a_site_is_not_deleted_by_a_slip_of_the_hand(site, owner, sign_in, typed):
    answer = sign_in(owner).post("/sites/example.com/settings/delete", {"delete-domain": typed})
    assert answer.status_code == 422
    assert Site.objects.filter(pk=site.pk).exists()


def test_a_deleted_site_is_gone_with_its_events(site, owner, sign_in, data_dir, django_capture_on_commit_callbacks):
    gone: list[int] = []
    told: list[str] = []
    services.use(
        services.Services(
            reports=None,
            live=Live(),
            sites_changed=lambda: told.append("sites changed"),
            delete_events=gone.append,
            refusal_counts=lambda *_: [],
        )
    )
    site_id = site.pk
    try:
        with django_capture_on_commit_callbacks(execute=True):
            browser = sign_in(owner)
            answer = browser.post("/sites/example.com/settings/delete", {"delete-domain": " WWW.Example.com "})
    finally:
        services.use(None)
    assert "example.com and its numbers are deleted." in text_of(browser.get(answer.headers["Location"]))
    assert (gone, told) == ([site_id], ["sites changed"])
    assert not Site.objects.exists()
    assert Sites(data_dir).by_token(site.token) is None


def test_a_domain_with_other_letters_is_shown_as_people_write_it(owner, sign_in):
    browser = sign_in(owner)
    browser.post("/sites/new", {"domain": "bücher.example", "timezone": "UTC"})
    page = text_of(browser.get("/sites"))
    assert "bücher.example" in page
    assert 'href="/sites/xn--bcher-kva.example"' in page


def test_the_page_looks_for_the_sites_only_when_a_template_asks(owner, sign_in, rf, django_assert_num_queries):
    from haru.sites.context import sites

    request = rf.get("/")
    request.user = owner
    with django_assert_num_queries(0):
        found = sites(request)["sites"]
    with django_assert_num_queries(1):
        assert list(found) == []
        assert list(found) == []
