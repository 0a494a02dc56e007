"""Keeps what collect knows of the sites the same as the database."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from django.db import transaction

from haru import settings
from haru.collect import sites
from haru.sites import signals
from haru.sites.models import DeletedSite, Site

# Reading and writing under one lock: of two changes at once the later file holds both.
_one_at_a_time = threading.Lock()


def rewrite() -> None:
    """Write every site of the database into the data folder, where collect reads them. Raises OSError."""
    with _one_at_a_time:
        sites.write(
            settings.current().data_dir,
            [
                sites.Site(
                    id=site.pk,
                    domain=site.domain,
                    token=site.token,
                    timezone=site.timezone,
                    rate_limit=site.rate_limit,
                    excluded_addresses=tuple(site.excluded_addresses),
                    excluded_countries=tuple(site.excluded_countries),
                    excluded_pages=tuple(site.excluded_pages),
                    allowed_hostnames=tuple(site.allowed_hostnames),
                    honour_opt_out=site.honour_opt_out,
                )
                for site in Site.objects.all()
            ],
        )


def on_saved(**_: Any) -> None:
    """A site was saved: once that is committed, the file follows."""
    transaction.on_commit(_follow)


def on_deleted(*, instance: Site, **_: Any) -> None:
    """A site was deleted: once that is committed its token stops working and its events go.

    That it was is remembered with it, so that the events go at the next start should this process end before.
    """
    DeletedSite.objects.get_or_create(pk=instance.pk)
    transaction.on_commit(partial(_follow, instance.pk))


def _follow(deleted: int | None = None) -> None:
    try:
        rewrite()
        signals.changed.send(sender=Site)
    finally:  # a disk that takes no new file keeps no events
        if deleted is not None:
            signals.deleted.send(sender=Site, site_id=deleted)
