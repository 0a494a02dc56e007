from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext_lazy as _


class SitesConfig(AppConfig):
    """The measured sites and who may see them."""

    name = "haru.sites"
    label = "sites"
    verbose_name = _("Sites")

    def ready(self) -> None:
        from django.contrib.auth import get_user_model

        from haru.sites import people, publish
        from haru.sites.models import Membership, Site

        post_save.connect(publish.on_saved, sender=Site, dispatch_uid="haru.sites.publish")
        post_delete.connect(publish.on_deleted, sender=Site, dispatch_uid="haru.sites.publish")
        post_save.connect(people.on_account_saved, sender=get_user_model(), dispatch_uid="haru.sites.people")
        post_delete.connect(people.on_membership_deleted, sender=Membership, dispatch_uid="haru.sites.people")
