"""The older reads, as in Plausible's Stats API v1: current visitors, totals, over time, broken down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from haru.accounts.models import Scope
from haru.sites.goals import stats_site
from haru.sites.models import Site
from haru.stats import metrics
from haru.stats.metrics import METRICS
from haru.stats.query import Include, Query, QueryError
from haru.stats.report import Answer
from haru.web import plane
from haru.web.api import legacy
from haru.web.api.door import Call, Faulty, Method, route, texts


def current_visitors(call: Call) -> int:
    """How many visitors are on the site now: the answer is a number and nothing else."""
    values, faults = texts(call.parameters, ("site_id",))
    if faults:
        raise Faulty(faults)
    site = call.site(values["site_id"])
    return plane.get().live.current_visitors(site.pk, call.now_ms)


def totals(call: Call) -> dict[str, Any]:
    """Each metric of a period, and how it changed when `compare` is given."""
    asked = legacy.read(call.parameters, ("compare",))
    site = call.site(asked.site_id)
    query = asked.in_zone(ZoneInfo(site.timezone))
    (row,) = _answer(call, site, query).rows
    results: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(query.metrics):
        results[name] = {"value": row.metrics[index]}
        if row.comparison is not None:
            before = row.comparison.metrics[index]
            results[name] |= {"comparison_value": before, "change": metrics.change(name, row.metrics[index], before)}
    return {"results": results}


def over_time(call: Call) -> dict[str, Any]:
    """Each metric in each bucket of a period, those included in which nothing happened."""
    asked = legacy.read(call.parameters, ("interval",))
    site = call.site(asked.site_id)
    query = asked.in_zone(ZoneInfo(site.timezone))
    query = replace(query, dimensions=(legacy.unit(asked),), include=Include(time_labels=True))
    answer = _answer(call, site, query)
    found = {row.dimensions[0]: row.metrics for row in answer.rows}
    nothing = tuple(METRICS[name].nothing for name in query.metrics)
    return {
        "results": [
            {"date": label, **dict(zip(query.metrics, found.get(label, nothing), strict=True))}
            for label in answer.labels or []
        ]
    }


def broken_down(call: Call) -> dict[str, Any]:
    """Each metric for each value of a property, largest first."""
    asked = legacy.read(call.parameters, ("limit", "page"), ("property",))
    site = call.site(asked.site_id)
    query = asked.in_zone(ZoneInfo(site.timezone))
    name = legacy.label(query.dimensions[0])
    rows = _answer(call, site, query).rows
    return {
        "results": [{name: row.dimensions[0], **dict(zip(query.metrics, row.metrics, strict=True))} for row in rows]
    }


def _answer(call: Call, site: Site, query: Query) -> Answer:
    try:
        return plane.get().reports.answer(stats_site(site), query, call.now_ms)
    except QueryError as error:
        raise Faulty(error.faults) from None


_READ = (Scope.STATS_READ,)
realtime = route(GET=Method(current_visitors, _READ))
aggregate = route(GET=Method(totals, _READ))
timeseries = route(GET=Method(over_time, _READ))
breakdown = route(GET=Method(broken_down, _READ))
