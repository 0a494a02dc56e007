"""The pages on which people add sites, fetch their snippet, change their settings and delete them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from haru import settings
from haru.collect.address import asker, parsed
from haru.collect.exclusions import Exclusions, network_of
from haru.sites import access, people, registry
from haru.sites.models import Role, Site
from haru.sites.pages.forms import CountingForm, DeleteForm, PersonForm, SiteForm, TimezoneForm
from haru.sites.registry import SiteError

_UNPROCESSABLE = 422


class SignedIn(HttpRequest):
    """The request that `login_required` lets through."""

    user: AbstractBaseUser  # type: ignore[assignment]  # this room does not import the accounts


@require_safe
@login_required
def index(request: SignedIn) -> HttpResponse:
    """The person's sites."""
    return render(request, "sites/index.html", {"mine": access.sites_of(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: SignedIn) -> HttpResponse:
    """Add a site; its snippet comes next."""
    form = SiteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            site = registry.create_site(form.cleaned_data["domain"], form.cleaned_data["timezone"], request.user)
        except SiteError as error:
            form.add_error("domain", str(error))
        else:
            return redirect("snippet", site.domain)
    return render(request, "sites/new.html", {"form": form}, status=_UNPROCESSABLE if form.errors else 200)


@require_safe
@never_cache
@login_required
def snippet(request: SignedIn, domain: str) -> HttpResponse:
    """What to put on the pages of the site. It holds the token, so it is for those who manage the site."""
    site = access.manageable(request.user, domain)
    return render(request, "sites/snippet.html", installation(site))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def edit(request: SignedIn, domain: str) -> HttpResponse:
    """The settings page of a site; POST saves the time zone."""
    site = access.manageable(request.user, domain)
    if request.method != "POST":
        return _settings(request, site)
    form = TimezoneForm(request.POST)
    if not form.is_valid():
        return _settings(request, site, timezone_form=form)
    registry.set_timezone(site, form.cleaned_data["timezone"])
    messages.success(request, _("The time zone is now %(zone)s.") % {"zone": site.timezone})
    return redirect("site-settings", site.domain)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def counting(request: SignedIn, domain: str) -> HttpResponse:
    """What of a site is counted: addresses, countries, pages, hosts and the rate limit."""
    site = access.manageable(request.user, domain)
    form = CountingForm(site, settings.current().rate_limit, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        registry.set_counting(site, **form.cleaned_data)
        messages.success(request, _("Saved. It holds from the next visit on; what was counted before stays."))
        return redirect("site-counting", site.domain)
    context = {"site": site, "form": form, "own": _own_address(request, site)}
    return render(request, "sites/counting.html", context, status=_UNPROCESSABLE if form.errors else 200)


@require_POST
@login_required
def rotate_token(request: SignedIn, domain: str) -> HttpResponse:
    """Give the site a new token."""
    site = access.manageable(request.user, domain)
    registry.rotate_token(site)
    messages.success(request, _("The site has a new token. Pages with the old snippet are no longer counted."))
    return redirect("snippet", site.domain)


@require_POST
@login_required
def add_person(request: SignedIn, domain: str) -> HttpResponse:
    """Give someone with an account access to the site, or another role in it."""
    site = access.manageable(request.user, domain)
    form = PersonForm(request.POST)
    if form.is_valid():
        try:
            person = people.find(form.cleaned_data["email"])
            registry.set_role(site, person, form.cleaned_data["role"])
        except SiteError as error:
            form.add_error("email", str(error))
        else:
            messages.success(request, _("%(email)s now has access.") % {"email": form.cleaned_data["email"]})
            return redirect("site-settings", site.domain)
    return _settings(request, site, person_form=form)


@require_POST
@login_required
def remove_person(request: SignedIn, domain: str, user_id: int) -> HttpResponse:
    """Take a person's access to the site away."""
    site = access.manageable(request.user, domain)
    try:
        registry.remove_person(site, user_id)
    except SiteError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The access was removed."))
    if access.role_of(request.user, site) is None:  # they removed themselves
        return redirect("sites")
    return redirect("site-settings", site.domain)


@require_POST
@login_required
def delete(request: SignedIn, domain: str) -> HttpResponse:
    """Delete the site with all its numbers, after its domain was typed again. The owner's alone."""
    site = access.owned(request.user, domain)
    form = DeleteForm(site, request.POST)
    if not form.is_valid():
        return _settings(request, site, delete_form=form)
    name = site.name
    registry.delete_site(site)
    messages.success(request, _("%(site)s and its numbers are deleted.") % {"site": name})
    return redirect("sites")


def _settings(request: SignedIn, site: Site, **forms: Any) -> HttpResponse:
    role = access.role_of(request.user, site)
    context = {
        **installation(site),
        "timezone_form": TimezoneForm(initial={"timezone": site.timezone}),
        "person_form": PersonForm(),
        "delete_form": DeleteForm(site),
        "memberships": site.memberships.select_related("user"),
        "is_owner": role == Role.OWNER,
        **forms,
    }
    return render(request, "sites/settings.html", context, status=_UNPROCESSABLE if forms else 200)


def _own_address(request: HttpRequest, site: Site) -> dict[str, Any]:
    """The address of the person who looks, as collect would see it, and what to exclude for it; {} when none is known.

    It is shown to that person only and kept nowhere.
    """
    trusted = settings.current().trusted_proxies
    address = parsed(asker(request.META, trusted))
    if address is None:
        return {}
    return {
        "address": str(address),
        "rule": network_of(address),
        "is_local": not address.is_global and not trusted,  # perhaps that of a proxy nobody told Haru of
        "is_excluded": Exclusions(site.excluded_addresses).has_address(str(address)),
    }


def installation(site: Site) -> dict[str, Any]:
    """What a template of installation shows: the site, its snippet, and a command that sends a first pageview."""
    base = settings.current().base_url
    return {
        "site": site,
        "snippet": f'<script defer src="{base}/js/haru.js" data-token="{site.token}"></script>',
        "curl": (
            f"curl {base}/api/collect -H 'Authorization: Bearer {site.token}' \\\n"
            f"  -H 'Content-Type: application/json' \\\n"
            f"""  -d '{{"p": "https://{site.domain}/hello"}}'"""
        ),
    }
