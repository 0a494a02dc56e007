"""The people of sites: whom someone wants to give access, and what becomes of sites when an account goes or changes."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from haru.sites import signals
from haru.sites.models import Membership, Role, Site
from haru.sites.registry import SiteError


def find(email: str) -> AbstractBaseUser:
    """The person who signs in with this address. Raises `SiteError`.

    Where mails are really sent the address must be confirmed: else somebody who registered with an address that is not
    theirs would be given what was meant for another.
    """
    users = get_user_model()
    address = email.strip()
    try:
        user = users.objects.get_by_natural_key(address)
    except users.DoesNotExist:
        remedy = (
            "ask them to register first" if settings.REGISTRATION == "open" else "whoever runs this server adds one"
        )
        raise SiteError(f"There is no account for {address}: {remedy}.") from None
    if settings.MAILS_ARE_SENT and not EmailAddress.objects.filter(user=user, verified=True).exists():
        raise SiteError(f"{address} is not confirmed yet: ask them to open the link in the mail they got.")
    return user


def check_removal(user: AbstractBaseUser, heir: AbstractBaseUser | None) -> None:
    """Raise `SiteError` when the account cannot be removed: it owns sites and nobody is named to own them then."""
    if heir is not None and heir.pk == user.pk:
        raise SiteError("The sites of a person who is removed go to somebody else: name another account.")
    names = [site.name for site in _owned_alone(user)]
    if names and heir is None:
        raise SiteError(
            f"{user} owns {', '.join(names)}: say with --sites-to EMAIL who owns them then, or delete them first "
            "in their settings."
        )


def remove(user: AbstractBaseUser, heir: AbstractBaseUser | None = None) -> list[str]:
    """Remove the account with its keys and roles; `heir` owns the sites that it owned. Their names.

    Raises `SiteError` as `check_removal` does, and removes nothing then.
    """
    with transaction.atomic():
        check_removal(user, heir)
        sites = _owned_alone(user)
        for site in sites:
            assert heir is not None
            Membership.objects.update_or_create(site=site, user_id=heir.pk, defaults={"role": Role.OWNER})
        user.delete()
    return [site.name for site in sites]


def on_account_saved(
    *, instance: AbstractBaseUser, created: bool, update_fields: Collection[str] | None, **_: Any
) -> None:
    """An account was saved: with another password, or switched off, whoever watches its sites must sign in again."""
    if created or (update_fields is not None and not {"password", "is_active"} & set(update_fields)):
        return
    for site_id in Membership.objects.filter(user_id=instance.pk).values_list("site_id", flat=True):
        _rights_changed(site_id)


def on_membership_deleted(*, instance: Membership, **_: Any) -> None:
    """A person lost their role in a site, perhaps with their account."""
    _rights_changed(instance.site_id)


def _rights_changed(site_id: int) -> None:
    transaction.on_commit(partial(signals.rights_changed.send, sender=Membership, site_id=site_id))


def _owned_alone(user: AbstractBaseUser) -> list[Site]:
    """The sites of which this person is the only owner."""
    owned = Site.objects.filter(memberships__user_id=user.pk, memberships__role=Role.OWNER)
    others = Membership.objects.filter(role=Role.OWNER).exclude(user_id=user.pk)
    return list(owned.exclude(pk__in=others.values("site_id")))
