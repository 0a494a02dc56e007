from __future__ import annotations

import asyncio

from haru.live import CURRENT_MS, Live

NOW = 1_767_268_800_000


def test_a_visitor_is_current_for_five_minutes() -> None:
    live = Live()
    live.seen([(1, 10, NOW), (1, 11, NOW - CURRENT_MS + 1), (1, 12, NOW - CURRENT_MS), (2, 10, NOW)], NOW)
    assert live.current_visitors(1, NOW) == 2
    assert live.current_visitors(2, NOW) == 1
    assert live.current_visitors(1, NOW + CURRENT_MS - 1) == 1
    assert live.current_visitors(1, NOW + CURRENT_MS) == 0
    assert live.current_visitors(3, NOW) == 0


def test_a_visitor_counts_once_and_a_late_event_does_not_make_them_older() -> None:
    live = Live()
    live.seen([(1, 10, NOW), (1, 10, NOW - 60_000)], NOW)
    assert live.current_visitors(1, NOW) == 1
    assert live.current_visitors(1, NOW + CURRENT_MS - 1) == 1


def test_an_import_of_old_events_makes_nobody_current() -> None:
    live = Live()
    live.seen([(1, visitor, NOW - 86_400_000) for visitor in range(100)], NOW)
    assert live.current_visitors(1, NOW) == 0


def test_visitors_who_left_are_let_go_on_sites_nobody_watches() -> None:
    live = Live()
    live.seen([(site, 1, NOW) for site in range(50)], NOW)
    live.prune(NOW + CURRENT_MS)
    assert live._seen == {}


async def test_news_reach_the_watchers_of_the_site_only() -> None:
    live = Live()
    one, two = live.subscribe(1), live.subscribe(2)
    assert live.watchers() == 2
    await asyncio.to_thread(live.publish, 1)
    assert await one.news(1)
    assert not await two.news(0.01)
    live.unsubscribe(one)
    live.unsubscribe(two)
    assert live.watchers() == 0
    assert live.watched() == []


async def test_a_watcher_who_does_not_read_costs_one_flag_not_a_queue() -> None:
    live = Live()
    slow = live.subscribe(1)
    for _ in range(10_000):
        live.publish(1)
    await asyncio.sleep(0)
    assert await slow.news(1)
    assert not await slow.news(0.01)
