from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Who may sign in, and with which keys programs come."""

    name = "haru.accounts"
    label = "accounts"
    verbose_name = _("Accounts")
