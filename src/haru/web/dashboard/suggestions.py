"""Suggestions for the menu of filters, as JSON in the shape of the API's."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from haru.clock import now_ms
from haru.sites import access
from haru.sites.models import Site
from haru.sites.segments import known_to
from haru.stats import asking
from haru.stats.trees import Segments
from haru.web.api.endpoint import Faulty
from haru.web.api.suggestions import read, suggested


@require_safe
@never_cache
@login_required
def suggestions(request: HttpRequest, domain: str) -> HttpResponse:
    """Values of a dimension for a person who may see the site."""
    site = access.readable(request.user, domain)
    asking.name_asker(("user", request.user.pk))
    return answer(request, site, known_to(request.user, site.domain))


def answer(request: HttpRequest, site: Site, segments: Segments) -> HttpResponse:
    """What one who may see the site, and knows these segments, is suggested."""
    try:
        wanted, _ = read(request.GET.dict(), segments)
        return JsonResponse(suggested(site, wanted, now_ms()))
    except Faulty as faulty:
        return faulty.response
