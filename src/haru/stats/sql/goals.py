"""Goals in SQL: which events reach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, String, and_, cast, false, literal, or_, select, union_all

from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.stats.sql.counters import E
from haru.stats.vocabulary.goals import Goal

Expression = ColumnElement[Any]
# For each goal whose page is a pattern: the stored paths that reach it.
Paths = Mapping[Goal, frozenset[str]]


def reaches(goal: Goal, paths: Paths) -> Expression:
    """Whether an event reaches a goal: a custom event by its name, a pageview by its path, and an engagement event by
    path and depth of scroll. A visit holds one that is deep enough when its deepest scroll there is.
    """
    if goal.event:
        return E.name == goal.event
    there = _is_on(goal, paths)
    if goal.scroll is None:
        return and_(E.name == PAGEVIEW, there)
    return and_(E.name == ENGAGEMENT, E.scroll_depth >= goal.scroll, there)


def _is_on(goal: Goal, paths: Paths) -> Expression:
    if not goal.by_path:
        return E.path == goal.page
    found = sorted(paths[goal])
    return E.path.in_(found) if found else false()


def reached(goals: Sequence[Goal]) -> FromClause:
    """A row for each of these goals, with its name in the column `goal`."""
    names: list[Select[Any]] = [select(cast(literal(goal.name), String).label("goal")) for goal in goals]
    if not names:
        names = [select(cast(literal(""), String).label("goal")).where(false())]
    rows = union_all(*names) if len(names) > 1 else names[0]
    return rows.subquery("reached")


def reaching(goals: Sequence[Goal], paths: Paths, goal: Expression) -> list[Expression]:
    """Conditions on pairs of an event and a goal: the event reaches it."""
    of_events = [(known, reaches(known, paths)) for known in goals]
    # The first is about events alone: most of them reach nothing and are paired with nothing.
    return [
        or_(false(), *(condition for _, condition in of_events)),
        or_(false(), *(and_(goal == known.name, condition) for known, condition in of_events)),
    ]
