"""The segments of a site on pages: chosen in the menu of filters, made of the filters in force, changed, deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from haru.sites import access
from haru.sites import segments as site_segments
from haru.sites.goals import goals_of
from haru.sites.models import Segment, Site
from haru.sites.registry import SiteError
from haru.stats.query import QueryError
from haru.web.dashboard import filters
from haru.web.dashboard.state import State

_UNPROCESSABLE = 422
PERSONAL, OF_SITE = "personal", "site"
WHOSE = {PERSONAL: gettext_lazy("Only me"), OF_SITE: gettext_lazy("Everyone who sees the site")}


class SegmentForm(forms.Form):
    """A segment, new or changed."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=site_segments.MAX_NAME)
    whose = forms.ChoiceField(label=gettext_lazy("Who has it"), choices=list(WHOSE.items()), initial=PERSONAL)
    filters = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, manages: bool, **options: Any) -> None:
        """Those who manage the site may give a segment to everyone."""
        super().__init__(*args, **options)
        if not manages:
            self.fields["whose"].choices = [(PERSONAL, WHOSE[PERSONAL])]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Shown:
    """A segment as a page shows it."""

    segment: Segment
    sentence: str  # what its filters say
    address: str  # of a view with its filters; "" when they cannot be read, because a goal of them is gone
    chosen: bool  # these are the filters of the view
    changes: bool  # this person may change it


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def segments(request: HttpRequest, domain: str) -> HttpResponse:
    """The segments that a person knows; POST makes one of the filters that come with it."""
    site = access.readable(request.user, domain)
    manages = _manages(request, site)
    text = request.GET.get("filters", "")
    form = SegmentForm(request.POST or None, manages=manages, initial={"filters": text})
    if request.method == "POST" and form.is_valid():
        segment = _saved(request, form, Segment(site=site))
        if segment:
            messages.success(request, _("“%(name)s” is a segment now.") % {"name": segment.name})
            return redirect("segments", site.domain)
    given = form["filters"].value() or ""
    return _page(request, site, {"form": form, "sentence": _sentence(site, given), "making": bool(given)})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def segment(request: HttpRequest, domain: str, pk: int) -> HttpResponse:
    """One segment, to be given another name, owner, or the filters in the address."""
    site = access.readable(request.user, domain)
    one = _changeable(request, site, pk)
    text = request.GET.get("filters") or json.dumps(one.filters, ensure_ascii=False)
    initial = {"name": one.name, "whose": PERSONAL if one.personal else OF_SITE, "filters": text}
    form = SegmentForm(request.POST or None, manages=_manages(request, site), initial=initial)
    if request.method == "POST" and form.is_valid() and _saved(request, form, one):
        messages.success(request, _("The segment is changed."))
        return redirect("segments", site.domain)
    given = form["filters"].value() or ""
    return _page(request, site, {"form": form, "sentence": _sentence(site, given), "making": True, "changed": one})


@require_POST
@login_required
def delete_segment(request: HttpRequest, domain: str, pk: int) -> HttpResponse:
    """Delete a segment."""
    site = access.readable(request.user, domain)
    _changeable(request, site, pk).delete()
    messages.success(request, _("The segment is deleted."))
    return redirect("segments", site.domain)


def shown(request: HttpRequest, site: Site, state: State | None = None) -> list[Shown]:
    """The segments that this person knows, each as a view of `state` with its filters."""
    goals, manages = goals_of(site), _manages(request, site)
    found = []
    for one in site_segments.visible(request.user, site).order_by("name", "pk"):
        text = json.dumps(one.filters)
        try:
            trees = filters.read(text, goals)
        except QueryError:  # a goal of it is gone
            found.append(Shown(one, text, "", False, one.personal or manages))
            continue
        view = state or State()
        said = " · ".join("".join(part.text for part in filters.sentence(tree)) for tree in trees)
        address = view.address(filters=trees)
        found.append(Shown(one, said, address, trees == view.filters, one.personal or manages))
    return found


def _page(request: HttpRequest, site: Site, context: dict[str, Any]) -> HttpResponse:
    status = _UNPROCESSABLE if context["form"].errors else 200
    context |= {"site": site, "segments": shown(request, site)}
    return render(request, "sites/segments.html", context, status=status)


def _saved(request: HttpRequest, form: SegmentForm, one: Segment) -> Segment | None:
    """The segment with what the form says; None, with errors in the form, for what cannot be."""
    owner = request.user if form.cleaned_data["whose"] == PERSONAL else None
    try:
        trees = json.loads(form.cleaned_data["filters"])
        return site_segments.change(one, owner, form.cleaned_data["name"], trees)
    except site_segments.SegmentErrors as error:
        for fault in error.faults:
            path, _colon, sentence = fault.partition(": ")
            form.add_error("name" if path == "#/name" else None, sentence)
    except (ValueError, RecursionError):  # no JSON
        form.add_error(None, _("The filters cannot be read."))
    return None


def _changeable(request: HttpRequest, site: Site, pk: int) -> Segment:
    """The segment, for one who may change it. Raises `Http404`."""
    try:
        one = site_segments.one(request.user, site, pk)
    except SiteError as error:
        raise Http404(str(error)) from None
    if not one.personal and not _manages(request, site):
        raise Http404(site_segments.NO_SEGMENT)
    return one


def _manages(request: HttpRequest, site: Site) -> bool:
    return access.role_of(request.user, site) in access.MANAGERS


def _sentence(site: Site, text: str) -> str:
    """What the filters say; "" for none, or what cannot be read: saving it says why."""
    try:
        trees = filters.read(text, goals_of(site)) if text else ()
    except QueryError:
        return ""
    return " · ".join("".join(part.text for part in filters.sentence(tree)) for tree in trees)
