"""The shared links of a site, and the page on which they are managed."""

from __future__ import annotations

from html import unescape

import pytest
from django.core import signing

from haru.sites import access, links, registry
from haru.sites.models import SharedLink
from haru.sites.registry import SiteError

PAGE = "/sites/example.com/settings/links"


def test_a_link_has_an_address_nobody_can_guess(site):
    first, second = links.add_link(site, "Board"), links.add_link(site, "Press")
    assert len(first.slug) >= 22
    assert first.slug != second.slug
    assert links.address(first) == f"http://localhost:4000/share/{first.slug}"
    assert access.shared(first.slug) == first


def test_a_link_of_the_same_name_is_found_and_keeps_its_password(site, owner):
    link = links.add_link(site, "Board", "one long secret")
    again = links.add_link(site, " Board ", "another secret")
    assert again == link
    assert links.opens(again, "one long secret")
    other = registry.create_site("other.example", "UTC", owner)
    assert links.add_link(other, "Board") != link


def test_a_password_is_kept_as_django_keeps_passwords(site):
    link = links.add_link(site, "Board", "one long secret")
    assert "secret" not in link.password
    assert links.opens(link, "one long secret")
    assert not links.opens(link, "one long secret ")
    assert not links.opens(link, "x" * (links.MAX_PASSWORD + 1))


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\0b", "a\udc80b"])
def test_a_link_needs_a_name(site, name):
    with pytest.raises(SiteError, match="1 to 100 characters"):
        links.add_link(site, name)


def test_a_site_has_so_many_links_and_no_more(site, monkeypatch):
    monkeypatch.setattr(links, "MAX_LINKS", 1)
    links.add_link(site, "One")
    with pytest.raises(SiteError, match="revoke one first"):
        links.add_link(site, "Two")


def test_a_pass_opens_its_own_link_with_its_own_password_for_a_day(site, monkeypatch):
    link = links.add_link(site, "Board", "one long secret")
    other = links.add_link(site, "Press", "one long secret")
    kept = links.pass_for(link)
    assert links.has_passed(link, kept)
    assert not links.has_passed(other, kept)
    assert not links.has_passed(link, "")
    assert not links.has_passed(link, kept[:-1])
    assert links.has_passed(links.add_link(site, "Open"), "")
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + links.PASS_SECONDS + 1)
    assert not links.has_passed(link, kept)


def test_a_revoked_link_is_gone_and_those_who_watch_are_told(site, owner, django_capture_on_commit_callbacks):
    from haru.sites import signals

    told: list[int] = []

    def hear(*, site_id: int, **_: object) -> None:
        told.append(site_id)

    link = links.add_link(site, "Board")
    other = registry.create_site("other.example", "UTC", owner)
    with pytest.raises(SiteError, match="no such link"):
        links.revoke_link(other, link.pk)
    signals.rights_changed.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        links.revoke_link(site, link.pk)
    signals.rights_changed.disconnect(hear)
    assert told == [site.pk]
    assert not SharedLink.objects.exists()


def test_links_are_made_shown_again_and_revoked_on_their_page(site, owner, sign_in):
    browser = sign_in(owner)
    assert "No links yet" in browser.get(PAGE).content.decode()
    answer = browser.post(PAGE, {"name": "Board", "password": "one long secret"}, follow=True)
    link = SharedLink.objects.get()
    assert answer.redirect_chain == [(PAGE, 302)]
    html = unescape(browser.get(PAGE).content.decode())
    assert links.address(link) in html
    assert 'aria-label="Revoke Board"' in html
    assert "one long secret" not in html
    assert "The link no longer works." in browser.post(f"{PAGE}/{link.pk}/revoke", follow=True).content.decode()
    assert browser.post(f"{PAGE}/{link.pk}/revoke").status_code == 404


def test_a_name_that_is_taken_is_refused_on_the_page(site, owner, sign_in):
    links.add_link(site, "Board")
    answer = sign_in(owner).post(PAGE, {"name": "Board ", "password": "secret"})
    assert answer.status_code == 422
    assert "already a link of this name" in answer.content.decode()
    assert SharedLink.objects.get().password == ""
