"""What is wrong or unwise in the configuration, each with an id and what to do about it: `haru check` shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register()
def configuration(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Every fault of the configuration that does not keep Haru from starting."""
    return list(_faults())


def _faults() -> Iterator[CheckMessage]:
    if not settings.IS_HTTPS and not settings.IS_LOOPBACK:
        yield Warning(
            f"HARU_BASE_URL is {settings.BASE_URL}: passwords and cookies travel unencrypted.",
            hint="Put a reverse proxy with TLS in front and write the address with https://.",
            id="haru.W001",
        )
    if not settings.IS_LOOPBACK and not settings.MAILS_ARE_SENT:
        yield Warning(
            "HARU_EMAIL_URL is empty: no mail is sent, so nobody can replace a forgotten password without you.",
            hint="Name a mail server, such as smtp://user:password@mail.example.com:587.",
            id="haru.W002",
        )
    if not settings.IS_LOOPBACK and settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        yield Warning(
            f"HARU_EMAIL_FROM is {settings.DEFAULT_FROM_EMAIL}: most mail servers refuse that sender.",
            hint="Write an address of your own domain.",
            id="haru.W003",
        )
    if not (Path(settings.STATIC_ROOT) / "build" / "app.css").is_file():
        yield Warning(
            "The front end is not built: pages have no style and sites no tracker.",
            hint="Run `make` in the checkout, or install a released package.",
            id="haru.W004",
        )
