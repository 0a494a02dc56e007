from __future__ import annotations

from collections.abc import Iterable

import pytest

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
