"""The dashboard of a shared link: for everyone who has it, without an account, after its password if it has one."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from haru import settings
from haru.collect.address import asker, grouped
from haru.collect.ratelimit import RateLimit
from haru.sites import access, links
from haru.sites.models import SharedLink
from haru.stats import asking
from haru.stats.trees import no_segments
from haru.stats.turns import Guest, Turns
from haru.store.stop import Stopped
from haru.web.dashboard import suggestions as dashboard_suggestions
from haru.web.dashboard import views as dashboard
from haru.web.dashboard.views import View
from haru.web.project import errors

COOKIE = "haru_share"
TRIES_A_MINUTE = 10  # of one link's password, from one address
LINK_TRIES_A_MINUTE = 100  # of one link's password, from everywhere: hashing takes a tenth of a second of the processor
PAGES_AT_ONCE = 2  # that are made for guests; what is left of the machine is for those whose sites they are
WAIT_SECONDS = 30.0  # for a turn
_turns = Turns(PAGES_AT_ONCE)
_limit = RateLimit(0)
_limit_lock = threading.Lock()  # requests are answered by several threads


class PasswordForm(forms.Form):
    """The password of a link."""

    password = forms.CharField(
        strip=False,
        max_length=links.MAX_PASSWORD,
        label=gettext_lazy("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


def _in_turn(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Guests' pages are made two at a time, never two of one site, in turn by link and network."""

    @functools.wraps(view)
    def wait_then_show(request: HttpRequest, slug: str, **arguments: str) -> HttpResponse:
        link = access.shared(slug)
        asker = Guest(link.site_id, link.pk, _network(request))
        asking.name_asker(asker)
        close_old_connections()  # whoever waits in line must hold none: a database server has a hundred or so
        with contextlib.ExitStack() as held:
            try:
                with asking.limited(WAIT_SECONDS) as waiter:
                    held.enter_context(_turns.turn(asker, waiter.stop))
            except Stopped:
                return errors.crowded(request)
            # The link may have been revoked meanwhile: the view looks again.
            return view(request, slug, **arguments)

    return wait_then_show


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@_in_turn
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """The dashboard; before it the question for the password, which POST answers."""
    link = access.shared(slug)
    if request.method == "POST":
        return _unlisted(_ask(request, link))
    if not _passed(request, link):
        return _unlisted(_question(request, link, PasswordForm()))
    return _unlisted(dashboard.page(request, View(link.site, request), _context(link)))


@require_safe
@never_cache
@_in_turn
def panel(request: HttpRequest, slug: str, panel: str) -> HttpResponse:
    """One panel alone, as `dashboard.panel`. Without the password the link does not exist."""
    link = access.shared(slug)
    if not _passed(request, link):
        raise Http404("There is no such link.")
    return _unlisted(dashboard.part(request, View(link.site, request), panel, _context(link)))


@require_safe
@never_cache
@_in_turn
def suggestions(request: HttpRequest, slug: str) -> HttpResponse:
    """Values for the menu of filters. Without the password the link does not exist."""
    link = access.shared(slug)
    if not _passed(request, link):
        raise Http404("There is no such link.")
    return _unlisted(dashboard_suggestions.answer(request, link.site, no_segments))


def watchable(cookie: str, slug: str) -> int | None:
    """Id of the site if whoever sent this cookie may watch it by this link; raises `Http404` when there is none."""
    link = access.shared(slug)
    return int(link.site_id) if links.has_passed(link, cookie) else None


def _context(link: SharedLink) -> dict[str, Any]:
    return {"base": f"/share/{link.slug}", "manages": False, "shared": True}


def _passed(request: HttpRequest, link: SharedLink) -> bool:
    return links.has_passed(link, request.COOKIES.get(COOKIE, ""))


def _ask(request: HttpRequest, link: SharedLink) -> HttpResponse:
    if wait := _too_many(request, link):
        form = PasswordForm()
        response = _question(request, link, form, _("Too many tries. Wait %(wait)s seconds.") % {"wait": wait}, 429)
        response.headers["Retry-After"] = str(wait)
        return response
    form = PasswordForm(request.POST)
    if not form.is_valid():
        return _question(request, link, form, status=422)
    if not links.opens(link, form.cleaned_data["password"]):
        form.add_error("password", _("This is not the password."))
        return _question(request, link, form, status=422)
    # The view that was asked for is in the address; nowhere else may this lead.
    response = redirect(f"/share/{link.slug}?{request.GET.urlencode()}" if request.GET else f"/share/{link.slug}")
    response.set_cookie(
        COOKIE,
        links.pass_for(link),
        max_age=links.PASS_SECONDS,
        path=f"/share/{link.slug}",
        secure=django_settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _too_many(request: HttpRequest, link: SharedLink) -> int:
    """Seconds to wait before the next try; 0 when it may be made now. The address is kept in memory, as a hash."""
    with _limit_lock:
        return _limit.hit(link.pk, _network(request), TRIES_A_MINUTE) or _limit.hit(
            link.pk, b"all", LINK_TRIES_A_MINUTE
        )


def _network(request: HttpRequest) -> bytes:
    """Where the guest is, as limits know it."""
    return grouped(asker(request.META, settings.current().trusted_proxies))


def _question(
    request: HttpRequest, link: SharedLink, form: PasswordForm, sentence: str = "", status: int = 200
) -> HttpResponse:
    """The page that asks. It does not say which site it is."""
    context = {"form": form, "sentence": sentence, "address": request.get_full_path()}
    return render(request, "share/password.html", context, status=status)


def _unlisted(response: HttpResponse) -> HttpResponse:
    """Whoever was given the link may hand it on; search engines should not."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response
