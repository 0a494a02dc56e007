"""What the store counts: of events, of visits, and the facts of a visit, in SQL: one entry each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, column, distinct, func, literal, table
from sqlalchemy.types import BigInteger, Boolean, DateTime, SmallInteger, String, TypeEngine

from haru.events.columns import COLUMNS
from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.stats.sql.functions import FirstBy, LastBy, Milliseconds
from haru.stats.sql.payload import Amount

Expression = ColumnElement[Any]

_TYPES: dict[str, TypeEngine[Any]] = {
    "BIGINT": BigInteger(),
    "SMALLINT": SmallInteger(),
    "VARCHAR": String(),
    "TIMESTAMP": DateTime(),
    "BOOLEAN": Boolean(),
}
EVENT = table("event", *(column(name, _TYPES[kind]) for name, kind in COLUMNS))
E = EVENT.c

# One parameter each, however often it is used: so an engine sees which expressions are the same.
_VIEW, _ENGAGED = literal(PAGEVIEW), literal(ENGAGEMENT)
_PAGEVIEW = E.name == _VIEW
_LASTING = E.name != _ENGAGED
_CUSTOM = and_(E.name != _VIEW, E.name != _ENGAGED)
_READING = E.name == _ENGAGED
_SCROLLED = and_(_READING, E.scroll_depth >= 0)
_PAID = E.revenue_amount != ""


def _count(*conditions: Expression) -> Expression:
    return func.count().filter(and_(*conditions)) if conditions else func.count()


def _engaged(*conditions: Expression) -> Expression:
    return func.sum(E.engaged_ms).filter(and_(*conditions))


def _deepest(*conditions: Expression) -> Expression:
    return func.max(E.scroll_depth).filter(and_(*conditions))


def _revenue(*conditions: Expression) -> Expression:
    return func.sum(Amount(E.revenue_amount)).filter(and_(*conditions))


def _any_of(number: Expression) -> Expression:
    return func.count().filter(number > 0)


@dataclass(frozen=True, slots=True)
class Counter:
    """A number of things that happened inside the period."""

    meaning: str
    of_events: Callable[[], Expression] | None  # over events; None: each visit must be looked at first
    of_visits: Callable[[Any], Expression]  # over rows of visits, which hold their own number under the counter's name
    part: tuple[Expression, ...] = ()  # what an event must be to count; empty: the visit's row needs no such number
    of_visit: Callable[..., Expression] = _count  # over those events of one visit that all these conditions hold for


@dataclass(frozen=True, slots=True)
class VisitCounter:
    """A number summed over visits, whole ones."""

    meaning: str
    fact: str = ""  # what is summed; empty: 1 for each visit
    judged: bool = False  # under a top-level filter on event:page only visits that entered on a page it accepts
    page: str = "entry_page"  # which of a visit's pages a row for a page speaks of


@dataclass(frozen=True, slots=True)
class Fact:
    """What all events of a visit tell together."""

    meaning: str
    of_events: Callable[[], Expression]  # over all events of the visit
    text: Expression | None = None  # where a text among all its values comes from


COUNTERS = {
    "visitors": Counter(
        "distinct visitors",
        lambda: func.count(distinct(E.visitor_id)),
        lambda rows: func.count(distinct(rows.visitor_id)),
    ),
    "visits": Counter("distinct visits", lambda: func.count(distinct(E.visit_id)), lambda rows: func.count()),
    "pageviews": Counter(
        "events named pageview",
        lambda: func.count().filter(_PAGEVIEW),
        lambda rows: func.sum(rows.pageviews),
        (_PAGEVIEW,),
    ),
    "events": Counter(
        "events other than engagement",
        lambda: func.count().filter(_LASTING),
        lambda rows: func.sum(rows.events),
        (_LASTING,),
    ),
    "engaged_ms": Counter(
        "engaged milliseconds",
        lambda: _engaged(_READING),
        lambda rows: func.sum(rows.engaged_ms),
        (_READING,),
        _engaged,
    ),
    "engaged_visits": Counter(
        "visits with an engagement event",
        lambda: func.count(distinct(E.visit_id)).filter(_READING),
        lambda rows: _any_of(rows.engaged_visits),
        (_READING,),
    ),
    "deepest": Counter(
        "deepest scroll of each visit, per cent, summed",
        None,
        lambda rows: func.sum(case((rows.scrolled_visits > 0, rows.deepest), else_=0)),
        (_SCROLLED,),
        _deepest,
    ),
    "scrolled_visits": Counter(
        "visits with a scroll that is known",
        lambda: func.count(distinct(E.visit_id)).filter(_SCROLLED),
        lambda rows: _any_of(rows.scrolled_visits),
        (_SCROLLED,),
    ),
    "revenue": Counter(
        "amounts of revenue, summed: by currency",
        lambda: _revenue(_PAID),
        lambda rows: func.sum(rows.revenue),
        (_PAID,),
        _revenue,
    ),
    "payments": Counter(
        "events with revenue: by currency",
        lambda: _count(_PAID),
        lambda rows: func.sum(rows.payments),
        (_PAID,),
    ),
}

VISIT_COUNTERS = {
    "whole_visits": VisitCounter("visits whose facts count"),
    "viewed": VisitCounter("their pageviews", "viewed"),
    "lasted_ms": VisitCounter("their duration", "lasted_ms"),
    "judged": VisitCounter("visits that may have bounced", judged=True),
    "bounced": VisitCounter("visits that bounced", "bounced", judged=True),
    "exited": VisitCounter("visits that ended on the page", page="exit_page"),
}


def _lasted() -> Expression:
    lasting = case((_LASTING, E.occurred_at))
    return func.coalesce(Milliseconds(func.min(lasting), func.max(lasting)), 0)


def _of_pageview(kind: type[FirstBy], text: Expression) -> Callable[[], Expression]:
    return lambda: func.coalesce(kind(text, E.occurred_at, E.id).filter(_PAGEVIEW), "")


FACTS = {
    "viewed": Fact("number of pageviews", lambda: _count(_PAGEVIEW)),
    "bounced": Fact(
        "1 with at most one pageview and no interactive custom event, else 0",
        lambda: case((and_(_count(_PAGEVIEW) < 2, _count(and_(_CUSTOM, E.interactive)) == 0), 1), else_=0),
    ),
    "lasted_ms": Fact("ms from the first event to the last, engagement aside", _lasted),
    "entry_page": Fact("path of the first pageview", _of_pageview(FirstBy, E.path), E.path),
    "exit_page": Fact("path of the last pageview", _of_pageview(LastBy, E.path), E.path),
    "entry_hostname": Fact("host name of the first pageview", _of_pageview(FirstBy, E.hostname), E.hostname),
    "exit_hostname": Fact("host name of the last pageview", _of_pageview(LastBy, E.hostname), E.hostname),
}
