from __future__ import annotations

import pytest

from haru.sites import access, registry
from haru.sites.models import Membership, Role, Site
from haru.sites.registry import SiteError


def test_a_new_site_has_an_owner_and_a_token_of_its_own(owner):
    first = registry.create_site("https://www.First.example/", "Asia/Tokyo", owner)
    second = registry.create_site("second.example", "UTC", owner)
    assert (first.domain, first.timezone) == ("first.example", "Asia/Tokyo")
    assert access.role_of(owner, first) == Role.OWNER
    assert len(first.token) >= 32
    assert first.token != second.token


@pytest.mark.parametrize("again", ["example.com", "WWW.example.com", "http://example.com/x"])
def test_a_taken_domain_is_refused_without_a_word_on_whose_it_is(site, stranger, again):
    with pytest.raises(SiteError, match=r"^example\.com is already measured here") as caught:
        registry.create_site(again, "UTC", stranger)
    assert "owner@example.com" not in str(caught.value)
    assert Site.objects.count() == 1


@pytest.mark.parametrize(
    ("domain", "zone"), [("no domain", "UTC"), ("fine.example", "Mars/Base"), ("fine.example", "")]
)
def test_a_bad_domain_or_zone_makes_no_site(owner, domain, zone):
    with pytest.raises(SiteError):
        registry.create_site(domain, zone, owner)
    assert not Site.objects.exists()


def test_a_site_is_found_however_its_domain_is_written(site):
    assert registry.find_site("https://www.EXAMPLE.com") == site
    with pytest.raises(SiteError, match="no site"):
        registry.find_site("other.example")
    with pytest.raises(SiteError, match="whole domain"):
        registry.find_site("other")


def test_the_id_of_a_deleted_site_is_never_given_again(owner):
    last = registry.create_site("last.example", "UTC", owner)
    old = last.pk
    registry.delete_site(last)
    assert registry.create_site("last.example", "UTC", owner).pk != old


def test_a_new_token_replaces_the_old(site):
    old = site.token
    new = registry.rotate_token(site)
    site.refresh_from_db()
    assert site.token == new != old


def test_a_person_has_one_role_which_can_change(site, team_mate):
    registry.set_role(site, team_mate, "admin")
    assert access.role_of(team_mate, site) == Role.ADMIN
    assert Membership.objects.filter(site=site, user=team_mate).count() == 1


def test_the_owner_stays_the_owner(site, owner):
    with pytest.raises(SiteError, match="another role"):
        registry.set_role(site, owner, "viewer")
    with pytest.raises(SiteError, match="cannot be removed"):
        registry.remove_person(site, owner.pk)
    assert access.role_of(owner, site) == Role.OWNER


@pytest.mark.parametrize("role", ["owner", "", "root"])
def test_only_admin_and_viewer_can_be_given(site, stranger, role):
    with pytest.raises(SiteError, match="admin or viewer"):
        registry.set_role(site, stranger, role)


def test_who_has_no_access_cannot_lose_it(site, stranger):
    with pytest.raises(SiteError, match="no access"):
        registry.remove_person(site, stranger.pk)


def test_a_site_shows_its_domain_as_people_write_it(owner):
    site = registry.create_site("bücher.example", "UTC", owner)
    assert site.domain == "xn--bcher-kva.example"
    assert str(site) == site.name == "bücher.example"
