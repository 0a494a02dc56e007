"""What every page goes through: whom to believe, which headers to send, and the built files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from haru import settings
from haru.collect.address import is_trusted, parsed
from haru.stats.turns import Crowded
from haru.store.protocol import StoreOutOfMemory
from haru.store.stop import Stopped
from haru.web.project import errors, services

Respond = Callable[[HttpRequest], HttpResponseBase]

#: What a page of Haru may load and do: its own files, nothing inline, nothing from elsewhere, no frame around it.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    ]
)

#: Powerful features that no page of Haru uses.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in ("browsing-topics", "camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)

#: What shrinks, beside text of any kind.
_SHRINKS = frozenset({"application/json", "application/javascript", "image/svg+xml"})

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")
_YEAR = 365 * 24 * 3600


class TrustedProxies:
    """Takes away what a request says about its own way here, unless one of HARU_TRUSTED_PROXIES sent it."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._trusted = settings.current().trusted_proxies

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        if not self._believes(str(request.META.get("REMOTE_ADDR", ""))):
            for name in _FORWARDED:
                request.META.pop(name, None)
        return self._respond(request)

    def _believes(self, peer: str) -> bool:
        address = parsed(peer)
        return address is not None and is_trusted(address, self._trusted)


class KnownHosts:
    """Refuses a host name that HARU_BASE_URL does not name, before anything is made of it and without a log line."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        try:
            request.get_host()
        except DisallowedHost:
            return errors.unknown_host(request)
        return self._respond(request)


class UnansweredQuestions:
    """Answers with a sentence: 504 where a question was ended at its limit or its client left, 503 to one too many, 400
    where it needs too much memory.
    """

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        return self._respond(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Called by Django with what a view raised."""
        if isinstance(exception, Crowded):
            return errors.crowded(request)
        if isinstance(exception, StoreOutOfMemory):
            return errors.too_large(request)
        return errors.too_slow(request) if isinstance(exception, Stopped) else None


class Closed:
    """Answers 503 with the reason while no page may be shown to anyone: the known password of development works."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        if services.is_set() and (reason := services.get().closed()):
            return errors.closed(request, reason)
        return self._respond(request)


class PageHeaders:
    """Sends the Content-Security-Policy and the Permissions-Policy with every answer that does not bring its own."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        response = self._respond(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response


class Compression(GZipMiddleware):
    """Compresses pages and the API's answers for whoever takes gzip.

    Random bytes in it hide lengths that could betray a secret beside what a stranger chose (BREACH); keys of forms are
    masked again in each page. A stream is left as it is: its pieces would wait for each other.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Called by Django with the answer."""
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.streaming or not (kind.startswith("text/") or kind in _SHRINKS):
            return response
        return super().process_response(request, response)


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # whitenoise is not typed
    """Serves the built files; an address with their digest (`?v=...`, see the `asset` tag) is kept for a year."""

    def __init__(self, respond: Respond, **options: Any) -> None:
        super().__init__(respond, **options)

    def add_files(self, root: str, prefix: str | None = None) -> None:
        """Take in the files below `root`. A checkout whose front end is not built yet has none; pages work without."""
        if Path(root).is_dir():
            super().add_files(root, prefix)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request with a file, or pass it on."""
        file = self.files.get(request.path_info)
        if file is None:
            passed_on: HttpResponseBase = self.get_response(request)
            return passed_on
        answer = self.serve(file, request)
        if "v" in request.GET and answer.status_code == 200:
            answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
        return answer

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        """The file as one piece: they are small, and Django streams files under ASGI no better."""
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        answer = HttpResponse(body, status=int(found.status))
        del answer.headers["Content-Type"]
        for name, value in found.headers:
            answer.headers[name] = value
        return answer
