from __future__ import annotations

import msgspec
import pytest

from haru.events.event import Event, Origin

SEVEN = [1, 1_700_000_000_000, 12, 12, "/", ["google", "Organic Search"], "pageview"]


def test_an_event_that_an_older_release_wrote_has_the_defaults_of_later_fields() -> None:
    event = msgspec.convert(SEVEN, Event)
    assert event == Event(1, 1_700_000_000_000, 12, 12, "/", Origin("google", "Organic Search"))
    assert (event.scroll_depth, event.interactive, event.origin.city) == (-1, True, 0)


@pytest.mark.parametrize("struct", [Event, Origin])
def test_every_field_from_the_first_default_on_has_one(struct: type[msgspec.Struct]) -> None:
    required = [field.required for field in msgspec.structs.fields(struct)]
    assert required == sorted(required, reverse=True)


def test_an_event_is_written_as_a_list_in_the_order_of_its_fields() -> None:
    written = msgspec.to_builtins(msgspec.convert(SEVEN, Event))
    assert written[:5] == SEVEN[:5]
    assert len(written) == len(Event.__struct_fields__)
    assert msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(written)), Event) == msgspec.convert(
        SEVEN, Event
    )
