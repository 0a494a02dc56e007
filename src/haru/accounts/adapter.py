"""The one door to allauth: what Haru does differently from its defaults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings as django_settings
from django.http import HttpRequest

from haru import settings
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
