from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haru.events.event import ENGAGEMENT, Arrival, Origin
from haru.events.visits import VISIT_GAP_MS, Visit, Window
from tests.events.made import MINUTE, NOON, arrivals, event


def nothing(*_: object) -> list[Visit]:
    return []


def window(now: int = NOON) -> Window:
    fresh = Window(nothing)
    fresh.restore([], now - 24 * 60 * MINUTE)
    return fresh


def visit_ids(given_window: Window, batch: list[Arrival]) -> list[int | None]:
    return [visit.id if visit else None for visit in given_window.assign(batch)]


@pytest.mark.parametrize(
    ("gap", "same"), [(29 * 60 + 59, True), (30 * 60, True), (30 * 60 + 1, False)], ids=["29:59", "30:00", "30:01"]
)
def test_a_visit_goes_on_while_the_gap_is_at_most_thirty_minutes(gap: int, same: bool) -> None:
    first, second = visit_ids(window(), arrivals(event(NOON), event(NOON + gap * 1000)))
    assert (first == second) is same


def test_a_visit_has_the_id_of_the_event_that_opened_it() -> None:
    assert visit_ids(window(), arrivals(event(), event(visitor=2), event(), first=70)) == [70, 71, 70]


def test_two_sites_never_share_a_visit() -> None:
    assert visit_ids(window(), arrivals(event(site_id=1), event(site_id=2))) == [1, 2]


def test_a_new_campaign_inside_the_gap_does_not_start_a_visit_nor_change_its_origin() -> None:
    google, campaign = Origin(source="Google"), Origin(source="Newsletter", utm_campaign="spring")
    first, second = window().assign(arrivals(event(origin=google), event(NOON + MINUTE, origin=campaign)))
    assert first is second
    assert second is not None
    assert second.origin == google


def test_engagement_keeps_a_visit_alive_but_never_starts_one() -> None:
    batch = arrivals(
        event(NOON),
        event(NOON + 25 * MINUTE, name=ENGAGEMENT),
        event(NOON + 50 * MINUTE),
        event(NOON, visitor=9, name=ENGAGEMENT),
    )
    assert visit_ids(window(), batch) == [1, 1, 1, None]


def test_a_visit_survives_midnight_under_yesterdays_id_and_the_next_visit_has_todays() -> None:
    batch = arrivals(
        event(NOON, visitor=10),
        event(NOON + 20 * MINUTE, visitor=20, visitor_before=10),  # the salt turned: the visit goes on
        event(NOON + 120 * MINUTE, visitor=20, visitor_before=10),  # a new visit
        event(NOON + 121 * MINUTE, visitor=20, visitor_before=10),
    )
    visits = window().assign(batch)
    assert [visit.visitor_id for visit in visits if visit] == [10, 10, 20, 20]
    assert [visit.id for visit in visits if visit] == [1, 1, 3, 3]


def test_a_late_event_joins_the_visit_it_belongs_to_and_moves_its_beginning() -> None:
    given_window = window()
    opened, late = given_window.assign(arrivals(event(NOON), event(NOON - 20 * MINUTE)))
    assert opened is late
    assert late is not None
    assert (late.first, late.last) == (NOON - 20 * MINUTE, NOON)


def test_an_event_between_two_visits_joins_one_and_merges_none() -> None:
    batch = arrivals(event(NOON), event(NOON + 50 * MINUTE), event(NOON + 25 * MINUTE), event(NOON + 51 * MINUTE))
    assert visit_ids(window(), batch) == [1, 2, 2, 2]


def test_an_old_event_finds_its_visit_in_the_store() -> None:
    old = NOON - 30 * 24 * 60 * MINUTE
    kept = Visit(5, 1, 77, old, old, Origin(source="Bing"))
    asked = []

    def lookup(site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        asked.append((site_id, set(visitors), since, until))
        return [kept]

    given_window = Window(lookup)
    given_window.restore([], NOON - 60 * MINUTE)
    visit, fresh = given_window.assign(arrivals(event(old + MINUTE, visitor=77), event(NOON, visitor=8), first=90))
    assert visit is kept
    assert fresh is not None
    assert fresh.id == 91
    assert asked == [(1, {77}, old + MINUTE - VISIT_GAP_MS, old + MINUTE + VISIT_GAP_MS)]


def test_a_forgotten_visit_is_asked_for_again() -> None:
    store: list[Visit] = []
    given_window = Window(lambda *_: store)
    given_window.restore([], NOON - 60 * MINUTE)
    (visit,) = given_window.assign(arrivals(event(NOON)))
    assert visit is not None
    store.append(Visit(visit.id, 1, 1, NOON, NOON, Origin()))
    given_window.forget(NOON + 3 * 60 * MINUTE)
    assert len(given_window) == 0
    assert visit_ids(given_window, arrivals(event(NOON + MINUTE), first=2)) == [1]


def test_visits_of_a_deleted_site_are_forgotten() -> None:
    given_window = window()
    given_window.assign(arrivals(event(site_id=1), event(site_id=2)))
    given_window.forget_site(1)
    assert visit_ids(given_window, arrivals(event(site_id=1), event(site_id=2), first=10)) == [10, 2]


# A second implementation, by the rules alone: all visits of all time, no window, no store.
class Everything:
    def __init__(self) -> None:
        self.visits: list[dict[str, int]] = []

    def place(self, arrival: Arrival) -> int | None:
        e = arrival.event
        for visitor in (e.visitor_id, e.visitor_before):
            fitting = [
                v
                for v in self.visits
                if v["site"] == e.site_id
                and v["visitor"] == visitor
                and v["first"] - 30 * MINUTE <= e.at <= v["last"] + 30 * MINUTE
            ]
            if fitting:
                best = sorted(fitting, key=lambda v: (v["last"], v["id"]))[-1]
                best["first"], best["last"] = min(best["first"], e.at), max(best["last"], e.at)
                return best["id"]
        if e.name == ENGAGEMENT:
            return None
        self.visits.append({"id": arrival.id, "site": e.site_id, "visitor": e.visitor_id, "first": e.at, "last": e.at})
        return arrival.id


class Rows:
    """A store as the window sees one: visits worked out from stored events."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Arrival, int]] = []  # visit id, arrival, visitor id of the visit

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        wanted = set(visitors)
        ids = {
            visit_id
            for visit_id, a, visitor in self.rows
            if a.event.site_id == site_id and visitor in wanted and since <= a.event.at <= until
        }
        found = []
        for visit_id in ids:
            events = [(a.event.at, visitor) for v, a, visitor in self.rows if v == visit_id]
            times = [at for at, _ in events]
            found.append(Visit(visit_id, site_id, events[0][1], min(times), max(times), Origin()))
        return found


moments = st.integers(0, 40).map(lambda n: NOON + n * 10 * MINUTE) | st.sampled_from(
    [NOON + 30 * MINUTE - 1, NOON + 30 * MINUTE, NOON + 30 * MINUTE + 1, NOON + 60 * MINUTE + 1]
)
streams = st.lists(
    st.builds(
        lambda at, visitor, before, site, name: event(
            at, visitor=visitor, visitor_before=before or visitor, site_id=site, name=name
        ),
        moments,
        st.integers(1, 3),
        st.sampled_from([0, 0, 11, 12]),
        st.integers(1, 2),
        st.sampled_from(["pageview", "pageview", "Signup", ENGAGEMENT]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(stream=streams, size=st.integers(1, 7), drift=st.integers(-60, 400))
def test_the_window_agrees_with_the_rules_applied_to_everything(stream: list, size: int, drift: int) -> None:
    reference, rows = Everything(), Rows()
    given_window = Window(rows.visits)
    batch_of = arrivals(*stream)
    for start in range(0, len(batch_of), size):
        batch = batch_of[start : start + size]
        if drift % 3 == 0:  # a restart: only what the store has is known
            since = NOON + drift * MINUTE
            given_window = Window(rows.visits)
            ids = {v for v, a, _ in rows.rows if a.event.at >= since}
            recent = [
                visit for site in (1, 2) for visit in rows.visits(site, range(20), 0, NOON * 2) if visit.id in ids
            ]
            given_window.restore(recent, since)
        assigned = given_window.assign(batch)
        assert [visit.id if visit else None for visit in assigned] == [reference.place(each) for each in batch]
        rows.rows += [(v.id, a, v.visitor_id) for a, v in zip(batch, assigned, strict=True) if v]
        given_window.forget(NOON + drift * MINUTE + start * MINUTE)
