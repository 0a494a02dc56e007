"""HARU_EMAIL_URL → Django's mail settings, in one place."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from haru.collect.address import is_loopback
from haru.settings import BadSetting

_FORM = "write smtp://user:password@host:587 or smtps://user:password@host:465, or leave it empty to send no mail"


def configuration(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings for `url`; an empty url sends no mail anywhere: it may hold a link that signs in.

    `smtps` speaks TLS from the start. `smtp` insists on STARTTLS, unless the server is on this machine or the url ends
    in `?starttls=no`. Raises `BadSetting` for a url that cannot be used.
    """
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise BadSetting(f"HARU_EMAIL_URL has a port that is no number: {_FORM}.") from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise BadSetting(f"HARU_EMAIL_URL is not the address of a mail server: {_FORM}.")
    implicit = parts.scheme == "smtps"
    starttls = not implicit and _wants_starttls(parts.hostname, parts.query)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or (465 if implicit else 587 if starttls else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": implicit,
        "EMAIL_USE_TLS": starttls,
        "EMAIL_TIMEOUT": 10,
    }


def print_on_console() -> None:
    """Print mails where `haru serve --dev` runs, unless a mail server is named. For development only."""
    from django.conf import settings

    if not settings.MAILS_ARE_SENT:
        settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        settings.MAILS_ARE_PRINTED = True


def _wants_starttls(host: str, query: str) -> bool:
    choice = parse_qs(query).get("starttls", [""])[-1].lower()
    if choice in {"yes", "no"}:
        return choice == "yes"
    if choice:
        raise BadSetting(f'HARU_EMAIL_URL says starttls="{choice}": write yes or no.')
    return not is_loopback(host)
