from __future__ import annotations

import msgspec
import pytest

from haru.collect.geo import Geo
from haru.collect.hit import Hit
from haru.collect.pipeline import Pipeline
from haru.collect.sites import Site
from haru.events.event import PAGEVIEW, Event, Origin

SITE = Site(id=3, domain="example.com", token="the-token")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
# What says who sent a hit and with what, and how the sender wants to be treated: an event knows nothing of it.
ABOUT_THE_SENDER = {"address", "user_agent", "timezone", "country_hint", "opted_out", "by_key", "key", "prefetch"}


def hit() -> Hit:
    return Hit(SITE, 1_767_268_800_000, "203.0.113.9", FIREFOX, "/a?token=secret")


def run(hit: Hit) -> Event:
    """Its event; the visitor is (1, 2), and what is known of the sender may go into that and nowhere else."""
    return Pipeline(lambda *_: (1, 2), Geo(None)).run(hit)


def test_a_hit_of_which_no_more_is_known_than_the_page_is_a_pageview() -> None:
    event = run(hit())
    assert (event.name, event.path, event.props, event.revenue_amount) == (PAGEVIEW, "/a", {}, "")
    assert (event.engaged_ms, event.scroll_depth, event.interactive) == (0, -1, True)


def test_what_says_who_sent_it_is_no_field_of_an_event() -> None:
    assert set(Hit.__struct_fields__) >= ABOUT_THE_SENDER
    assert not ABOUT_THE_SENDER & {*Event.__struct_fields__, *Origin.__struct_fields__}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "2001:db8:5eef::1"),
        ("user_agent", FIREFOX + " odd-build-77"),
        ("timezone", "Europe/Busingen"),
        ("language", "gsw-CH-x-odd"),
        ("key", "order-4711"),
    ],
)
def test_nothing_of_the_sender_is_written_with_the_event(field: str, value: str) -> None:
    written = msgspec.msgpack.encode(run(msgspec.structs.replace(hit(), **{field: value})))
    assert value.encode() not in written
    assert b"secret" not in written


def test_hits_share_no_properties() -> None:
    one, other = hit(), hit()
    one.props["plan"] = "pro"
    assert other.props == {}
