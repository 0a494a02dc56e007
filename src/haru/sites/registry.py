"""Making, changing and deleting sites: the rules, apart from the pages, for the command line as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, TypedDict, Unpack
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction

from haru.collect import exclusions
from haru.sites.domain import DomainError, normalise
from haru.sites.models import Membership, Role, Site, new_token


class SiteError(ValueError):
    """A site cannot be made or changed as asked; the text is a sentence for the person who asked."""


_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")
MAX_REQUESTS = 1_000_000  # a minute and address, as a site's own rate limit


class Counting(TypedDict, total=False):
    """What of a site is counted. Lists are of texts as people write them."""

    excluded_addresses: Iterable[str]
    excluded_countries: Iterable[str]
    excluded_pages: Iterable[str]
    allowed_hostnames: Iterable[str]
    honour_opt_out: bool
    rate_limit: int | None  # requests a minute and address; None: the installation's, 0: no limit


@cache
def timezones() -> tuple[str, ...]:
    """The names of the time zones a site may have, sorted; without the files of tzdata that are no places."""
    return tuple(sorted(name for name in available_timezones() if name not in {"Factory", "localtime", "posixrules"}))


def create_site(domain: str, timezone: str, owner: AbstractBaseUser, **known: Any) -> Site:
    """A new site with a number and a token of its own, unless they are `known`, and `owner` as its owner.

    Raises `SiteError`.
    """
    try:
        domain = normalise(domain)
    except DomainError as error:
        raise SiteError(str(error)) from None
    _check_timezone(timezone)
    try:
        with transaction.atomic():
            site = Site.objects.create(domain=domain, timezone=timezone, **known)
            Membership.objects.create(site=site, user_id=owner.pk, role=Role.OWNER)
    except IntegrityError:
        raise SiteError(f"{domain} is already measured here: ask its owner to add you.") from None
    return site


def adopt_site(
    number: int, lost: Iterable[int], domain: str, timezone: str, owner: AbstractBaseUser, token: str = ""
) -> Site:
    """A site that the accounts do not know any more, given back under its own number with all that was counted of it.

    `lost` are the numbers that may be given back. `token` is what its pages have; "" makes a new one. Raises
    `SiteError`.
    """
    if number not in set(lost):
        raise SiteError(f"{number} is no lost site: `haru site adopt` lists those that are.")
    if token and not _TOKEN.fullmatch(token):
        raise SiteError("That is no token of a site: it stands as data-token in the line that its pages have.")
    if token and Site.objects.filter(token=token).exists():
        raise SiteError("Another site has this token by now: leave --token out, and put the new one into the pages.")
    return create_site(domain, timezone, owner, id=number, **({"token": token} if token else {}))


def find_site(domain: str) -> Site:
    """The site with this domain, however it is written. Raises `SiteError`."""
    try:
        return Site.objects.get(domain=normalise(domain))
    except DomainError as error:
        raise SiteError(str(error)) from None
    except Site.DoesNotExist:
        raise SiteError(f"There is no site {domain.strip()}.") from None


def set_timezone(site: Site, timezone: str) -> None:
    """Move the site to another zone; its numbers are asked again in that zone. Raises `SiteError`."""
    _check_timezone(timezone)
    site.timezone = timezone
    site.save(update_fields=["timezone"])


def set_domain(site: Site, domain: str) -> None:
    """Give the site another domain; its numbers, its token and its links stay. Raises `SiteError`."""
    try:
        domain = normalise(domain)
    except DomainError as error:
        raise SiteError(str(error)) from None
    before, site.domain = site.domain, domain
    try:
        with transaction.atomic():
            site.save(update_fields=["domain"])
    except IntegrityError:
        site.domain = before
        raise SiteError(f"{domain} is already measured here: ask its owner to add you.") from None


def set_counting(site: Site, **changes: Unpack[Counting]) -> None:
    """Change what is named of what the site counts; a list replaces the one before. In force from the next request.

    Raises `SiteError` with a sentence for each rule that cannot be used, and changes nothing then.
    """
    values: dict[str, Any] = dict(changes)
    try:
        for name in exclusions.RULES.keys() & values.keys():
            values[name] = exclusions.read_rules(name, values[name])
    except exclusions.BadRules as error:
        raise SiteError(str(error)) from None
    limit = values.get("rate_limit")
    if limit is not None and not 0 <= limit <= MAX_REQUESTS:
        raise SiteError(f"The rate limit is a number from 0 to {MAX_REQUESTS:,}; 0 switches it off.")
    for name, value in values.items():
        setattr(site, name, value)
    site.save(update_fields=list(values))


def rotate_token(site: Site) -> str:
    """Give the site a new token; the old one stops working at once. The new token."""
    site.token = new_token()
    site.save(update_fields=["token"])
    return site.token


def delete_site(site: Site) -> None:
    """Delete the site and its memberships; once committed its token stops working and its events are deleted."""
    site.delete()


def set_role(site: Site, user: AbstractBaseUser, role: str) -> None:
    """Make the user an admin or a viewer of the site. The owner stays the owner. Raises `SiteError`."""
    if role not in {Role.ADMIN, Role.VIEWER}:
        raise SiteError(f'"{role}" is not a role to give: choose admin or viewer.')
    if site.memberships.filter(user_id=user.pk, role=Role.OWNER).exists():
        raise SiteError("The owner of a site cannot be given another role.")
    Membership.objects.update_or_create(site=site, user_id=user.pk, defaults={"role": role})


def remove_person(site: Site, user_id: int) -> None:
    """Take the person's access away. The owner's cannot be. Raises `SiteError`."""
    membership = site.memberships.filter(user_id=user_id).first()
    if membership is None:
        raise SiteError("This person has no access to the site.")
    if membership.role == Role.OWNER:
        raise SiteError("The owner of a site cannot be removed: delete the site instead.")
    membership.delete()


def _check_timezone(name: str) -> None:
    if name not in timezones():
        raise SiteError(f'"{name}" is not a time zone: choose one such as Europe/Berlin.')
