"""What Haru does differently from allauth's defaults."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import ratelimit
from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from haru import settings
from haru.accounts import addresses, attempts
from haru.accounts.models import User, canonical_email
from haru.accounts.registry import checked_email, registration_is_open
from haru.collect.address import asker

log = logging.getLogger(__name__)


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not typed
    """Registration as the settings say, addresses as collect sees them, links that the Host header cannot bend."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "too_many_login_attempts": _(
            "Too many failed login attempts: wait some minutes, or choose a new password by “Forgot your password?”."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether anyone may register now: HARU_REGISTRATION."""
        return registration_is_open()

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom to count tries of signing in by. Kept in memory for the minutes of a rate limit, never written."""
        return asker(request.META, settings.current().trusted_proxies)

    def clean_email(self, email: str) -> str:
        """The address in the form in which it is kept. Raises Django's `ValidationError`."""
        return checked_email(email)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """The person with this address, however it is written, and this password."""
        credentials["email"] = canonical_email(credentials.get("email", ""))
        found: AbstractBaseUser | None = super().authenticate(request, **credentials)
        return found

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the try. Raises `ValidationError` when there were too many, see `haru.accounts.attempts`."""
        super().pre_authenticate(request, **credentials)
        if not attempts.may_try(request, credentials["email"], self.get_client_ip(request)):
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Count the wrong password against the account, wherever it came from."""
        attempts.count(request, credentials["email"])

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's key has the Host header in it, which is the client's own word, and not the network.
        return attempts.key_of(credentials["email"], self.get_client_ip(request))

    def post_login(self, request: HttpRequest, user: Any, **options: Any) -> HttpResponseBase:
        """Where the person goes next; what they signed in from is remembered."""
        response: HttpResponseBase = super().post_login(request, user, **options)
        attempts.remember(user, self.get_client_ip(request), response)
        return response

    def should_send_confirmation_mail(self, request: HttpRequest, email_address: Any, signup: bool) -> bool:
        """Nothing is to be confirmed where no mail is sent."""
        return self.can_mail()

    def can_mail(self) -> bool:
        """Whether a mail gets to somebody: to a mail server, or to the console of who develops."""
        return bool(django_settings.MAILS_ARE_SENT or django_settings.MAILS_ARE_PRINTED)

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        """Send the link to the account's own address, and never to a text that somebody else typed for it.

        After many in an hour none is sent and nothing else said: the links of those before work, and whoever asks to
        fill somebody's mailbox is not told.
        """
        if not ratelimit.consume(self.request, action="reset_mail", key=user.email):
            return
        super().send_password_reset_mail(user, user.email, context)

    def send_new_email_mail(self, user: User) -> None:
        """Send the link that confirms the address that waits, to that address, and word of it to the account's own."""
        path = reverse("confirm-new-email", args=[addresses.key_of(user)])
        if self.send_mail("account/email/email_confirmation", user.new_email, {"activate_url": path}):
            self.send_notice("account/email/email_change_requested", addresses.confirmed(user), user.new_email)

    def send_notice(self, template_prefix: str, email: str, new_email: str) -> None:
        """Send word of a change of address to the old one, if there is one that was confirmed.

        It has no link that does anything, and hinders nothing: an old mailbox that takes no mail is a reason to change.
        """
        if email:
            self._is_sent(template_prefix, email, {"new_email": new_email})

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> bool:
        """Send a mail; the person is told when the mail server does not take it. Whether it did."""
        is_sent = self._is_sent(template_prefix, email, context)
        if not is_sent:
            text = _("The mail could not be sent: try again later, or tell the people who run this server.")
            messages.error(self.request, str(text))
        return is_sent

    def _is_sent(self, template_prefix: str, email: str, context: dict[str, Any]) -> bool:
        # Links lead to HARU_BASE_URL, whichever host name the request came in by; a failure is logged without a word
        # of the mail.
        base = django_settings.BASE_URL
        ours = {name: _below(base, value) if name.endswith("_url") else value for name, value in context.items()}
        ours["current_site"] = SimpleNamespace(name="Haru", domain=urlsplit(base).netloc)
        ours["base_url"] = base
        try:
            super().send_mail(template_prefix, email, ours)
        except OSError as error:  # smtplib's errors are such too; their texts may name the address
            log.error(
                "mail_failed",
                extra={"error": type(error).__name__, "remedy": "look after the server in HARU_EMAIL_URL"},
            )
            return False
        return True


def _below(base: str, address: str) -> str:
    parts = urlsplit(address)
    return base + parts.path + (f"?{parts.query}" if parts.query else "")
