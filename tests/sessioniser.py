"""Visits once more, by the rules of docs/metrics.md alone: every event of all time is looked at for every event.

Nothing here is shared with `haru.events.visits`: no window, no memory that forgets, no span kept beside the events. The
tests hold the real one against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

THIRTY_MINUTES = 1_800_000  # ms


@dataclass(frozen=True)
class Seen:
    """An event as far as it matters for visits."""

    id: int  # grows in the order of arrival
    site: int
    at: int  # ms since 1970 UTC
    visitor: int  # under the salt of its own day
    visitor_before: int  # under the salt of the day before; the same when there is none
    engagement: bool


@dataclass(frozen=True)
class Placed:
    """Where an event belongs."""

    event: Seen
    visit: int  # id of the event that opened the visit
    visitor: int  # of the visit: it stays what it was when the visit began


def sessionise(events: Iterable[Seen]) -> list[Placed | None]:
    """The place of each event, in the order of arrival; None for an engagement that no visit takes.

    1. An event belongs to a visit of its visitor and site when its moment lies between half an hour before the visit's
       first event and half an hour after its last, both ends included. Which kind an event is does not matter here.
    2. Of several such visits it takes the one whose last event is latest, then the one that began to arrive last. It
       takes one: visits are never merged.
    3. When there is none it opens one, unless it is an engagement.
    4. The visitor is known by two ids, today's and yesterday's. A visit keeps the id that it was opened under.
    """
    answers: list[Placed | None] = []
    for event in events:
        placed = [answer for answer in answers if answer is not None]
        own = [
            one
            for one in placed
            if one.event.site == event.site and one.visitor in {event.visitor, event.visitor_before}
        ]
        reached = []
        for visit in {one.visit for one in own}:
            moments = [one.event.at for one in own if one.visit == visit]
            if min(moments) - THIRTY_MINUTES <= event.at <= max(moments) + THIRTY_MINUTES:
                reached.append((max(moments), visit))
        if reached:
            _, visit = max(reached)
            visitor = next(one.visitor for one in own if one.visit == visit)
            answers.append(Placed(event, visit, visitor))
        elif event.engagement:
            answers.append(None)
        else:
            answers.append(Placed(event, event.id, event.visitor))
    return answers
