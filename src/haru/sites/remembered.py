"""What each person chose on the dashboard of each site, so that it opens as they left it."""

from __future__ import annotations

import contextlib
from typing import Any

from django.db import DatabaseError, transaction

from haru.sites.models import RememberedView, Site


def remembered(user: Any, site: Site) -> str:
    """The query string of the view that the person had last; "" for none."""
    return RememberedView.objects.filter(user=user, site=site).values_list("address", flat=True).first() or ""


def remember(user: Any, site: Site, address: str) -> None:
    """Keep the query string of a view. It is a comfort: where it cannot be written, the page is shown all the same."""
    if address == remembered(user, site):
        return
    with contextlib.suppress(DatabaseError), transaction.atomic():
        RememberedView.objects.update_or_create(user=user, site=site, defaults={"address": address})
