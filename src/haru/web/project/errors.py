"""What people and programs see when something cannot be answered: a page, or `{"error": "<sentence>"}` below /api/."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from haru import settings
from haru.store.protocol import StoreUnavailable

_LAST_RESORT = "<!doctype html><html lang=en><title>Haru</title><h1>Something broke here</h1><p>Please try again.</p>"

# What PostgreSQL says of itself in errors of other kinds: read-only, a right is missing, damaged data, a damaged index.
_AT_FAULT = {"25006", "42501", "XX001", "XX002"}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    return _answer(request, HTTPStatus.BAD_REQUEST, _("This request cannot be read."))


def unknown_host(request: HttpRequest) -> HttpResponse:
    """400 for a host name that is not this server's: the operator sees what to do, a visitor learns no name."""
    return _answer(
        request, HTTPStatus.BAD_REQUEST, _("This server does not go by that name. Its own is set in HARU_BASE_URL.")
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return _answer(request, HTTPStatus.FORBIDDEN, _("You may not do this."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose key does not fit: it came from elsewhere, or the page was open for too long."""
    sentence = _("This form is no longer valid. Go back, load the page again and send it once more.")
    return _answer(request, HTTPStatus.FORBIDDEN, sentence)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: no such page, or one that does not exist for this person."""
    return _answer(request, HTTPStatus.NOT_FOUND, _("There is nothing at this address."))


def too_many(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """429: more tries at signing in than one person needs."""
    response = _answer(request, HTTPStatus.TOO_MANY_REQUESTS, _("Too many tries. Wait a few minutes and try again."))
    response.headers["Retry-After"] = "60"
    return response


def too_slow(request: HttpRequest) -> HttpResponse:
    """504: a question took longer than HARU_QUERY_SECONDS."""
    return _answer(request, HTTPStatus.GATEWAY_TIMEOUT, slow_sentence())


def slow_sentence() -> str:
    """What people read in the place of numbers that took too long."""
    seconds = settings.current().query_seconds
    return _("This took longer than %(seconds)d s and was ended. Ask for a shorter period or fewer rows.") % {
        "seconds": seconds
    }


def too_large(request: HttpRequest) -> HttpResponse:
    """400: a question needs more memory than the event store may use."""
    return _answer(request, HTTPStatus.BAD_REQUEST, memory_sentence())


def memory_sentence() -> str:
    """What people read in the place of numbers that need too much memory."""
    return _(
        "This needs more memory than the event store may use. Ask for a shorter period, fewer rows or fewer "
        "dimensions; whoever runs this server can give it more (by HARU_EVENTS_MEMORY, or in the database server)."
    )


def crowded(request: HttpRequest) -> HttpResponse:
    """503: so many wait for numbers that one more would wait for too long."""
    return closed(request, _("Very many look at this just now. Please try again in a moment."))


def closed(request: HttpRequest, reason: str) -> HttpResponse:
    """503 while pages are shown to nobody."""
    response = _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, reason)
    response.headers["Retry-After"] = "10"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 when a database does not answer. The page asks nothing of it."""
    error = sys.exc_info()[1]
    if isinstance(error, StoreUnavailable):
        sentence = _("The numbers are unavailable just now. Visits are being counted; please try again in a moment.")
        return _unavailable(request, sentence)
    if isinstance(error, DatabaseError | InterfaceError) and _is_of_the_database(error):
        return _unavailable(request, _accounts_sentence(str(error)))
    if request.path.startswith("/api/"):
        return JsonResponse({"error": _("Something broke here. Please try again.")}, status=500)
    try:
        return HttpResponse(render_to_string("500.html"), status=500)
    except Exception:  # whatever broke the page may have broken the template too
        return HttpResponse(_LAST_RESORT, status=500)


def _is_of_the_database(error: Exception) -> bool:
    """Whether the database is at fault, and not what it was asked."""
    if getattr(error.__cause__, "sqlstate", None) in _AT_FAULT:
        return True
    # The bare kind is that of a damaged file.
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def _accounts_sentence(error: str) -> str:
    if any(word in error for word in ("readonly", "read-only", "is full", "No space left")):
        return _(
            "The database of accounts cannot be written to: its disk is full or read-only, and whoever runs this "
            "server must look after it. Visits are being counted."
        )
    return _("The accounts are unavailable just now. Visits are being counted; please try again in a moment.")


def _unavailable(request: HttpRequest, sentence: str) -> HttpResponse:
    try:
        if request.path.startswith("/api/"):
            response: HttpResponse = JsonResponse({"error": sentence}, status=503)
        else:
            response = HttpResponse(render_to_string("503.html", {"sentence": sentence}), status=503)
    except Exception:
        response = HttpResponse(_LAST_RESORT, status=503)
    response.headers["Retry-After"] = "10"
    return response


def _answer(request: HttpRequest, status: HTTPStatus, sentence: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse({"error": sentence}, status=status)
    context: dict[str, Any] = {"sentence": sentence}
    if not hasattr(request, "user"):  # refused before anyone looked who it is: no context processors
        return HttpResponse(render_to_string(f"{status.value}.html", context), status=status)
    return render(request, f"{status.value}.html", context, status=status)
