"""The pages on which people manage the goals and the shared links of a site."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from haru.sites import access, links, registry
from haru.sites import goals as site_goals
from haru.sites.pages.forms import GoalForm, LinkForm
from haru.sites.pages.views import SignedIn

_UNPROCESSABLE = 422


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def goals(request: SignedIn, domain: str) -> HttpResponse:
    """The goals of a site; POST adds one."""
    site = access.manageable(request.user, domain)
    form = GoalForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            goal = site_goals.add_goal(site, **form.cleaned_data)
        except site_goals.GoalErrors as error:
            for field, sentence in error.faults.items():
                form.add_error(field, sentence)
        else:
            messages.success(request, _("“%(name)s” is a goal.") % {"name": goal.name})
            return redirect("site-goals", site.domain)
    context = {"site": site, "form": form, "goals": site.goals.all()}
    return render(request, "sites/goals.html", context, status=_UNPROCESSABLE if form.errors else 200)


@require_POST
@login_required
def delete_goal(request: SignedIn, domain: str, pk: int) -> HttpResponse:
    """Delete a goal of a site."""
    site = access.manageable(request.user, domain)
    try:
        site_goals.delete_goal(site, pk)
    except registry.SiteError as error:
        raise Http404(str(error)) from None
    messages.success(request, _("The goal is deleted; the events that reached it stay."))
    return redirect("site-goals", site.domain)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def shared_links(request: SignedIn, domain: str) -> HttpResponse:
    """The shared links of a site; POST adds one."""
    site = access.manageable(request.user, domain)
    form = LinkForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"].strip()
        if site.shared_links.filter(name=name).exists():
            form.add_error("name", _("There is already a link of this name: revoke it, or choose another name."))
        else:
            try:
                links.add_link(site, name, form.cleaned_data["password"])
            except registry.SiteError as error:
                form.add_error("name", str(error))
            else:
                messages.success(request, _("Whoever has the link “%(name)s” sees the dashboard.") % {"name": name})
                return redirect("site-links", site.domain)
    shown = [(link, links.address(link)) for link in site.shared_links.all()]
    context = {"site": site, "form": form, "links": shown}
    return render(request, "sites/links.html", context, status=_UNPROCESSABLE if form.errors else 200)


@require_POST
@login_required
def revoke_link(request: SignedIn, domain: str, pk: int) -> HttpResponse:
    """End a shared link of a site."""
    site = access.manageable(request.user, domain)
    try:
        links.revoke_link(site, pk)
    except registry.SiteError as error:
        raise Http404(str(error)) from None
    messages.success(request, _("The link no longer works."))
    return redirect("site-links", site.domain)
