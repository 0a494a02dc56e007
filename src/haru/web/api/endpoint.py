"""What every request of the API goes through: method, key, limit, body; and the one shape of its errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from haru import settings
from haru.accounts.models import ApiKey, Scope
from haru.clock import now_ms
from haru.collect.ratelimit import RateLimit
from haru.events.text import is_storable
from haru.sites import access
from haru.sites.domain import normalise
from haru.sites.models import Site
from haru.stats import asking, bounds
from haru.stats.turns import Crowded
from haru.store.protocol import StoreOutOfMemory, StoreUnavailable
from haru.web.project import errors

# One sentence for both, so that a key cannot be used to find out which sites exist.
NO_ACCESS = (
    "No such site for this key: send Authorization: Bearer <API key>, "
    "with a key that may read statistics, and the domain of a site that its owner may see."
)
NO_CHANGE = (
    "No such site for this key: send Authorization: Bearer <API key>, "
    "with a key that may add and change sites, and the domain of a site that its owner manages."
)
MAX_BODY = 1 << 20  # bytes

_limit = RateLimit(0)
_limit_lock = threading.Lock()  # requests are answered by several threads

Readable = Callable[..., Site]  # of sites/access: whoever does not pass does not see that there is a site


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: HTTPStatus, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.response = JsonResponse({"error": sentence}, status=status, headers=headers)


class Faulty(Refused):
    """400 that names every fault, each with its path: `#/metrics/0: Invalid metric "x"`."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, "; ".join(bounds.shortened(faults)))


@dataclass(frozen=True)
class Call:
    """One request with a key that may make it."""

    request: HttpRequest
    key: ApiKey
    now_ms: int
    sentence: str  # for a site that is not there for this key

    @property
    def parameters(self) -> dict[str, str]:
        """Those of the address; of one that is given twice the last."""
        return self.request.GET.dict()

    def json(self, most: int) -> Any:
        """The body, of at most so many bytes. Raises `Refused`."""
        return _json(_bytes(self.request, most))

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the body, which is a JSON object or a form. Raises `Refused`."""
        return _fields(self.request)

    def site(self, domain: str, may: Readable = access.readable) -> Site:
        """The site, for a key whose owner may do what `may` asks. Raises `Refused`."""
        try:
            return may(self.key.user, normalise(domain))
        except (Http404, ValueError):
            raise unauthorised(self.sentence) from None

    def owner(self, site: Site, *, personal: bool) -> access.Person | None:
        """Whose something of the site is: the key's owner's own, or None, the site's, for one who manages it.

        Raises `Refused` for one who does not.
        """
        if personal:
            return self.key.user
        self.site(site.domain, access.manageable)
        return None


@dataclass(frozen=True, slots=True)
class Method:
    """What one HTTP method of a route does."""

    answer: Callable[..., Any]  # (call, arguments of the path) → what is answered, as JSON, or a whole response
    scopes: tuple[Scope, ...]  # a key needs one of them


def route(**methods: Method) -> Callable[..., HttpResponseBase]:
    """The view of a route. GET answers HEAD too. Raises nothing but what Django turns into 500 or 503."""

    @csrf_exempt
    def view(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        try:
            method = methods.get("GET" if request.method == "HEAD" else request.method or "")
            if method is None:
                raise not_allowed(methods)
            answer = method.answer(_admit(request, method), **arguments)
            return answer if isinstance(answer, HttpResponseBase) else _written(answer)
        except StoreOutOfMemory:
            return errors.too_large(request)
        except (StoreUnavailable, Crowded):
            return unavailable().response
        except Refused as refused:
            return refused.response

    return view


def _written(answer: Any) -> JsonResponse:
    response = JsonResponse(answer, safe=False)
    if len(response.content) > bounds.MAX_ANSWER:
        raise answer_too_large()
    return response


def answer_too_large() -> Refused:
    """413: what was asked is small, and what would be answered is not."""
    most = f"{bounds.MAX_ANSWER >> 20} MiB"
    sentence = f"The answer is larger than {most}: ask for fewer rows with pagination, or for fewer dimensions."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)


def not_allowed(methods: Iterable[str]) -> Refused:
    """405, with the methods that are."""
    names = sorted(methods)
    allow = ", ".join(names + ["HEAD"] * ("GET" in names))
    return Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Ask with {' or '.join(names)}.", Allow=allow)


def unauthorised(sentence: str) -> Refused:
    """401."""
    return Refused(HTTPStatus.UNAUTHORIZED, sentence, **{"WWW-Authenticate": "Bearer"})


def unavailable() -> Refused:
    """503."""
    sentence = "The event store does not answer just now: try again."
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, sentence, **{"Retry-After": "5"})


def texts(
    given: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> tuple[dict[str, str], list[str]]:
    """The values of parameters or of fields, and a sentence for each that is faulty or missing.

    An empty text is as good as none.
    """
    known = (*required, *optional)
    faults = [f"#/{shortened(name)}: Unknown; known are {', '.join(known)}" for name in given if name not in known]
    values: dict[str, str] = {}
    for name in known:
        value = given.get(name)
        if value is None or value == "":
            if name in required:
                faults.append(f"#/{name}: This is required")
        elif not isinstance(value, str):
            faults.append(f"#/{name}: Give a text")
        elif not is_storable(value):
            faults.append(f"#/{name}: There is a character in it that no text has")
        else:
            values[name] = value
    return values, faults


def shortened(text: str) -> str:
    """The text, cut at 100 characters: what is sent back of what was sent."""
    return text if len(text) <= 100 else text[:99] + "…"


def _admit(request: HttpRequest, method: Method) -> Call:
    sentence = NO_ACCESS if Scope.STATS_READ in method.scopes else NO_CHANGE
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    key = ApiKey.find(text.strip()) if scheme.lower() == "bearer" else None
    if key is None or not any(map(key.allows, method.scopes)):
        raise unauthorised(sentence)
    _within_limit(key)
    asking.name_asker(("key", key.pk))
    return Call(request, key, now_ms(), sentence)


def _within_limit(key: ApiKey) -> None:
    most = settings.current().api_rate_limit
    with _limit_lock:
        wait = _limit.hit(0, str(key.pk).encode(), most)
    if wait:
        sentence = f"This key has asked more than {most} times in a minute: wait {wait} seconds."
        raise Refused(HTTPStatus.TOO_MANY_REQUESTS, sentence, **{"Retry-After": str(wait)})


def _bytes(request: HttpRequest, most: int = MAX_BODY) -> bytes:
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    try:
        body = request.body
    except RequestDataTooBig:
        raise _too_large(most) from None
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> Refused:
    sentence = f"The body is larger than {most // 1024} KiB."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Faulty(["#: The body is not JSON"]) from None


def _fields(request: HttpRequest) -> Mapping[str, Any]:
    body = _bytes(request)
    kind = request.content_type or ""
    if kind == "application/x-www-form-urlencoded":
        try:
            return QueryDict(body, encoding="utf-8").dict()
        except (SuspiciousOperation, BadRequest, UnicodeDecodeError):
            raise Faulty(["#: The form cannot be read"]) from None
    if kind == "multipart/form-data":
        try:
            form, _ = MultiPartParser(request.META, BytesIO(body), request.upload_handlers, "utf-8").parse()
        except (MultiPartParserError, SuspiciousOperation, BadRequest, UnicodeDecodeError):
            raise Faulty(["#: The form cannot be read"]) from None
        return form.dict()
    data = _json(body) if body else {}
    if not isinstance(data, dict):
        raise Faulty(["#: Give a JSON object"])
    return data
