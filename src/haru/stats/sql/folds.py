"""The tables of folded visits and of their pages, and what a question must know of them before it is asked.

A store that folds (`haru.store.protocol.Folding`) has two tables beside the events: `visit`, a row for each visit, and
`page`, a row for each page of a visit (`haru.store.duckdb.folding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Select,
    TableClause,
    and_,
    bindparam,
    column,
    func,
    null,
    or_,
    select,
    table,
    union_all,
)
from sqlalchemy.types import TypeEngine

from haru.events.event import Origin
from haru.events.visits import VISIT_GAP_MS
from haru.stats.sql.counters import E
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.periods import Period
from haru.store.protocol import FOLDED

_PAGES = ("entry_page", "exit_page", "entry_hostname", "exit_hostname")


def _table(name: str, own: dict[str, TypeEngine[Any]], shared: tuple[str, ...]) -> TableClause:
    """A table of folded rows: its own columns, those it shares with events, and what all such tables have."""
    return table(
        name,
        *(column(name, kind) for name, kind in own.items()),
        *(column(name, E[name].type) for name in ("site_id", "visitor_id", *shared)),
        *(column(name, BigInteger()) for name in ("pageviews", "events")),
        *(column(name, E.occurred_at.type) for name in ("first_at", "last_at", "since")),
    )


VISIT = _table(
    "visit",
    {
        **dict.fromkeys(("id", "bounced", "lasted_ms"), BigInteger()),
        **dict.fromkeys(_PAGES, E.path.type),
        "before": E.occurred_at.type,
        "seen": BigInteger(),
        **dict.fromkeys(("long", "alone"), Boolean()),
    },
    Origin.__struct_fields__,
)
PAGE = _table("page", {"again": Boolean()}, ("visit_id", "path"))
V = VISIT.c

LAST: BindParameter[int] = bindparam(FOLDED, 0, BigInteger())
UNFOLDED = E.id > LAST


@dataclass(frozen=True, slots=True)
class Folds:
    """What is known of the folded rows of a period."""

    last_id: int  # the last event that is folded: what is known is so as long as this is the last
    edges: tuple[Period, Period]  # the times in which the visits lie that cross the start and the end of the period
    reach: Period  # from the first to the last event of those, and the period itself
    settled: bool  # whether every event in reach is folded
    low_ms: int | None  # the least `since` of the visitors who have a visit that crosses the period's end
    long: bool  # whether there is a long visit
    over: bool  # whether there is one that crosses both ends


def _look() -> Select[Any]:
    site = bindparam("site", None, BigInteger())
    ends = [bindparam(name, None, E.occurred_at.type) for name in ("start", "end")]
    gaps = [bindparam(f"before_{name}", None, E.occurred_at.type) for name in ("start", "end")]
    late = select(E.visit_id, E.occurred_at).where(E.site_id == site, UNFOLDED).cte("late")
    # Between two events of a visit there is never more than the gap: one that crosses an instant has an event there.
    near = or_(*(and_(E.occurred_at >= gap, E.occurred_at < end) for gap, end in zip(gaps, ends, strict=True)))
    crossers = late.c.visit_id.in_(select(E.visit_id).where(E.site_id == site, near))
    at = late.c.occurred_at
    grown = select(late.c.visit_id, at.label("first_at"), at.label("last_at")).where(crossers).cte("grown")
    before = select(V.id, V.first_at, V.last_at).where(V.id.in_(select(grown.c.visit_id)))
    parts = union_all(select(grown.c.visit_id, grown.c.first_at, grown.c.last_at), before).subquery("parts").c
    whole = select(func.min(parts.first_at), func.max(parts.last_at), null()).group_by(parts.visit_id)
    kept = select(V.first_at, V.last_at, V.since).where(V.site_id == site)
    visits = union_all(*(kept.where(V.first_at < end, V.last_at >= end) for end in ends), whole).subquery("crossing").c
    crosses = [and_(visits.first_at < end, visits.last_at >= end) for end in ends]
    reached = [
        function(moment).filter(there)
        for there in crosses
        for function, moment in ((func.min, visits.first_at), (func.max, visits.last_at))
    ]
    long = select(V.id).where(V.site_id == site, V.first_at < ends[1], V.last_at >= ends[0], V.long).limit(1)
    found: list[Any] = [
        LAST,
        func.count().filter(*crosses),
        long.scalar_subquery(),
        *reached,
        func.min(visits.since).filter(crosses[1]),
        select(func.min(at)).scalar_subquery(),
        select(func.max(at)).scalar_subquery(),
    ]
    return select(*found)


# One row, from which `known` tells what is known.
LOOK = _look()


def parameters(site_id: int, period: Period) -> dict[str, int | datetime]:
    """What `LOOK` must be given."""
    ends = {"start": period.start_ms, "end": period.end_ms}
    gaps = {f"before_{name}": at_ms - VISIT_GAP_MS for name, at_ms in ends.items()}
    return {"site": site_id, **{name: periods.moment(at_ms) for name, at_ms in {**ends, **gaps}.items()}}


def known(period: Period, found: Sequence[Any]) -> Folds:
    """What the row that `LOOK` found says of the period."""
    last_id, over, long, *moments = found
    times = [None if moment is None else periods.milliseconds(moment) for moment in moments]
    low, first_late, last_late = times[4:]
    edges = _edge(period.start_ms, *times[:2]), _edge(period.end_ms, *times[2:4])
    reach = Period(min(edges[0].start_ms, period.start_ms), max(edges[1].end_ms, period.end_ms))
    # There may be none between the first and the last: then the answer takes longer and is the same.
    settled = first_late is None or last_late is None or last_late < reach.start_ms or first_late >= reach.end_ms
    return Folds(last_id, edges, reach, settled, low, long is not None, over > 0)


def _edge(at_ms: int, first: int | None, last: int | None) -> Period:
    return Period(at_ms, at_ms) if first is None or last is None else Period(first, last + 1)
