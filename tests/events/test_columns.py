from __future__ import annotations

from haru.events.columns import BLANK, NAMES, row_of
from haru.events.event import Arrival, Origin
from haru.events.visits import Visit
from tests.events.made import NOON, event


def test_a_row_has_a_value_for_every_column_of_the_table() -> None:
    origin = Origin(source="Google", country="DE", city=5, language="de")
    arrival = Arrival(9, event(path="/x", props={"b": "2", "a": "1"}, scroll_depth=40, hostname="example.com"))
    values = dict(zip(NAMES, row_of(arrival, Visit(7, 1, 3, NOON, NOON, origin)), strict=True))
    assert values["id"] == 9
    assert values["visit_id"] == 7
    assert values["visitor_id"] == 3
    assert values["path"] == "/x"
    assert values["source"] == "Google"
    assert values["city"] == 5
    assert values["language"] == "de"
    assert values["props"] == '{"a":"1","b":"2"}'
    assert values["scroll_depth"] == 40


def test_a_row_that_tells_nothing_has_the_defaults_of_an_event() -> None:
    values = dict(zip(NAMES, BLANK, strict=True))
    assert (values["source"], values["props"], values["scroll_depth"], values["interactive"]) == ("", "{}", -1, True)
