from __future__ import annotations

import pytest

from haru.accounts import registry as accounts
from haru.accounts.models import User
from haru.sites import people, registry, signals
from haru.sites.models import Site
from haru.sites.registry import SiteError


@pytest.fixture
def lost():
    """Ids of the sites that somebody lost the right to see, as they are told of."""
    found = []

    def note(*, site_id, **_):
        found.append(site_id)

    signals.rights_changed.connect(note)
    yield found
    signals.rights_changed.disconnect(note)


@pytest.mark.parametrize("who", ["owner", "team_mate"])
def test_a_new_password_is_told_to_whoever_watches(
    site, owner, team_mate, lost, django_capture_on_commit_callbacks, who
):
    with django_capture_on_commit_callbacks(execute=True):
        accounts.set_password({"owner": owner, "team_mate": team_mate}[who].email, "another long secret")
    assert lost == [site.pk]


def test_signing_in_and_a_new_address_are_told_to_nobody(
    site, owner, lost, sign_in, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        sign_in(owner)
        owner.save(update_fields=["new_email"])
    assert lost == []


def test_a_removed_account_takes_its_roles_along(site, team_mate, lost, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert people.remove(team_mate) == []
    assert lost == [site.pk]
    assert not site.memberships.filter(role="viewer").exists()


def test_the_only_owner_of_a_site_is_not_removed_without_an_heir(site, owner, team_mate, stranger):
    registry.create_site("second.example", "UTC", owner)
    with pytest.raises(SiteError, match=r"owns example\.com, second\.example: say with --sites-to"):
        people.remove(owner)
    assert User.objects.filter(pk=owner.pk).exists()
    assert people.remove(owner, team_mate) == ["example.com", "second.example"]
    assert list(team_mate.memberships.values_list("role", flat=True)) == ["owner", "owner"]
    assert Site.objects.count() == 2
    assert people.remove(stranger) == []
