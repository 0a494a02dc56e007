from __future__ import annotations

from haru.live.visitors import COUNT_MS, CURRENT_MS, CurrentVisitors

NOW = 1_767_268_800_000


def test_a_visitor_is_current_for_five_minutes() -> None:
    visitors = CurrentVisitors()
    visitors.seen([(1, 10, NOW), (1, 11, NOW - CURRENT_MS + 1), (1, 12, NOW - CURRENT_MS), (2, 10, NOW)], NOW)
    assert visitors.count(1, NOW) == 2
    assert visitors.count(2, NOW) == 1
    assert visitors.count(1, NOW + CURRENT_MS - 1) == 1
    assert visitors.count(1, NOW + CURRENT_MS) == 0
    assert visitors.count(3, NOW) == 0


def test_a_visitor_counts_once_and_a_late_event_does_not_make_them_older() -> None:
    visitors = CurrentVisitors()
    visitors.seen([(1, 10, NOW), (1, 10, NOW - 60_000)], NOW)
    assert visitors.count(1, NOW) == 1
    assert visitors.count(1, NOW + CURRENT_MS - 1) == 1


def test_an_import_of_old_events_makes_nobody_current() -> None:
    visitors = CurrentVisitors()
    visitors.seen([(1, visitor, NOW - 86_400_000) for visitor in range(100)], NOW)
    assert visitors.count(1, NOW) == 0


def test_visitors_who_left_are_let_go_on_sites_nobody_watches() -> None:
    visitors = CurrentVisitors()
    visitors.seen([(site, 1, NOW) for site in range(50)], NOW)
    visitors.prune(NOW + CURRENT_MS)
    assert visitors._seen == {}


def test_a_count_holds_for_a_moment_and_not_beyond_who_comes_or_goes() -> None:
    visitors = CurrentVisitors()
    visitors.seen([(1, 10, NOW), (1, 11, NOW - CURRENT_MS + COUNT_MS // 2)], NOW)
    assert visitors.count(1, NOW) == 2
    assert visitors.count(1, NOW + COUNT_MS // 2 - 1) == 2
    assert visitors.count(1, NOW + COUNT_MS // 2) == 1  # one has left meanwhile
    visitors.seen([(1, 12, NOW + COUNT_MS // 2)], NOW + COUNT_MS // 2)
    assert visitors.count(1, NOW + COUNT_MS // 2) == 2  # one has come
