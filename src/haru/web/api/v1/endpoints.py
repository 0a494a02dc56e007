"""The older reads, as in Plausible's Stats API v1: current visitors, totals, over time, broken down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from haru.accounts.models import Scope
from haru.sites.goals import stats_site
from haru.sites.models import Site
from haru.stats.answers import Answer
from haru.stats.query import Include, Query, QueryError
from haru.stats.vocabulary import metrics
from haru.web.api.cells import Cells
from haru.web.api.endpoint import Call, Faulty, Method, route, texts
from haru.web.api.v1 import parameters
from haru.web.project import services

# What is null in a bucket without visits: clients skip it there, and would take a 0 for a number.
_GAPS = {"bounce_rate", "visit_duration"}


def current_visitors(call: Call) -> int:
    """How many visitors are on the site now: the answer is a number and nothing else."""
    values, faults = texts(call.parameters, ("site_id",))
    if faults:
        raise Faulty(faults)
    site = call.site(values["site_id"])
    return services.get().live.visitors.count(site.pk, call.now_ms)


def totals(call: Call) -> dict[str, Any]:
    """Each metric of a period, and how it changed when `compare` is given."""
    request = parameters.read(call.parameters, ("compare",))
    site = call.site(request.site_id)
    query = request.dated
    (row,) = _answer(call, site, query).rows
    cells = Cells([row])
    results: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(query.metrics):
        value = row.metrics[index]
        results[name] = {"value": cells.value(name, value)}
        if row.comparison is not None:
            before = row.comparison.metrics[index]
            change = cells.change(name, value, before)
            results[name] |= {"comparison_value": cells.value(name, before), "change": change}
    return {"results": results}


def over_time(call: Call) -> dict[str, Any]:
    """Each metric in each bucket of a period, those included in which nothing happened."""
    request = parameters.read(call.parameters, ("interval",))
    site = call.site(request.site_id)
    query = request.dated
    query = replace(query, dimensions=(parameters.unit(request),), include=Include(time_labels=True))
    answer = _answer(call, site, query)
    found = {row.dimensions[0]: row.metrics for row in answer.rows}
    nothing = tuple(metrics.nothing(name) for name in query.metrics)
    cells = Cells(answer.rows)
    return {
        "results": [
            {"date": label, **_written(query, found.get(label, nothing), cells, gaps=_GAPS)}
            for label in answer.labels or []
        ]
    }


def broken_down(call: Call) -> dict[str, Any]:
    """Each metric for each value of a property, largest first."""
    request = parameters.read(call.parameters, ("limit", "page"), ("property",))
    site = call.site(request.site_id)
    query = request.dated
    name = parameters.label(query.dimensions[0])
    rows = _answer(call, site, query).rows
    cells = Cells(rows)
    return {"results": [{name: row.dimensions[0], **_written(query, row.metrics, cells)} for row in rows]}


def _written(
    query: Query, values: tuple[metrics.Value, ...], cells: Cells, gaps: Collection[str] = ()
) -> dict[str, Any]:
    pairs = zip(query.metrics, values, strict=True)
    return {name: value if name in gaps else cells.value(name, value) for name, value in pairs}


def _answer(call: Call, site: Site, query: Query) -> Answer:
    try:
        return services.get().reports.answer(stats_site(site), query, call.now_ms)
    except QueryError as error:
        raise Faulty(error.faults) from None


_READ = (Scope.STATS_READ,)
realtime = route(GET=Method(current_visitors, _READ))
aggregate = route(GET=Method(totals, _READ))
timeseries = route(GET=Method(over_time, _READ))
breakdown = route(GET=Method(broken_down, _READ))
