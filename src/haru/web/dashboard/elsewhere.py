"""When a period has no visits: where the nearest are, such as those of an imported log of years ago."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import Query
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import Period
from haru.web.dashboard.state import CUSTOM, State


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A month that has visits."""

    month: date  # its first day
    oldest: bool  # the period is before the first visit; else the month is that of the newest
    address: str


def elsewhere(
    reports: Reports, site: StatsSite, state: State, period: Period, first_event: int | None, now_ms: int
) -> Elsewhere | None:
    """The first month with visits for a period before it, else the last one; None when there is none."""
    if first_event is None:
        return None
    before = period.end_ms <= first_event
    if before:
        month = periods.wall(ZoneInfo(site.timezone), first_event).date().replace(day=1)
    else:
        newest = Query(("visitors",), "all", ("time:month",), order_by=(("time:month", "desc"),), limit=1)
        rows = reports.answer(site, newest, now_ms).rows
        if not rows:
            return None
        month = datetime.fromisoformat(str(rows[0].dimensions[0])).date().replace(day=1)
    last = month.replace(day=monthrange(month.year, month.month)[1])
    return Elsewhere(month, before, state.address(period=CUSTOM, first=month, last=last, interval=""))
