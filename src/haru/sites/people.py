"""Finding the person whom someone wants to give access to a site."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser

from haru.sites.registry import SiteError


def find(email: str) -> AbstractBaseUser:
    """The person who signs in with this address. Raises `SiteError`.

    Where mails are really sent the address must be confirmed: else somebody who registered with an address that is not
    theirs would be given what was meant for another.
    """
    users = get_user_model()
    address = email.strip().lower()
    try:
        user = users.objects.get_by_natural_key(address)
    except users.DoesNotExist:
        remedy = (
            "ask them to register first" if settings.REGISTRATION == "open" else "whoever runs this server adds one"
        )
        raise SiteError(f"There is no account for {address}: {remedy}.") from None
    if settings.MAILS_ARE_SENT and not EmailAddress.objects.filter(user=user, email=address, verified=True).exists():
        raise SiteError(f"{address} is not confirmed yet: ask them to open the link in the mail they got.")
    return user
