"""Accounts made and mended without a browser: plain functions for the command line and the start-up."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator, validate_email
from django.db import IntegrityError, connection, transaction

from haru.accounts.models import MAX_EMAIL, User, canonical_email

_LOCK = int.from_bytes(b"register", "big")  # name of the advisory lock


class AccountError(ValueError):
    """An account cannot be made or changed as asked; the text is a sentence for the person who asked."""


def create_user(email: str, password: str) -> User:
    """A new user, whose address counts as confirmed: whoever runs the server vouches for it. Raises `AccountError`."""
    try:
        email = checked_email(email)
    except ValidationError:
        raise AccountError(f'"{email.strip()}" is not an email address.') from None
    _judge(password, User(email=email))
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password)
            EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    except IntegrityError:
        raise AccountError(f"There is already an account for {email}.") from None
    return user


def registration_is_open() -> bool:
    """Whether somebody may register now, as HARU_REGISTRATION says: `first` is open until there is an account."""
    if settings.REGISTRATION == "first":
        return not User.objects.exists()
    return bool(settings.REGISTRATION == "open")


def register(email: str, password: str) -> User:
    """A new account of somebody who registered; both were judged by the form, and the address waits to be confirmed.

    Of two who are first at once one is. Raises `AccountError` when registration closed meanwhile or the address is
    another account's.
    """
    user = User(email=email)
    user.set_password(password)  # takes long, so it comes before the turn
    try:
        with transaction.atomic():
            _take_turn()
            if not registration_is_open():
                raise AccountError("Registration is closed: somebody else was first.")
            user.save()
            EmailAddress.objects.create(user=user, email=email, primary=True, verified=False)
    except IntegrityError:
        raise AccountError("A user is already registered with this email address.") from None
    return user


def checked_email(text: str) -> str:
    """The address in its canonical form. Raises Django's `ValidationError` for what is none."""
    email = canonical_email(text)
    validate_email(email)
    if len(email) > MAX_EMAIL or not (email.isascii() and email.isprintable()):
        raise ValidationError(EmailValidator.message, code="invalid")
    return email


def set_password(email: str, password: str) -> User:
    """Give the user a new password, which also ends their sessions. Raises `AccountError`."""
    user = find_user(email)
    _judge(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    return user


def reset_password(user: User, password: str) -> int:
    """Give the account the password of whoever opened the link in a mail to its address, which also ends its sessions.

    A change of address that waits is forgotten. The mail proves whose the address is: while nobody had confirmed it,
    somebody else may have registered it, so the API keys of that time are removed. How many there were.
    """
    user.set_password(password)  # takes long, so it comes before the transaction
    user.new_email = ""
    with transaction.atomic():
        email = User.objects.select_for_update().values_list("email", flat=True).get(pk=user.pk)
        user.save(update_fields=["password", "new_email"])
        address, _made = EmailAddress.objects.get_or_create(user=user, email=email, defaults={"primary": True})
        if address.verified:
            return 0
        address.verified = True
        address.save(update_fields=["verified"])
        return user.api_keys.all().delete()[0]


def find_user(email: str) -> User:
    """The user who signs in with this address. Raises `AccountError`."""
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise AccountError(f"There is no account for {email.strip()}.") from None


def forget_old_sessions() -> None:
    """Remove the sessions that have run out. To be called now and then; signing in works without."""
    SessionStore.clear_expired()


def _take_turn() -> None:
    """One registration after the other until the transaction ends. SQLite's transactions take turns by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _judge(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise AccountError(" ".join(error.messages)) from None
