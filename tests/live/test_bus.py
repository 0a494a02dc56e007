from __future__ import annotations

import asyncio

from haru.live.bus import Bus


async def test_news_reach_the_watchers_of_the_site_only() -> None:
    bus = Bus()
    one, two = bus.subscribe(1), bus.subscribe(2)
    assert bus.watchers() == 2
    await asyncio.to_thread(bus.publish, 1)
    assert await one.news(1)
    assert not await two.news(0.01)
    bus.unsubscribe(one)
    bus.unsubscribe(two)
    assert bus.watchers() == 0
    assert bus.watched() == []


async def test_a_watcher_who_does_not_read_costs_one_flag_not_a_queue() -> None:
    bus = Bus()
    slow = bus.subscribe(1)
    for _ in range(10_000):
        bus.publish(1)
    await asyncio.sleep(0)
    assert await slow.news(1)
    assert not await slow.news(0.01)


async def test_a_watcher_hears_of_news_until_it_unsubscribes() -> None:
    bus = Bus()
    one, two = bus.subscribe(1), bus.subscribe(1)
    assert (bus.watchers(), bus.watched()) == (2, [1])
    bus.unsubscribe(one)
    bus.unsubscribe(one)  # again does no harm
    assert (bus.watchers(), bus.watched()) == (1, [1])
    bus.publish(1)
    bus.publish(2)  # nobody watches it
    assert await two.news(1)
    assert not await one.news(0.01)
