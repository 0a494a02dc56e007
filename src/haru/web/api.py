"""The API that programs read numbers from: `POST /api/v2/query` and `GET /api/v1/refusals`."""

from __future__ import annotations

import json
import threading
import time
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from haru.accounts.models import ApiKey, Scope
from haru.collect.ratelimit import RateLimit
from haru.events.store import StoreUnavailable
from haru.sites import access
from haru.sites.domain import normalise
from haru.sites.models import Site
from haru.stats import filters, metrics, periods, statement
from haru.stats.periods import DateRange, Dates
from haru.stats.query import Query, QueryError, parse
from haru.stats.report import Answer, Row, StatsSite
from haru.web import ledger, plane
from haru.web import refusals as explained
from haru.web.ledger import Ledger

# One sentence for both, so that a key cannot be used to find out which sites exist.
NO_ACCESS = (
    "No such site for this key: send Authorization: Bearer <API key>, "
    "with a key that may read statistics, and the domain of a site that its owner may see."
)

REQUESTS_A_MINUTE = 600  # of one key
_limit = RateLimit(REQUESTS_A_MINUTE)
_limit_lock = threading.Lock()  # requests are answered by several threads


class _Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: HTTPStatus, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.response = JsonResponse({"error": sentence}, status=status, headers=headers)


@csrf_exempt
def query(request: HttpRequest) -> HttpResponse:
    """Answer a query, with the key in the `Authorization` header and JSON in the body."""
    try:
        if request.method != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Send the query with POST.", Allow="POST")
        now_ms = time.time_ns() // 1_000_000
        key = _key(request)
        _within_limit(key)
        data = _body(request)
        asked = _parsed(data)
        site = _site(key, data["site_id"])
        try:
            answer = plane.get().reports.answer(StatsSite(site.pk, site.timezone), asked, now_ms)
        except QueryError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, _sentence(error)) from None
        except StoreUnavailable:
            raise _unavailable() from None
    except _Refused as refused:
        return refused.response
    return JsonResponse(written(site.domain, ZoneInfo(site.timezone), asked, answer))


@csrf_exempt
def refusals(request: HttpRequest) -> HttpResponse:
    """What was counted on a site in a period, and what was not and why; the key is in the `Authorization` header."""
    try:
        if request.method not in {"GET", "HEAD"}:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Ask with GET.", Allow="GET, HEAD")
        now_ms = time.time_ns() // 1_000_000
        key = _key(request)
        _within_limit(key)
        parameters = request.GET.dict()
        date_range = _date_range(parameters)
        site = _site(key, parameters["site_id"])
        stats_site = StatsSite(site.pk, site.timezone)
        try:
            found = ledger.find(stats_site, date_range, now_ms)
            counted = ledger.read(stats_site, found, "", now_ms)
        except StoreUnavailable:
            raise _unavailable() from None
    except _Refused as refused:
        return refused.response
    return JsonResponse(_written_ledger(ZoneInfo(site.timezone), counted))


def _unavailable() -> _Refused:
    sentence = "The event store does not answer just now: try again."
    return _Refused(HTTPStatus.SERVICE_UNAVAILABLE, sentence, **{"Retry-After": "5"})


def _key(request: HttpRequest) -> ApiKey:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    key = ApiKey.find(text.strip()) if scheme.lower() == "bearer" else None
    if key is None or not key.allows(Scope.STATS_READ):
        raise _Refused(HTTPStatus.UNAUTHORIZED, NO_ACCESS, **{"WWW-Authenticate": "Bearer"})
    return key


def _within_limit(key: ApiKey) -> None:
    with _limit_lock:
        wait = _limit.hit(0, str(key.pk).encode(), None)
    if wait:
        sentence = f"This key has asked more than {REQUESTS_A_MINUTE} times in a minute: wait {wait} seconds."
        raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, sentence, **{"Retry-After": str(wait)})


def _body(request: HttpRequest) -> Any:
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise _Refused(HTTPStatus.BAD_REQUEST, "#: The body is not JSON") from None


def _parsed(data: Any) -> Query:
    """The query; every fault of it, also of the site's, is named at once."""
    faults = []
    if isinstance(data, dict) and not isinstance(data.get("site_id"), str):
        faults.append("#/site_id: Give the site's domain" if "site_id" in data else "#/site_id: This key is required")
    try:
        asked = parse(data)
    except QueryError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, _sentence(QueryError(faults + error.faults))) from None
    if faults:
        raise _Refused(HTTPStatus.BAD_REQUEST, _sentence(QueryError(faults)))
    return asked


def _date_range(parameters: dict[str, str]) -> DateRange:
    """The period that `period` and `date` mean; every fault of the parameters is named at once."""
    known = ("site_id", "period", "date")
    faults = [f"#/{name}: Unknown parameter; known are {', '.join(known)}" for name in parameters if name not in known]
    if not parameters.get("site_id"):
        faults.append("#/site_id: This parameter is required: give the site's domain")
    period, dates = parameters.get("period", explained.USUAL), parameters.get("date", "")
    date_range: DateRange = period
    if period == "custom" or (period == "day" and dates):
        first, _, last = dates.partition(",")
        custom = [first, last if period == "custom" else first]
        try:
            date_range = parse({"metrics": ["events"], "date_range": custom}).date_range
        except QueryError as error:
            faults += [fault.replace("#/date_range", "#/date", 1) for fault in error.faults]
        else:
            if not isinstance(date_range, Dates):
                faults.append("#/date: Give dates such as 2026-01-31, without a time of day")
    elif not periods.is_name(period):
        names = ", ".join(periods.NAMES)
        faults.append(f'#/period: Invalid period "{period[:100]}": give one of {names}, custom, <n>d or <n>mo')
    elif dates:
        faults.append("#/date: Only the periods day and custom take a date")
    if faults:
        raise _Refused(HTTPStatus.BAD_REQUEST, _sentence(QueryError(faults)))
    return date_range


def _site(key: ApiKey, domain: str) -> Site:
    try:
        return access.readable(key.user, normalise(domain))
    except (Http404, ValueError):
        raise _Refused(HTTPStatus.UNAUTHORIZED, NO_ACCESS, **{"WWW-Authenticate": "Bearer"}) from None


def _sentence(error: QueryError) -> str:
    return "; ".join(error.faults)


def written(domain: str, zone: ZoneInfo, asked: Query, answer: Answer) -> dict[str, Any]:
    """The answer as JSON."""
    meta: dict[str, Any] = {}
    if asked.include.imports:
        meta["imports_included"] = False
    if asked.include.time_labels:
        meta["time_labels"] = answer.labels
    if asked.include.total_rows:
        meta["total_rows"] = answer.total_rows
    results = [_row(asked, row) for row in answer.rows]
    return {"results": results, "meta": meta, "query": _understood(domain, zone, asked, answer)}


def _row(asked: Query, row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": list(row.metrics), "dimensions": list(row.dimensions)}
    if asked.include.comparisons is not None:
        other = row.comparison
        result["comparison"] = other and {
            "metrics": list(other.metrics),
            "dimensions": list(other.dimensions),
            "change": [
                metrics.change(name, now, before)
                for name, now, before in zip(asked.metrics, row.metrics, other.metrics, strict=True)
            ],
        }
    return result


def _understood(domain: str, zone: ZoneInfo, asked: Query, answer: Answer) -> dict[str, Any]:
    include: dict[str, Any] = {
        name: True for name in ("imports", "time_labels", "total_rows") if getattr(asked.include, name)
    }
    if asked.include.comparisons is not None and answer.comparison is not None:
        comparisons: dict[str, Any] = {
            "mode": asked.include.comparisons.mode,
            "date_range": _ends(zone, answer.comparison.period),
        }
        if asked.include.comparisons.match_day_of_week:
            comparisons["match_day_of_week"] = True
        include["comparisons"] = comparisons
    return {
        "site_id": domain,
        "metrics": list(asked.metrics),
        "date_range": _ends(zone, answer.period),
        "filters": [filters.written(tree) for tree in asked.filters],
        "dimensions": list(asked.dimensions),
        "order_by": [list(key) for key in statement.order(asked)],
        "include": include,
        "pagination": {"limit": asked.limit, "offset": asked.offset},
    }


def _ends(zone: ZoneInfo, period: tuple[int, int]) -> list[str]:
    """Both ends, the last one included: read back, they mean the same period."""
    start, end = period
    return [periods.iso(zone, start), periods.iso(zone, end - 1000 if end % 1000 == 0 else end - 1)]


def _written_ledger(zone: ZoneInfo, counted: Ledger) -> dict[str, Any]:
    return {
        "accepted": counted.accepted,
        "refused": counted.refused,
        "reasons": [
            {
                "reason": reason.name,
                "title": explained.title(reason.name),
                "count": reason.count,
                "details": [{"detail": detail, "count": count} for detail, count in reason.details],
            }
            for reason in counted.reasons
        ],
        "period": _ends(zone, (counted.period.start_ms, counted.period.end_ms)),
        "interval": counted.interval,
        "series": [
            {"time": bucket.label.replace(" ", "T"), "accepted": bucket.accepted, "refused": bucket.refused}
            for bucket in counted.buckets
        ],
    }
