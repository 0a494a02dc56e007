"""The pages on which people write annotations of a site: their own, and the site's for those who manage it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone as clock
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from haru.sites import access, registry
from haru.sites import annotations as notes
from haru.sites.models import Annotation, Site
from haru.sites.pages.forms import AnnotationForm
from haru.sites.pages.views import SignedIn

_UNPROCESSABLE = 422


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def every(request: SignedIn, domain: str) -> HttpResponse:
    """The annotations of a site that a person sees, the latest first; POST adds one, and leads to the dashboard with
    `back`, its query string.
    """
    site = access.readable(request.user, domain)
    manages = access.role_of(request.user, site) in access.MANAGERS
    form = AnnotationForm(_zone(site), manages, request.POST if request.method == "POST" else None)
    if request.method == "POST" and _saved(request, form, Annotation(site=site)):
        messages.success(request, _("The annotation is saved."))
        return _back(request, site)
    lines = [
        (note, note.at.astimezone(_zone(site)).replace(tzinfo=None), note.personal or manages)
        for note in notes.visible(request.user, site).order_by("-at", "-pk")
    ]
    return _page(request, site, "sites/annotations.html", form, lines=lines)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def single(request: SignedIn, domain: str, pk: int) -> HttpResponse:
    """One annotation, to be changed."""
    site, note = _changeable(request, domain, pk)
    manages = access.role_of(request.user, site) in access.MANAGERS
    given = request.POST if request.method == "POST" else None
    form = AnnotationForm(_zone(site), manages, given, note)
    if request.method == "POST" and _saved(request, form, note):
        messages.success(request, _("The annotation is saved."))
        return _back(request, site)
    return _page(request, site, "sites/annotation.html", form, note=note)


@require_POST
@login_required
def delete(request: SignedIn, domain: str, pk: int) -> HttpResponse:
    """Delete an annotation."""
    site, note = _changeable(request, domain, pk)
    note.delete()
    messages.success(request, _("The annotation is deleted."))
    return _back(request, site)


def _changeable(request: SignedIn, domain: str, pk: int) -> tuple[Site, Annotation]:
    """The annotation for one who may change it: another's, and the site's for who does not manage it, are not there."""
    site = access.readable(request.user, domain)
    try:
        note = notes.one(request.user, site, pk)
    except registry.SiteError as error:
        raise Http404(str(error)) from None
    if not note.personal:
        access.manageable(request.user, domain)
    return site, note


def _saved(request: SignedIn, form: AnnotationForm, note: Annotation) -> bool:
    """Whether the annotation could be given what the form holds; else the form has the errors."""
    if not form.is_valid():
        return False
    owner = None if form.cleaned_data.get("of_site") else request.user
    try:
        notes.change(note, owner, form.cleaned_data["at"].isoformat(), form.cleaned_data["text"])
    except notes.AnnotationErrors as error:
        for fault in error.faults:
            path, sentence = fault.split(": ", 1)
            form.add_error(path.removeprefix("#/"), sentence)
    return not form.errors


def _page(request: HttpRequest, site: Site, template: str, form: AnnotationForm, **more: Any) -> HttpResponse:
    now = clock.now().astimezone(_zone(site)).replace(tzinfo=None)
    context = {"site": site, "form": form, "now": now, **more}
    return render(request, template, context, status=_UNPROCESSABLE if form.errors else 200)


def _back(request: HttpRequest, site: Site) -> HttpResponse:
    """To the dashboard from which it came, nowhere else; or to the list."""
    back = request.POST.get("back", "")
    return redirect(f"/sites/{site.domain}{back}") if back.startswith("?") else redirect("annotations", site.domain)


def _zone(site: Site) -> ZoneInfo:
    return ZoneInfo(site.timezone)
