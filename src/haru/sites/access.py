"""Who may see, change and delete a site. A site that a person may not see does not exist for them: always 404.

A person has a role in a site; anyone may see the site of a shared link whose slug they have.
"""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.http import Http404

from haru.events.text import is_storable
from haru.sites.models import Role, SharedLink, Site

Person = AbstractBaseUser | AnonymousUser

READERS = (Role.OWNER, Role.ADMIN, Role.VIEWER)
MANAGERS = (Role.OWNER, Role.ADMIN)
OWNERS = (Role.OWNER,)


def sites_of(user: Person, roles: tuple[Role, ...] = READERS) -> QuerySet[Site]:
    """The sites in which this person has one of the roles, by domain. Nobody's when not signed in or shut out."""
    if not user.is_authenticated or not user.is_active:
        return Site.objects.none()
    # One filter, one join: the role has to be this person's.
    return Site.objects.filter(memberships__user_id=user.pk, memberships__role__in=roles)


def readable(user: Person, domain: str) -> Site:
    """The site, for one who may see its numbers. Raises `Http404`."""
    return _one(user, domain, READERS)


def manageable(user: Person, domain: str) -> Site:
    """The site, for one who may change its settings and its people. Raises `Http404`."""
    return _one(user, domain, MANAGERS)


def owned(user: Person, domain: str) -> Site:
    """The site, for the one who may delete it. Raises `Http404`."""
    return _one(user, domain, OWNERS)


def shared(slug: str) -> SharedLink:
    """The shared link of this slug, for everyone who has it; its password is asked elsewhere. Raises `Http404`."""
    link = SharedLink.objects.select_related("site").filter(slug=slug).first() if is_storable(slug) else None
    if link is None:
        raise Http404("There is no such link.")
    return link


def own_or_shared(user: Person) -> Q:
    """What a person sees of things that are personal or the site's: their own, and those that are nobody's own."""
    return Q(owner=None) | Q(owner_id=user.pk) if user.is_authenticated else Q(owner=None)


def role_of(user: Person, site: Site) -> Role | None:
    """This person's role in the site, None for a stranger."""
    membership = site.memberships.filter(user_id=user.pk).first() if user.is_authenticated else None
    return Role(membership.role) if membership else None


def _one(user: Person, domain: str, roles: tuple[Role, ...]) -> Site:
    site = sites_of(user, roles).filter(domain=domain.lower()).first()
    if site is None:
        raise Http404("There is no such site.")
    return site
