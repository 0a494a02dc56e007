"""`POST /api/v2/query`: the query as JSON, answered as JSON."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from haru.accounts.models import Scope
from haru.sites.access import Person
from haru.sites.goals import stats_site
from haru.sites.models import Site
from haru.sites.segments import known_to
from haru.stats import bounds, explain
from haru.stats.answers import Answer, Row
from haru.stats.plan import order
from haru.stats.query import Query, QueryError, parse
from haru.stats.vocabulary import filters, periods
from haru.web.api.cells import Cells
from haru.web.api.endpoint import Call, Faulty, Method, answer_too_large, route
from haru.web.project import services


def answer(call: Call) -> dict[str, Any]:
    """Answer a query, with the key in the `Authorization` header and JSON in the body."""
    site, query = _read(call)
    try:
        found = services.get().reports.answer(stats_site(site), query, call.now_ms)
    except QueryError as error:
        raise Faulty(error.faults) from None
    return written(site.domain, ZoneInfo(site.timezone), query, found)


def explanation(call: Call) -> dict[str, Any]:
    """How the answer to a query comes about: what each metric means, and what the store was asked."""
    site, query = _read(call)
    try:
        return explain.explain(services.get().reports, stats_site(site), query, call.now_ms)
    except QueryError as error:
        raise Faulty(error.faults) from None


def _read(call: Call) -> tuple[Site, Query]:
    data = call.json(bounds.MAX_BYTES)
    query = _parse(data, call.key.user)
    return call.site(data["site_id"]), query


def _parse(data: Any, user: Person) -> Query:
    """The query; every fault of it, also of the site's, is named at once."""
    faults = []
    if isinstance(data, dict) and not isinstance(data.get("site_id"), str):
        faults.append("#/site_id: Give the site's domain" if "site_id" in data else "#/site_id: This key is required")
    try:
        query = parse(data, segments=known_to(user, data.get("site_id") if isinstance(data, dict) else None))
    except QueryError as error:
        raise Faulty(faults + error.faults) from None
    if faults:
        raise Faulty(faults)
    return query


query = route(POST=Method(answer, (Scope.STATS_READ,)))
explained = route(POST=Method(explanation, (Scope.STATS_READ,)))


def written(domain: str, zone: ZoneInfo, query: Query, answer: Answer) -> dict[str, Any]:
    """The answer as JSON. Raises `Refused` for one that is too large, before it is written as a whole."""
    if sum(len(str(value)) for row in answer.rows for value in row.dimensions) > bounds.MAX_ANSWER:
        raise answer_too_large()
    meta: dict[str, Any] = {}
    if query.include.imports:
        meta["imports_included"] = False
    if query.include.time_labels:
        meta["time_labels"] = answer.labels
    if query.include.total_rows:
        meta["total_rows"] = answer.total_rows
    cells = Cells(answer.rows)
    results = [_row(query, row, cells) for row in answer.rows]
    return {"results": results, "meta": meta, "query": _understood(domain, zone, query, answer)}


def _row(query: Query, row: Row, cells: Cells) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": _values(query, row, cells), "dimensions": list(row.dimensions)}
    if query.include.comparisons is not None:
        other = row.comparison
        result["comparison"] = other and {
            "metrics": _values(query, other, cells),
            "dimensions": list(other.dimensions),
            "change": [
                cells.change(name, now, before)
                for name, now, before in zip(query.metrics, row.metrics, other.metrics, strict=True)
            ],
        }
    return result


def _values(query: Query, row: Row, cells: Cells) -> list[Any]:
    return [cells.value(name, value) for name, value in zip(query.metrics, row.metrics, strict=True)]


def _understood(domain: str, zone: ZoneInfo, query: Query, answer: Answer) -> dict[str, Any]:
    include: dict[str, Any] = {
        name: True for name in ("imports", "time_labels", "total_rows") if getattr(query.include, name)
    }
    if query.include.comparisons is not None and answer.comparison is not None:
        comparisons: dict[str, Any] = {
            "mode": query.include.comparisons.mode,
            "date_range": ends(zone, answer.comparison.period),
        }
        for name in ("match_day_of_week", "to_now"):
            if getattr(query.include.comparisons, name):
                comparisons[name] = True
        include["comparisons"] = comparisons
    return {
        "site_id": domain,
        "metrics": list(query.metrics),
        "date_range": ends(zone, answer.period),
        "filters": [filters.written(tree) for tree in query.filters],
        "dimensions": list(query.dimensions),
        "order_by": [list(key) for key in order(query)],
        "include": include,
        "pagination": {"limit": query.limit, "offset": query.offset},
    }


def ends(zone: ZoneInfo, period: tuple[int, int]) -> list[str]:
    """Both ends, the last one included: read back, they mean the same period."""
    start, end = period
    # An end in whole seconds means all of its last second.
    last = periods.iso(zone, end - 1, exact=True) if end % 1000 else periods.iso(zone, end - 1000)
    return [periods.iso(zone, start), last]
