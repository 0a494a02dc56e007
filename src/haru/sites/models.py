"""A measured site, and who may see it."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

import idna
from django.conf import settings
from django.db import models
from django.utils import timezone as clock
from django.utils.translation import gettext_lazy as _

DEMO_DOMAIN = "demo.haru.local"  # the site that `haru demo` makes and fills


def new_number() -> int:
    """A number for a site: 52 random bits below 2**53, so that no site ever gets that of another, whichever accounts
    gave that one, and programs that count in doubles read it right.
    """
    return 2**52 + secrets.randbits(52)


def new_token() -> str:
    """A token nobody can guess: 192 random bits."""
    return secrets.token_urlsafe(24)


def new_slug() -> str:
    """What a shared link is known by. Nobody can guess it: 128 random bits."""
    return secrets.token_urlsafe(16)


class Role(models.TextChoices):
    """What a person may do with a site."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    VIEWER = "viewer", _("Viewer")


class Site(models.Model):
    """A site whose visits are counted.

    Events name a site by its id and outlive the row: for a moment when it is deleted, for long when the accounts are
    lost. An id that came again would show the events of one site to the people of another.
    """

    id = models.BigIntegerField(primary_key=True, default=new_number, editable=False)
    domain = models.CharField(
        _("domain"), max_length=253, unique=True, error_messages={"unique": _("This domain is already measured here.")}
    )
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")
    token = models.CharField(max_length=64, unique=True, default=new_token, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    # What is counted. The lists are of texts as `haru.collect.exclusions` reads them.
    excluded_addresses = models.JSONField(_("excluded addresses"), default=list, blank=True)
    excluded_countries = models.JSONField(_("excluded countries"), default=list, blank=True)
    excluded_pages = models.JSONField(_("excluded pages"), default=list, blank=True)
    allowed_hostnames = models.JSONField(_("allowed host names"), default=list, blank=True)
    honour_opt_out = models.BooleanField(_("honours opt-out signals"), default=False)
    rate_limit = models.PositiveIntegerField(_("rate limit"), null=True, blank=True)  # a minute; None: HARU_RATE_LIMIT
    people: models.ManyToManyField[Any, Membership] = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="sites"
    )

    objects: ClassVar[models.Manager[Site]] = models.Manager()

    class Meta:
        verbose_name = _("site")
        verbose_name_plural = _("sites")
        ordering = ["domain"]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The domain as people write it: `xn--bcher-kva.example` → `bücher.example`."""
        try:
            return idna.decode(self.domain)
        except idna.IDNAError:
            return self.domain

    @property
    def is_demo(self) -> bool:
        """Whether its traffic is made up: its pages say so."""
        return self.domain == DEMO_DOMAIN


class DeletedSite(models.Model):
    """The id of a site that was deleted on purpose: what of its events comes late is to go too, and is no lost site."""

    id = models.BigIntegerField(primary_key=True)
    deleted_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[models.Manager[DeletedSite]] = models.Manager()

    def __str__(self) -> str:
        return str(self.pk)


class Membership(models.Model):
    """A person's role in a site."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user"], name="sites_membership_once")]
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) · {self.site}"


class Goal(models.Model):
    """What a site's people want visitors to do: an event of a name, a visit of a page, or a scroll so far down."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="goals")
    name = models.CharField(_("name"), max_length=120)
    event = models.CharField(_("event"), max_length=120, blank=True)
    page = models.CharField(_("page"), max_length=2000, blank=True)
    scroll = models.PositiveSmallIntegerField(_("scroll"), null=True, blank=True)  # per cent of the page, at least
    currency = models.CharField(_("currency"), max_length=3, blank=True)  # ISO 4217, of what its events bring in
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = _("goal")
        verbose_name_plural = _("goals")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="sites_goal_name_once"),
            models.CheckConstraint(
                condition=models.Q(event="", page__gt="") | models.Q(event__gt="", page=""), name="sites_goal_is_one"
            ),
            models.CheckConstraint(
                condition=models.Q(scroll=None) | models.Q(scroll__lte=100, page__gt=""),
                name="sites_goal_scroll",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.site}"


class Segment(models.Model):
    """Filters of a site under a name: of everyone who sees the site, or of one person alone."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="segments")
    # Whose it is; None: it is the site's.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    name = models.CharField(_("name"), max_length=100)
    filters = models.JSONField(_("filters"))  # as `haru.stats.query.parse_segment` read them
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[models.Manager[Segment]] = models.Manager()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["site", "owner", "name"], name="sites_segment_name_once"),
            models.UniqueConstraint(
                fields=["site", "name"], condition=models.Q(owner=None), name="sites_segment_of_site_name_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.site}"

    @property
    def personal(self) -> bool:
        """Whether nobody but its owner knows it."""
        return self.owner_id is not None


class Annotation(models.Model):
    """A note at a moment of a site: for everyone who sees the site, or for one person alone."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="annotations")
    # Whose it is; None: it is the site's.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    at = models.DateTimeField(_("moment"))
    text = models.CharField(_("text"), max_length=500)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[models.Manager[Annotation]] = models.Manager()

    class Meta:
        verbose_name = _("annotation")
        verbose_name_plural = _("annotations")
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["site", "at"], name="sites_annotation_at")]

    def __str__(self) -> str:
        return f"{self.text} · {self.site}"

    @property
    def personal(self) -> bool:
        """Whether nobody but its owner sees it."""
        return self.owner_id is not None


class SharedLink(models.Model):
    """An address under which the dashboard of a site may be seen without an account.

    The slug is kept as it is, for the address is to be shown again to those who manage the site. The password is not:
    it is kept as Django keeps passwords.
    """

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="shared_links")
    name = models.CharField(_("name"), max_length=100)
    slug = models.CharField(max_length=64, unique=True, default=new_slug, editable=False)
    password = models.CharField(max_length=128, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = _("shared link")
        verbose_name_plural = _("shared links")
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="sites_shared_link_name_once")]

    def __str__(self) -> str:
        return f"{self.name} · {self.site}"


class RememberedView(models.Model):
    """How a person looked at the dashboard of a site last: where it opens the next time."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=500)  # the query string of the view

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user"], name="sites_remembered_view_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.site}: {self.address}"
