"""The root of the server: it shows nothing of its own and sends each to where their work is."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from haru.sites import access


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the first site's dashboard, or to the list where the first site is added."""
    first = access.sites_of(request.user).first()
    return redirect("dashboard", first.domain) if first else redirect("sites")
