"""The one door to allauth: what Haru does differently from its defaults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse

from haru import settings
from haru.accounts import addresses
from haru.accounts.models import User, canonical_email
from haru.accounts.registry import checked_email
from haru.collect.address import client_address


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Registration as the settings say, addresses as collect sees them, links that the Host header cannot bend."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether anyone may register: HARU_REGISTRATION."""
        return bool(django_settings.REGISTRATION_OPEN)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom to count tries of signing in by. Kept in memory for the minutes of a rate limit, never written."""
        peer = str(request.META.get("REMOTE_ADDR", ""))
        forwarded_for = str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
        return client_address(peer, forwarded_for, settings.current().trusted_proxies)

    def clean_email(self, email: str) -> str:
        """The address in the form in which it is kept. Raises Django's `ValidationError`."""
        return checked_email(email)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The person with this address, however it is written, and this password."""
        if "email" in credentials:
            credentials["email"] = canonical_email(credentials["email"])
        found: AbstractBaseUser | None = super().authenticate(request, **credentials)
        return found

    def should_send_confirmation_mail(self, request: HttpRequest, email_address: Any, signup: bool) -> bool:
        """Nothing is to be confirmed where no mail is sent."""
        return self.can_mail()

    def can_mail(self) -> bool:
        """Whether a mail gets to somebody: to a mail server, or to the console of who develops."""
        return bool(django_settings.MAILS_ARE_SENT)

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        """Send the link to the account's own address, and never to a text that somebody else typed for it."""
        super().send_password_reset_mail(user, user.email, context)

    def send_new_email_mail(self, user: User) -> None:
        """Send the link that confirms the address that waits, to that address."""
        path = reverse("confirm-new-email", args=[addresses.key_of(user)])
        self.send_mail("account/email/email_confirmation", user.new_email, {"activate_url": path})

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail whose links lead to HARU_BASE_URL, whichever host name the request came in by."""
        base = django_settings.BASE_URL
        ours = {name: _below(base, value) if name.endswith("_url") else value for name, value in context.items()}
        ours["current_site"] = SimpleNamespace(name="Haru", domain=urlsplit(base).netloc)
        ours["base_url"] = base
        super().send_mail(template_prefix, email, ours)


def _below(base: str, address: str) -> str:
    parts = urlsplit(address)
    return base + parts.path + (f"?{parts.query}" if parts.query else "")
