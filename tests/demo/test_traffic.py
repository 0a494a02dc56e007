from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from haru.clock import DAY_MS
from haru.collect.sites import Site
from haru.demo import traffic
from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.events.visits import VISIT_GAP_MS
from haru.live import CURRENT_MS
from haru.settings import Settings
from haru.spool.spool import Spool

NOW = 1_767_268_800_000
SITE = Site(id=1, domain=traffic.DOMAIN, token="t", timezone=traffic.TIMEZONE)


def test_the_same_seed_gives_the_same_visits_and_another_gives_others() -> None:
    one, again, other = (traffic.traffic(Settings(), SITE, NOW, days=5, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_the_traffic_is_plausible() -> None:
    events = traffic.traffic(Settings(), SITE, NOW, days=30, visits_per_day=100)
    views = [event for event in events if event.name == PAGEVIEW]
    assert len({event.visitor_id for event in events}) > 30 * 60
    assert len(views) > len({event.visitor_id for event in events})
    assert any(event.name == ENGAGEMENT for event in events)
    assert max(event.at for event in events) <= NOW
    assert min(event.at for event in events) >= NOW - 30 * DAY_MS
    assert events == sorted(events, key=lambda event: event.at)
    for values in (
        {event.origin.country for event in views},
        {event.origin.source for event in views},
        {event.origin.channel for event in views},
        {event.origin.browser for event in views},
        {event.path for event in views},
    ):
        assert len(values) >= 5
    assert {event.origin.device for event in views} >= {"Desktop", "Mobile"}


def test_some_visitors_come_twice_on_a_day_and_some_are_online() -> None:
    events = traffic.traffic(Settings(), SITE, NOW, days=6, visits_per_day=200)
    moments = defaultdict[int, list[int]](list)
    for event in events:
        if event.name != ENGAGEMENT:
            moments[event.visitor_id].append(event.at)
    visits = [1 + sum(later - at > VISIT_GAP_MS for at, later in pairwise(ats)) for ats in moments.values()]
    assert 0.05 < sum(count > 1 for count in visits) / len(visits) < 0.25
    assert 0.9 < sum(visits) / (6 * 200) < 1.1
    # An id lives as long as its day, in which a visit may begin that ends in the next.
    assert all(
        later // DAY_MS == at // DAY_MS or later - at <= VISIT_GAP_MS
        for ats in moments.values()
        for at, later in pairwise(ats)
    )
    assert 3 <= len({event.visitor_id for event in events if event.at > NOW - CURRENT_MS}) <= 20


def test_a_site_is_filled_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite3")
    count = traffic.fill(Settings(), spool, SITE, NOW, days=3)
    assert spool.depth() == count > 100
    with pytest.raises(traffic.AlreadyFilled):
        traffic.fill(Settings(), spool, SITE, NOW, days=3)
    assert spool.depth() == count


def test_the_demo_site_is_known_as_one_to_the_pages() -> None:
    from haru.sites.models import DEMO_DOMAIN

    assert traffic.DOMAIN == DEMO_DOMAIN
