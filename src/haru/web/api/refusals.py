"""`GET /api/v1/refusals`: what was counted on a site, and what was not and why."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from haru.accounts.models import Scope
from haru.sites.goals import stats_site
from haru.stats.query import QueryError, parse
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import DateRange, Dates
from haru.web.api.endpoint import Call, Faulty, Method, route
from haru.web.api.query import ends
from haru.web.refusals import ledger
from haru.web.refusals import views as explained
from haru.web.refusals.ledger import Ledger


def answer(call: Call) -> dict[str, Any]:
    """The ledger of a site in a period; the key is in the `Authorization` header."""
    date_range = _date_range(call.parameters)
    site = call.site(call.parameters["site_id"])
    measured = stats_site(site)
    counted = ledger.read(measured, ledger.find(measured, date_range, call.now_ms), "", call.now_ms)
    return _written_ledger(ZoneInfo(site.timezone), counted)


refusals = route(GET=Method(answer, (Scope.STATS_READ,)))


def _date_range(parameters: dict[str, str]) -> DateRange:
    """The period that `period` and `date` mean; every fault of the parameters is named at once."""
    known = ("site_id", "period", "date")
    faults = [f"#/{name}: Unknown parameter; known are {', '.join(known)}" for name in parameters if name not in known]
    if not parameters.get("site_id"):
        faults.append("#/site_id: This parameter is required: give the site's domain")
    period, dates = parameters.get("period", explained.DEFAULT), parameters.get("date", "")
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
        raise Faulty(faults)
    return date_range


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
        "period": ends(zone, (counted.period.start_ms, counted.period.end_ms)),
        "interval": counted.interval,
        "series": [
            {"time": bucket.label.replace(" ", "T"), "accepted": bucket.accepted, "refused": bucket.refused}
            for bucket in counted.buckets
        ],
    }
