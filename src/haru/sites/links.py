"""Shared links: addresses under which a dashboard may be seen without an account."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core import signing
from django.db import IntegrityError, transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from haru.events.text import is_storable
from haru.sites import signals
from haru.sites.models import SharedLink, Site
from haru.sites.registry import SiteError

MAX_LINKS = 500  # of one site
MAX_NAME = 100  # characters
PASS_SECONDS = 24 * 3600  # how long a password, once given, is remembered
MAX_PASSWORD = 1000  # characters: a longer one would only cost time to hash
_SALT = "haru.sites.links"


def address(link: SharedLink) -> str:
    """The address to hand on."""
    return f"{settings.BASE_URL}/share/{link.slug}"


def add_link(site: Site, name: str, password: str = "") -> SharedLink:
    """A new link; one of that name is found instead, and keeps its password. Raises `SiteError`."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not is_storable(name):
        raise SiteError(f"Give the link a name of 1 to {MAX_NAME} characters, such as that of the people it is for.")
    if len(password) > MAX_PASSWORD:
        raise SiteError(f"The password has more than {MAX_PASSWORD:,} characters.")
    found = site.shared_links.filter(name=name).first()
    if found is not None:
        return found
    if site.shared_links.count() >= MAX_LINKS:
        raise SiteError(f"The site has {MAX_LINKS} shared links, which is the most: revoke one first.")
    try:
        with transaction.atomic():
            return site.shared_links.create(name=name, password=make_password(password) if password else "")
    except IntegrityError:  # made in this very moment
        return site.shared_links.get(name=name)


def revoke_link(site: Site, pk: int) -> None:
    """End one of the site's links: from now on its address shows nothing. Raises `SiteError` when there is none."""
    deleted, _ = site.shared_links.filter(pk=pk).delete()
    if not deleted:
        raise SiteError("The site has no such link.")
    site_id = site.pk
    transaction.on_commit(lambda: signals.rights_changed.send(sender=SharedLink, site_id=site_id))


def opens(link: SharedLink, password: str) -> bool:
    """Whether this is the link's password."""
    return len(password) <= MAX_PASSWORD and check_password(password, link.password)


def pass_for(link: SharedLink) -> str:
    """What a browser keeps that gave the password. It is worth nothing for another link or another password."""
    return signing.TimestampSigner(salt=_SALT).sign(_fingerprint(link))


def has_passed(link: SharedLink, kept: str) -> bool:
    """Whether who keeps this may see what the link shows."""
    if not link.password:
        return True
    try:
        fingerprint = signing.TimestampSigner(salt=_SALT).unsign(kept, max_age=PASS_SECONDS)
    except signing.BadSignature:
        return False
    return constant_time_compare(fingerprint, _fingerprint(link))


def _fingerprint(link: SharedLink) -> str:
    return salted_hmac(_SALT, f"{link.pk}:{link.slug}:{link.password}", algorithm="sha256").hexdigest()
