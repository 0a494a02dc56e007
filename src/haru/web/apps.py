from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """The pages."""

    name = "haru.web"
    label = "web"

    def ready(self) -> None:
        # Importing connects: the configuration checks, and the signals of sites with the services.
        pass
