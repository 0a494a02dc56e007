"""The visit window against `tests.sessioniser`: any stream, cut into batches anywhere, with every kind of interruption.

A script is a list of what happens to a loader: an event arrives, a batch commits, time passes and the window lets go of
what is old, the process is killed before the commit or starts again after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from haru.events.event import ENGAGEMENT, PAGEVIEW, Arrival, Event, Origin
from haru.events.visits import KEPT_MS, Visit, Window
from tests.rounds import examples
from tests.sessioniser import Placed, Seen, sessionise

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HALF = 30 * MINUTE

MIDNIGHT = 20_500 * DAY  # 2026-02-16 00:00 UTC
# Days on which the clocks of a zone change, and a plain midnight: instants know nothing of either.
BEGINNINGS = [
    MIDNIGHT - HOUR,
    MIDNIGHT + 9 * HOUR,
    int(datetime(2026, 3, 29, 0, 30, tzinfo=UTC).timestamp()) * SECOND,  # Berlin, an hour skipped
    int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * SECOND,  # Berlin, an hour twice
    int(datetime(2026, 10, 3, 15, 0, tzinfo=UTC).timestamp()) * SECOND,  # Lord Howe, half an hour skipped
]


@dataclass(frozen=True)
class Arrive:
    """An event reaches the spool `step` ms after the one that arrived before it, and happened `late` ms earlier."""

    step: int
    late: int = 0
    person: int = 1
    site: int = 1
    name: str = PAGEVIEW
    knows_yesterday: bool = True  # false: yesterday's salt is not there, as on the first day


@dataclass(frozen=True)
class Commit:
    """What waits is loaded; then the window lets go of what is old, `later` ms after the latest event."""

    later: int = 0


@dataclass(frozen=True)
class Kill:
    """The process dies, after it placed what waits (`placed`) but before the commit; the next one starts `later`."""

    placed: bool = True
    later: int = 0


Step = Arrive | Commit | Kill


def identity(person: int, day: int) -> int:
    """The id of a person under the salt of a day: never the same on two days."""
    return person * 1_000_000 + day


def arrivals(script: Sequence[Step], beginning: int) -> list[Arrival | Commit | Kill]:
    """The script with its events made."""
    made: list[Arrival | Commit | Kill] = []
    arrived = beginning
    for number, step in enumerate(script, start=1):
        if not isinstance(step, Arrive):
            made.append(step)
            continue
        arrived += step.step
        at = arrived - step.late
        today = identity(step.person, at // DAY)
        before = identity(step.person, at // DAY - 1) if step.knows_yesterday else today
        event = Event(step.site, at, today, before, f"/{number}", Origin(source=f"source {number}"), step.name)
        made.append(Arrival(number, event))
    return made


@dataclass
class Installation:
    """A loader with everything taken away but the window: a list for the spool, a list for the store."""

    clock: int
    waiting: list[Arrival] = field(default_factory=list)
    stored: list[tuple[Arrival, int, int, Origin]] = field(default_factory=list)  # with the visit's id, visitor, origin
    refused: list[int] = field(default_factory=list)  # ids of engagements without a visit
    asked: int = 0  # how often the window asked the store

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process: it knows what the store has."""
        self.window = Window(self.lookup)
        since = self.clock - KEPT_MS
        self.window.restore(self.visits(lambda arrival, _: arrival.event.at >= since), since)

    def take(self, step: Arrival | Commit | Kill) -> None:
        if isinstance(step, Arrival):
            self.waiting.append(step)
            self.clock = max(self.clock, step.event.at)
        elif isinstance(step, Commit):
            self.commit()
            self.clock += step.later
            self.window.forget(self.clock)
        else:
            if step.placed:
                self.window.assign(self.waiting)
            self.clock += step.later
            self.start()

    def commit(self) -> None:
        for arrival, visit in zip(self.waiting, self.window.assign(self.waiting), strict=True):
            if visit is None:
                self.refused.append(arrival.id)
            else:
                self.stored.append((arrival, visit.id, visit.visitor_id, visit.origin))
        self.waiting.clear()

    def lookup(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        self.asked += 1
        wanted = set(visitors)
        return self.visits(
            lambda arrival, visitor: (
                arrival.event.site_id == site_id and visitor in wanted and since <= arrival.event.at <= until
            )
        )

    def visits(self, chosen) -> list[Visit]:
        """The visits with a stored event that is chosen, worked out from all of their stored events."""
        found: dict[int, Visit] = {}
        ids = {visit for arrival, visit, visitor, _ in self.stored if chosen(arrival, visitor)}
        for arrival, visit, visitor, origin in self.stored:
            if visit in ids:
                at = arrival.event.at
                known = found.setdefault(visit, Visit(visit, arrival.event.site_id, visitor, at, at, origin))
                known.first, known.last = min(known.first, at), max(known.last, at)
        return list(found.values())


def played(script: Sequence[Step], beginning: int = MIDNIGHT - HOUR) -> tuple[Installation, list[Placed | None]]:
    """The script on the real window, and the reference's answers for the same events."""
    made = arrivals(script, beginning)
    installation = Installation(beginning)
    for step in made:
        installation.take(step)
    installation.commit()
    events = [
        Seen(
            step.id,
            step.event.site_id,
            step.event.at,
            step.event.visitor_id,
            step.event.visitor_before,
            step.event.name == ENGAGEMENT,
        )
        for step in made
        if isinstance(step, Arrival)
    ]
    return installation, sessionise(events)


def assert_agree(installation: Installation, reference: list[Placed | None]) -> None:
    assert [(arrival.id, visit, visitor) for arrival, visit, visitor, _ in installation.stored] == [
        (placed.event.id, placed.visit, placed.visitor) for placed in reference if placed
    ]
    assert len(installation.stored) + len(installation.refused) == len(reference)
    # What a visit came with is that of the event that opened it, on all of its events.
    assert all(origin.source == f"source {visit}" for _, visit, _, origin in installation.stored)


def visits_of(*script: Step, beginning: int = MIDNIGHT + 9 * HOUR) -> list[int | None]:
    """The visit of each event, once window and reference agree."""
    installation, reference = played(script, beginning)
    assert_agree(installation, reference)
    return [placed.visit if placed else None for placed in reference]


EDGES = [29 * MINUTE + 59 * SECOND, HALF - 1, HALF, HALF + 1, HALF + SECOND]
steps = st.sampled_from(
    [0, 1, MINUTE, 10 * MINUTE, 20 * MINUTE, 25 * MINUTE, *EDGES, 2 * HALF, 2 * HALF + 1, 11 * HOUR]
)
no_delay = st.just(0)
delays = st.sampled_from(
    [1, MINUTE, 15 * MINUTE, 40 * MINUTE, *EDGES, 50 * MINUTE, 2 * HALF, 2 * HALF + 1, 2 * HOUR, DAY, 3 * DAY]
)
names = st.sampled_from([PAGEVIEW, PAGEVIEW, ENGAGEMENT, "Signup"])
arrive = st.builds(
    Arrive,
    steps,
    no_delay | no_delay | delays,
    st.sampled_from([1, 1, 1, 1, 2, 3]),
    st.sampled_from([1, 1, 1, 2]),
    names,
    st.sampled_from([True, True, True, False]),
)
# A clock that was put back counts too.
laters = st.sampled_from([0, 0, MINUTE, HALF + 1, KEPT_MS, KEPT_MS + 1, 3 * HOUR, 2 * DAY, -HOUR, -DAY])
commit = st.builds(Commit, laters)
kill = st.builds(Kill, st.booleans(), laters)
scripts = st.lists(arrive | arrive | arrive | arrive | commit | kill, min_size=2, max_size=45)


@examples(300, 8_000, suppress_health_check=[HealthCheck.too_slow])
@given(script=scripts, beginning=st.sampled_from(BEGINNINGS))
@example(script=[Arrive(0), Arrive(29 * MINUTE + 59 * SECOND)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(HALF - 1)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(HALF + 1)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(30 * MINUTE + SECOND)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(2 * DAY), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(2 * DAY), Arrive(HALF + 1)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(2 * DAY), Arrive(0, late=HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(2 * DAY), Arrive(0, late=HALF + 1)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(KEPT_MS), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(KEPT_MS + 1), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(HOUR), Commit(KEPT_MS), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Commit(2 * DAY), Commit(-2 * DAY), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(20 * MINUTE), Arrive(0, 10 * MINUTE), Arrive(HALF)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(0, 10 * MINUTE), Arrive(0, 40 * MINUTE), Arrive(0, 70 * MINUTE)], beginning=MIDNIGHT)
@example(script=[Arrive(0), Arrive(HALF), Kill(), Arrive(HALF), Kill(later=DAY)], beginning=MIDNIGHT - 40 * MINUTE)
@example(
    script=[
        Arrive(0),
        Commit(),
        Arrive(HALF, name=ENGAGEMENT),
        Kill(),
        Arrive(HALF, name=ENGAGEMENT),
        Arrive(HALF + 1),
    ],
    beginning=MIDNIGHT - HOUR,
)
def test_the_window_agrees_with_the_rules_applied_to_every_event(script: list[Step], beginning: int) -> None:
    assert_agree(*played(script, beginning))


@examples(20, 500)
@given(script=scripts, whole=st.integers(-400, 400))
def test_where_batches_end_and_when_processes_die_changes_nothing(script: list[Step], whole: int) -> None:
    """Also a stream moved by whole days has the same visits: nothing hangs on the calendar."""
    events = [step for step in script if isinstance(step, Arrive)]
    numbered = {
        step.id: place for place, step in enumerate(s for s in arrivals(script, MIDNIGHT) if isinstance(s, Arrival))
    }
    interrupted, _ = played(script, MIDNIGHT)
    at_once, _ = played(events, MIDNIGHT + whole * DAY)
    assert [(numbered[arrival.id], numbered[visit]) for arrival, visit, _, _ in interrupted.stored] == [
        (arrival.id - 1, visit - 1) for arrival, visit, _, _ in at_once.stored
    ]


@pytest.mark.parametrize(
    ("gap", "same"),
    [(29 * MINUTE + 59 * SECOND, True), (HALF - 1, True), (HALF, True), (HALF + 1, False), (HALF + SECOND, False)],
    ids=["29:59", "29:59.999", "30:00", "30:00.001", "30:01"],
)
@pytest.mark.parametrize("between", [(), (Commit(),), (Commit(2 * DAY),), (Commit(), Kill(later=2 * DAY)), (Kill(),)])
@pytest.mark.parametrize("way", [1, -1], ids=["later", "earlier"])
@pytest.mark.parametrize("beginning", [MIDNIGHT + 9 * HOUR, MIDNIGHT - 15 * MINUTE], ids=["by day", "over midnight"])
def test_the_gap_is_thirty_minutes_to_the_millisecond_whatever_comes_between(
    gap: int, same: bool, between: tuple[Step, ...], way: int, beginning: int
) -> None:
    second_event = Arrive(gap) if way > 0 else Arrive(0, late=gap)
    if way < 0 and beginning < MIDNIGHT:
        beginning += 30 * MINUTE  # the late one is on the day before, whose id the visit does not have
        first, second = visits_of(Arrive(0), *between, second_event, beginning=beginning)
        assert first != second
        return
    first, second = visits_of(Arrive(0), *between, second_event, beginning=beginning)
    assert (first == second) is same


def test_who_reads_for_forty_minutes_and_then_clicks_is_on_the_same_visit() -> None:
    pings = [Arrive(10 * MINUTE, name=ENGAGEMENT) for _ in range(4)]
    assert visits_of(Arrive(0), *pings, Arrive(MINUTE)) == [1] * 6
    assert visits_of(Arrive(0), Arrive(40 * MINUTE)) == [1, 2]


def test_an_engagement_never_opens_a_visit_and_is_forgotten() -> None:
    # It leaves nothing behind: the pageview after it opens a visit of its own, with its own id.
    assert visits_of(Arrive(0, name=ENGAGEMENT), Arrive(MINUTE), Arrive(MINUTE, name=ENGAGEMENT)) == [None, 2, 2]
    assert visits_of(Arrive(0), Arrive(HALF + 1, name=ENGAGEMENT), Arrive(1)) == [1, None, 3]


def test_a_visit_over_midnight_keeps_the_visitor_it_began_with() -> None:
    script = [
        Arrive(0),
        Arrive(20 * MINUTE),
        Kill(),
        Arrive(20 * MINUTE),
        Commit(2 * DAY),
        Arrive(20 * MINUTE),
        Arrive(HOUR),
    ]
    installation, reference = played(script, MIDNIGHT - 10 * MINUTE)
    assert_agree(installation, reference)
    yesterday, today = identity(1, MIDNIGHT // DAY - 1), identity(1, MIDNIGHT // DAY)
    assert [visitor for _, _, visitor, _ in installation.stored] == [yesterday] * 4 + [today]


def test_an_event_between_two_visits_takes_the_one_that_lasted_longer_and_merges_none() -> None:
    script = [Arrive(0), Arrive(50 * MINUTE), Arrive(0, late=25 * MINUTE), Arrive(MINUTE)]
    assert visits_of(*script) == [1, 2, 2, 2]
    # The later one grows back over the first, and still they are two.
    assert visits_of(*script, Arrive(0, late=51 * MINUTE)) == [1, 2, 2, 2, 2]


def test_an_event_in_the_midst_of_a_long_visit_belongs_to_it_however_far_from_its_ends() -> None:
    clicks = [Arrive(20 * MINUTE) for _ in range(12)]
    assert set(visits_of(Arrive(0), *clicks, Arrive(0, 2 * HOUR), Commit(3 * DAY), Arrive(0, 113 * MINUTE))) == {1}


def test_sites_and_people_never_share_a_visit() -> None:
    script = [Arrive(0, person=person, site=site) for site in (1, 2) for person in (1, 2, 3)]
    assert visits_of(*script, Commit(DAY), *script) == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", (2026, 3, 29)), ("Europe/Berlin", (2026, 10, 25)), ("Australia/Lord_Howe", (2026, 4, 5))],
)
def test_a_day_on_which_clocks_change_is_a_day_like_any_other(zone: str, day: tuple[int, int, int]) -> None:
    start = datetime(*day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    moments = [int((start + timedelta(minutes=20 * n)).timestamp()) * SECOND for n in range(15)]
    clicks = [Arrive(0), *(Arrive(later - earlier) for earlier, later in pairwise(moments))]
    assert set(visits_of(*clicks, beginning=moments[0])) == {1}
    alone = visits_of(*(Arrive(HALF + 1) for _ in range(15)), beginning=moments[0])
    assert len(set(alone)) == 15


def test_the_window_forgets_and_asks_the_store_again() -> None:
    installation, reference = played([Arrive(0), Commit(2 * DAY), Arrive(MINUTE), Commit(2 * DAY), Arrive(MINUTE)])
    assert_agree(installation, reference)
    assert installation.asked == 2
    assert len(installation.window) == 1


def test_of_two_visits_under_two_ids_the_one_that_lasted_longer_goes_on() -> None:
    script = [
        Arrive(0),
        Arrive(30 * MINUTE),
        Arrive(0, 15 * MINUTE, knows_yesterday=False),  # opens a second visit inside the first
        Arrive(0, 10 * MINUTE),
    ]
    assert visits_of(*script, beginning=MIDNIGHT - 10 * MINUTE) == [1, 1, 3, 1]
    # At the same moment: the newer one.
    assert visits_of(*script[:2], Arrive(0, knows_yesterday=False), Arrive(0), beginning=MIDNIGHT - MINUTE) == [
        1,
        1,
        3,
        3,
    ]
