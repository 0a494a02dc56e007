"""What a plan knows of a query, and the key under which a statement is kept for the plans of its shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from haru.stats.plan import ALL_ROWS, Plan, StatsSite, make, plan_for
from haru.stats.query import QueryError, parse
from haru.stats.sql import folded, statement
from haru.stats.sql.folds import Folds
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.goals import Goal
from haru.stats.vocabulary.periods import Period
from haru.store.clickhouse import sql as clickhouse
from haru.store.duckdb import store as duckdb
from haru.store.postgres import store as postgres
from tests.rounds import examples
from tests.stats.drawn import GOALS, ODD, queries
from tests.stats.made import DAY, HOUR, ms

ENGINES = (duckdb._COMPILING, postgres._COMPILING, clickhouse._COMPILING)


@dataclass(frozen=True)
class Circumstances:
    """All that a statement depends on beside its query."""

    zone: str
    start_ms: int
    lasts_ms: int
    unit: str
    reaches: bool  # whether visits cross the ends of the period
    folds: bool
    settled: bool
    long: bool
    over: bool
    low: bool
    edges: tuple[bool, bool]
    site_id: int
    accepted: frozenset[str]  # the values that a filter accepts which Python decides
    goals: tuple[Goal, ...]
    paths: frozenset[str]  # those that reach a goal whose page is a pattern


BOOLEANS = st.booleans()
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "zone": st.sampled_from(sorted({zone for zone, _ in ODD})),
    "start_ms": st.sampled_from([ms(at) // DAY * DAY + shift for _, at in ODD for shift in (0, HOUR, -3 * DAY)]),
    "lasts_ms": st.sampled_from([DAY, DAY + 1, 3 * DAY, 60 * DAY]),
    "unit": st.sampled_from(["hour", "day", "week", "month"]),
    **dict.fromkeys(("reaches", "folds", "settled", "long", "over", "low"), BOOLEANS),
    "edges": st.tuples(BOOLEANS, BOOLEANS),
    "site_id": st.integers(1, 3),
    "accepted": st.frozensets(st.sampled_from(["", "a", "b"])),
    "goals": st.sampled_from([(), tuple(GOALS[:1]), tuple(GOALS[:5])]),
    "paths": st.frozensets(st.sampled_from(["/", "/a"])),
}


def planned(query: dict[str, Any], around: Circumstances) -> Plan:
    """The plan of such circumstances, from folded rows where they hold what is asked."""
    period = Period(around.start_ms, around.start_ms + around.lasts_ms)
    reach = Period(period.start_ms - HOUR, period.end_ms + HOUR) if around.reaches else period
    site = StatsSite(around.site_id, around.zone, around.goals)
    asked = plan_for(site, parse(query), ZoneInfo(around.zone), period, period, around.unit)
    values = {leaf: around.accepted for leaf in asked.leaves if leaf.by_value}
    paths = {goal: around.paths for goal in around.goals if goal.by_path}
    if not around.folds or not folded.holds(asked):
        return asked.resolve(reach, values, paths)
    start, end = (
        Period(at - crossed * HOUR, at + crossed * HOUR)
        for at, crossed in zip((period.start_ms, period.end_ms), around.edges, strict=True)
    )
    low = period.start_ms - DAY if around.low else None
    folds = Folds(7, (start, end), reach, around.settled, low, around.long, around.over)
    return asked.resolve(reach, values, paths, folds)


def made(asked: Plan) -> list[tuple[str, Any, Any]]:
    """The statement of each engine, and what it is given that does not come from the plan at hand."""
    built = statement.build(asked, None if asked.folds is None else folded.groups(asked))
    texts = [engine.compiled(built) for engine in ENGINES]
    given = {*asked.parameters, "folded"}
    return [
        (text.string, text.positiontup, {name: value for name, value in text.params.items() if name not in given})
        for text in texts
    ]


def mixtures(query: dict[str, Any], other: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The query with one thing as another has it, where that makes sense."""
    for key in sorted({*query, *other} - {"date_range"}):
        mixed = {name: value for name, value in {**query, key: other.get(key)}.items() if value is not None}
        with contextlib.suppress(QueryError):
            parse(mixed)
            yield mixed


@examples(12, 400, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(st.data())
def test_questions_of_one_key_have_one_statement(data: st.DataObject) -> None:
    """Of two that are alike but for one thing, either the key or nothing of the statement tells which is which."""
    now = ms("2026-05-20 12:00")
    query = data.draw(queries(now, GOALS))
    around = Circumstances(**{name: data.draw(values, label=name) for name, values in VALUES.items()})
    others = [(query, replace(around, **{name: data.draw(values)})) for name, values in VALUES.items()]
    another = data.draw(queries(now, GOALS))
    others += [(mixed, around) for mixed in mixtures(query, another)]
    plans = [planned(*each) for each in [(query, around), *others]]
    whole = ((plan, plan.about(replace(plan.query, limit=ALL_ROWS))) for plan in plans)
    plans += [other.resolve(plan.reach, plan.values, plan.paths, plan.folds) for plan, other in whole]
    known: dict[Any, Any] = {}
    for plan in [*plans, *(plan.paid() for plan in plans)]:
        if plan.shape is not None:
            text = made(plan)
            assert known.setdefault(plan.shape, text) == text


NOW = ms("2026-05-20 12:00")
BERLIN = StatsSite(4, "Europe/Berlin", (Goal("Sign up", event="signup"),))


def planned_now(**keys: Any) -> Plan:
    return make(BERLIN, parse({"metrics": ["visitors"], "date_range": "day", **keys}), NOW, lambda: NOW - 3 * DAY)


def test_the_period_is_that_of_the_sites_zone_and_the_unit_is_what_suits_it() -> None:
    plan = planned_now()
    assert (plan.period.start_ms, plan.period.end_ms) == (ms("2026-05-19 22:00"), ms("2026-05-20 22:00"))
    assert (plan.unit, plan.reach, plan.stretches) == ("hour", plan.period, ())
    assert planned_now(date_range="all").period.start_ms == ms("2026-05-16 22:00")
    assert planned_now(date_range="30d").unit == "day"


def test_what_is_counted_by_other_statements_is_told_apart() -> None:
    plan = planned_now(metrics=["percentage", "total_revenue", "bounce_rate"], dimensions=["visit:source"])
    assert plan.counters == ("visitors", "events", "bounced", "judged")
    assert plan.others == ("all_visitors", "revenue")
    assert plan.paid().counters == ("revenue", "payments")
    assert not plan.paid().paged


def test_a_plan_that_is_compared_asks_for_every_row_of_both_periods() -> None:
    include = {"comparisons": {"mode": "previous_period", "to_now": True}}
    plan = planned_now(dimensions=["time"], include=include, pagination={"limit": 2})
    whole, other = plan.pair(NOW)
    assert (plan.paged, whole.paged, other.paged) == (True, False, False)
    assert (whole.period, whole.query.include.time_labels) == (plan.period, True)
    assert (other.period.start_ms, other.period.end_ms) == (ms("2026-05-18 22:00"), NOW - DAY + 1)
    assert other.name != whole.name


def test_a_goal_that_the_site_does_not_have_is_a_fault() -> None:
    with pytest.raises(QueryError, match='no goal "Other"; it has "Sign up"'):
        planned_now(filters=[["is", "event:goal", ["Other"]]])


def test_what_the_store_told_is_among_the_parameters_and_in_the_shape() -> None:
    plan = planned_now()
    reach = Period(plan.period.start_ms - HOUR, plan.period.end_ms)
    within, reaching = plan.resolve(plan.period, {}, {}), plan.resolve(reach, {}, {})
    assert within.shape != reaching.shape
    assert reaching.parameters["site"] == 4
    assert reaching.parameters["reach_start"] == periods.moment(reach.start_ms)
    assert planned_now(filters=[["is", "event:goal", ["Sign up"]]]).resolve(reach, {}, {}).shape is None
