"""What engines say differently has one meaning: each function is asked of each of them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import String, cast, func, literal, literal_column, select, text, union_all

from haru.stats.sql.counters import E
from haru.stats.sql.functions import Among, AnyOf, Bucket, ByCodePoint, FirstBy, LastBy, Local, Milliseconds, quoted
from tests.stats.made import ENGINES, HOUR, MINUTE, filled, ms, stored

AT = ms("2026-03-29 00:59")  # a Sunday; a minute later Berlin's clocks go an hour on
EVENTS = [
    stored(1, AT, 1, path="/late", source="x"),
    stored(3, AT - MINUTE, 1, path="/first", source="x"),
    stored(4, AT - MINUTE, 1, path="/second", source="x"),
    stored(5, AT + HOUR + 7, 1, path="/last", source="x", name="signup"),
    stored(6, AT + HOUR + 7, 1, path="/very last", source="x"),
]
NAMES = ["b", "B", "é", "_", "\U0001f600", "ﬁ", "a'b", "\\", "%s", ""]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_first_and_the_last_text_go_by_time_and_then_by_id(engine: str) -> None:
    both = [kind(E.path, E.occurred_at, E.id) for kind in (FirstBy, LastBy)]
    named = [each.filter(E.name == "signup") for each in both]
    nobody = func.coalesce(both[0].filter(E.name == "nothing"), "nothing")
    assert filled(EVENTS, engine).fetch(select(*both, *named, nobody)) == [
        ("/first", "/very last", "/last", "/last", "nothing")
    ]


def test_any_of_values_that_are_all_the_same_is_that_value(engine: str) -> None:
    assert filled(EVENTS, engine).fetch(select(AnyOf(E.source))) == [("x",)]


def test_a_span_is_in_milliseconds_and_may_be_negative(engine: str) -> None:
    first, last = func.min(E.occurred_at), func.max(E.occurred_at)
    found = filled(EVENTS, engine).fetch(select(Milliseconds(first, last), Milliseconds(last, first)))
    assert found == [(HOUR + MINUTE + 7, -(HOUR + MINUTE + 7))]


def test_a_wall_clock_goes_by_the_offset_just_then(engine: str) -> None:
    change = datetime(2026, 3, 29, 1)
    local = Local(E.occurred_at, [(change, timedelta(hours=1))], timedelta(hours=2))
    behind = Local(E.occurred_at, [], -timedelta(hours=3, minutes=30))
    found = filled(EVENTS, engine).fetch(select(local, behind).where(E.id.in_([1, 6])).order_by(E.id))
    assert [tuple(at.replace(tzinfo=None) for at in row) for row in found] == [
        (datetime(2026, 3, 29, 1, 59), datetime(2026, 3, 28, 21, 29)),
        (datetime(2026, 3, 29, 3, 59, 0, 7_000), datetime(2026, 3, 28, 22, 29, 0, 7_000)),
    ]


def test_a_bucket_begins_with_its_unit_and_a_week_on_monday(engine: str) -> None:
    units = {
        "minute": datetime(2026, 3, 29, 1, 59),
        "hour": datetime(2026, 3, 29, 1),
        "day": datetime(2026, 3, 29),
        "week": datetime(2026, 3, 23),
        "month": datetime(2026, 3, 1),
    }
    buckets = select(*(Bucket(unit, E.occurred_at) for unit in units)).where(E.id == 6)
    (found,) = filled(EVENTS, engine).fetch(buckets)
    assert [at.replace(tzinfo=None) for at in found] == list(units.values())


def test_texts_are_sorted_by_code_point(engine: str) -> None:
    # Values of no column, so that they have the order of the database's language.
    names = union_all(*(select(cast(literal(name), String).label("name")) for name in NAMES)).subquery().c.name
    statement, store = select(names).order_by(ByCodePoint(names)), filled([], engine)
    assert [name for (name,) in store.fetch(statement)] == sorted(NAMES)
    if engine == "postgresql":  # the server that tests have may know no language
        assert store.sql(statement).endswith('COLLATE "C"')


def test_among_very_many_texts_only_the_same_one_is_found(engine: str) -> None:
    store = filled([stored(n + 1, AT, 1, path=name) for n, name in enumerate(NAMES)], engine)
    for name in NAMES:
        texts = [name, *(f"{name}{n}x" for n in range(3_000))]
        assert store.fetch(select(E.path).where(Among(E.path, texts))) == [(name,)]
    assert store.fetch(select(E.path).where(Among(E.path, ["nothing"]))) == []


def test_a_list_of_texts_that_is_written_out_for_people_runs(engine: str) -> None:
    store = filled([stored(n + 1, AT, 1, path=name) for n, name in enumerate(NAMES)], engine)
    written = store.sql(select(E.id).where(Among(E.path, ["a'b", "ﬁ", "it's; --"])).order_by(E.id))
    assert store.fetch(text(written)) == [(NAMES.index("ﬁ") + 1,), (NAMES.index("a'b") + 1,)]


def test_a_quote_in_a_text_ends_no_literal() -> None:
    odd = "it's; --'"
    assert filled([]).fetch(select(literal_column(quoted(odd)))) == [(odd,)]
