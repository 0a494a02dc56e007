"""Sums of the refusal ledger over a period, beside what was counted.

Refusals are counted by UTC hour; what was counted instead is the metric `events`, asked through stats.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from haru.clock import HOUR_MS, hour_of
from haru.events.ledger import RefusalCount
from haru.stats.plan import StatsSite
from haru.stats.query import Include, Query
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import DateRange, Instants, Period
from haru.web.project import services


@dataclass(frozen=True, slots=True)
class Reason:
    """How often a site refused for one reason."""

    name: str  # a `Refusal`; another when a later version wrote the ledger
    count: int
    details: tuple[tuple[str, int], ...]  # largest first; what has no detail is not among them


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time."""

    label: str  # as stats labels it
    accepted: int
    refused: dict[str, int]  # by reason, those that occurred


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was counted and what was not in a period."""

    period: Period
    interval: str  # hour, day, week or month
    reasons: tuple[Reason, ...]  # largest first
    buckets: tuple[Bucket, ...]  # in order, up to that of now
    coming: tuple[str, ...]  # labels of the buckets after it

    @property
    def accepted(self) -> int:
        """Events that were counted."""
        return sum(bucket.accepted for bucket in self.buckets)

    @property
    def refused(self) -> int:
        """Requests that were not."""
        return sum(reason.count for reason in self.reasons)

    def of(self, name: str) -> Reason:
        """A reason, also one that did not occur."""
        return next((reason for reason in self.reasons if reason.name == name), Reason(name, 0, ()))


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """The ledger of a site for a period."""

    period: Period
    refusals: list[RefusalCount]


def find(site: StatsSite, range_: DateRange, now_ms: int) -> PeriodCounts:
    """Read the ledger. Raises `StoreUnavailable`.

    A period that is not made of whole days is widened to whole UTC hours, because the ledger knows no shorter time.
    All time begins with the first event or the first refusal. Any hour belongs to where it begins.
    """
    zone, refusal_counts = ZoneInfo(site.timezone), services.get().refusal_counts
    if range_ == "all":
        found = refusal_counts(site.id, 0, now_ms + 1)
        first = services.get().reports.first_event(site.id, now_ms)
        begun = min((refusal.hour for refusal in found), default=now_ms)
        period = periods.resolve("all", zone, now_ms, lambda: begun if first is None else min(first, begun))
        return PeriodCounts(period, [refusal for refusal in found if refusal.hour in period])
    period = periods.resolve(range_, zone, now_ms, lambda: None)
    if period.days is None:
        period = Period(hour_of(period.start_ms), hour_of(period.end_ms - 1) + HOUR_MS)
    return PeriodCounts(period, refusal_counts(site.id, period.start_ms, period.end_ms))


def read(site: StatsSite, found: PeriodCounts, interval: str, now_ms: int) -> Ledger:
    """The ledger by `interval` ("": what suits the period), beside what was counted. Raises `StoreUnavailable`."""
    zone = ZoneInfo(site.timezone)
    range_ = _exact(found.period)
    unit = interval or periods.interval(range_, found.period, zone)
    query = Query(("events",), range_, (f"time:{unit}",), include=Include(time_labels=True))
    answer = services.get().reports.answer(site, query, now_ms)
    accepted = {str(row.dimensions[0]): int(row.metrics[0]) for row in answer.rows}
    counts = _summed(zone, found, unit)
    refused: dict[str, Counter[str]] = {}
    for (label, reason, _), count in counts.items():
        refused.setdefault(label, Counter())[reason] += count
    labels = answer.labels or []
    now = _label(periods.wall(zone, now_ms), unit, periods.wall(zone, found.period.start_ms))
    buckets = [Bucket(label, accepted.get(label, 0), dict(refused.get(label, {}))) for label in labels if label <= now]
    return Ledger(found.period, unit, _reasons(counts), tuple(buckets), tuple(labels[len(buckets) :]))


def _summed(zone: ZoneInfo, found: PeriodCounts, unit: str) -> dict[tuple[str, str, str], int]:
    """(label of the bucket, reason, detail) → requests. A year may have hundreds of thousands of refusals: one pass."""
    first = periods.wall(zone, found.period.start_ms)
    hours = {refusal.hour for refusal in found.refusals}
    called = {
        hour: _label(periods.moment(hour + stretch.offset_ms), unit, first)
        for stretch in periods.stretches(zone, found.period)
        for hour in hours
        if stretch.start_ms <= hour < stretch.end_ms
    }
    counts: dict[tuple[str, str, str], int] = {}
    for refusal in found.refusals:
        key = (called[refusal.hour], refusal.reason, refusal.detail)
        counts[key] = counts.get(key, 0) + refusal.count
    return counts


def _label(local: datetime, unit: str, first: datetime) -> str:
    """How stats calls the bucket of what the zone's clocks show; `first` is what they show at the period's start."""
    return periods.label(periods.floor(local, unit), unit, first)


def _exact(period: Period) -> DateRange:
    """The period as a question names it that means just this one."""
    return period.days or Instants(period.start_ms, period.end_ms - 1)


def _reasons(counts: dict[tuple[str, str, str], int]) -> tuple[Reason, ...]:
    reasons: Counter[str] = Counter()
    details: dict[str, Counter[str]] = {}
    for (_, reason, detail), count in counts.items():
        reasons[reason] += count
        if detail:
            details.setdefault(reason, Counter())[detail] += count
    return tuple(
        Reason(name, count, tuple(_largest_first(details.get(name, Counter()))))
        for name, count in _largest_first(reasons)
    )


def _largest_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
