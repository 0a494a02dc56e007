"""How the address of an account is changed: a new one waits in the account until its link is opened.

Until then nothing else knows it: the old address signs in, and the new one is free for whoever registers it. A link is
signed and names account, address and password: it ends when it was used, when the change was cancelled or became
another one, when the password was changed, and after three days.
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.core import signing
from django.db import IntegrityError, transaction

from haru.accounts.models import User
from haru.accounts.registry import AccountError

LINK_SECONDS = 3 * 24 * 3600
_SALT = "haru.accounts.addresses"


class AddressTaken(AccountError):
    """Another account has the address."""

    def __init__(self) -> None:
        super().__init__("This address belongs to another account already.")


def request_change(user: User, email: str) -> None:
    """Let the address wait until its link is opened; one that waited before is forgotten."""
    user.new_email = email
    user.save(update_fields=["new_email"])


def cancel_change(user: User) -> None:
    """Forget the address that waits, if one does."""
    request_change(user, "")


def key_of(user: User) -> str:
    """What the link to the waiting address ends in."""
    return signing.dumps(_content(user), salt=_SALT)


def waiting(key: str) -> User | None:
    """The account whose waiting address this key confirms; None when the key was used, is too old or made up."""
    try:
        content = signing.loads(key, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=content["account"], is_active=True).exclude(new_email="").first()
    return user if user is not None and _content(user) == content else None


def confirmed(user: User) -> str:
    """The account's own address if its owner proved to have it, else nothing: it may be somebody else's."""
    row = EmailAddress.objects.filter(user=user, email=user.email, verified=True).first()
    return user.email if row is not None else ""


def is_free(user: User) -> bool:
    """Whether no other account has the address that waits."""
    return not User.objects.filter(email=user.new_email).exclude(pk=user.pk).exists()


def confirm(key: str) -> User | None:
    """Make the waiting address the account's own, as its link was opened; None as for `waiting`.

    Of several accounts that wait for one address the first to open its link gets it: raises `AddressTaken` for others.
    """
    with transaction.atomic():
        user = waiting(key)
        if user is not None:
            # Whoever opened the link at the same moment, or cancelled, was first when the address no longer waits.
            user = User.objects.select_for_update().filter(pk=user.pk, new_email=user.new_email).first()
        if user is not None:
            change(user, user.new_email, verified=True)
    return user


def change(user: User, email: str, *, verified: bool) -> None:
    """Make `email` the account's one address at once; `verified` says whether its owner proved to have it.

    Links that were sent for the address before end. Raises `AddressTaken`.
    """
    before = user.email, user.new_email
    try:
        with transaction.atomic():
            user.email, user.new_email = email, ""
            user.save(update_fields=["email", "new_email"])
            EmailAddress.objects.filter(user=user).delete()
            EmailAddress.objects.create(user=user, email=email, primary=True, verified=verified)
    except IntegrityError:
        user.email, user.new_email = before
        raise AddressTaken from None


def _content(user: User) -> dict[str, Any]:
    return {"account": user.pk, "address": user.new_email, "password": user.get_session_auth_hash()[:16]}
