"""The filters of a dashboard: read from its address, set by a click, said as a sentence."""

from __future__ import annotations

import json

import pytest

from haru.stats.query import QueryError
from haru.stats.vocabulary.dimensions import DIMENSIONS, Level
from haru.stats.vocabulary.filters import Leaf, Or
from haru.stats.vocabulary.goals import Goal
from haru.web.dashboard import filters
from haru.web.dashboard.chips import chips
from haru.web.dashboard.state import State, read

GERMANY = Leaf("is", "visit:country", ("DE",))
BLOG = Leaf("contains", "event:page", ("/blog",))


def said(tree: list[object]) -> str:
    (found,) = filters.read(json.dumps([tree]), [Goal("Signup", "Signup")])
    return "".join(part.text for part in filters.sentence(found))


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (["is", "visit:country", ["DE"]], "Country is Germany"),
        (["is", "visit:country", ["DE", "AT"]], "Country is Germany or Austria"),
        (["is_not", "visit:region", ["DE-BY"]], "Region is not Bayern"),
        (["is", "visit:browser", ["a", "b", "c", "d"]], "Browser is a, b, c or d"),
        (["is", "visit:browser", ["a", "b", "c", "d", "e"]], "Browser is a, b, c or 2 more"),
        (["contains", "event:page", ["/b"], {"case_sensitive": False}], "Page contains /b, in capitals or not"),
        (["is", "event:props:plan", ["pro"]], "plan is pro"),
        (["not", ["is", "visit:os", ["iOS"]]], "not (Operating system is iOS)"),
        (["has_done", ["is", "event:goal", ["Signup"]]], "Has done: Goal is Signup"),
        (["has_not_done", ["is", "event:name", ["x"]]], "Has not done: Event is x"),
        (
            ["or", [["is", "visit:os", ["iOS"]], ["and", [["is", "visit:os", ["a"]], ["is", "visit:os", ["b"]]]]]],
            "Operating system is iOS or (Operating system is a and Operating system is b)",
        ),
    ],
)
def test_a_filter_reads_as_a_sentence(tree: list[object], text: str) -> None:
    assert said(tree) == text


def test_each_dimension_that_can_be_filtered_by_has_a_label() -> None:
    can = {name for name, dimension in DIMENSIONS.items() if dimension.level is not Level.TIME}
    assert set(filters.LABELS) == can


def test_filters_come_back_from_the_address_as_they_were() -> None:
    state = State(period="7d", filters=(GERMANY, BLOG))
    found = dict(state.pairs())
    assert found["filters"] == '[["is","visit:country",["DE"]],["contains","event:page",["/blog"]]]'
    assert read(found, "30d", filters.read(found["filters"], ())) == state
    assert "filters" not in dict(State(period="7d").pairs())


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "{}",
        "[1]",
        '[["is","visit:nothing",["x"]]]',
        '[["is","event:goal",["Gone"]]]',
        "[" * 100_000,
        "x" * 200_000,
    ],
)
def test_what_is_no_filter_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(QueryError, match="#/filters"):
        filters.read(text, ())


def test_a_click_on_a_row_narrows_to_its_value_and_a_second_takes_that_back() -> None:
    once = filters.narrowed((BLOG,), "visit:country", "DE")
    assert once == (BLOG, GERMANY)
    assert filters.narrowed(once, "visit:country", "DE") == (BLOG,)
    both = (Leaf("is", "visit:country", ("DE", "AT")),)
    assert filters.narrowed(both, "visit:country", "AT") == (Leaf("is", "visit:country", ("AT",)),)
    either = (Or((GERMANY, BLOG)),)
    assert filters.narrowed(either, "visit:os", "iOS") == (*either, Leaf("is", "visit:os", ("iOS",)))


def test_chips_lead_to_views_without_them_and_to_or() -> None:
    state = State(period="7d", filters=(GERMANY, BLOG))
    found = chips(state)
    assert [chip.text for chip in found.chips] == ["Country is Germany", "Page contains /blog"]
    assert found.chips[0].without == State(period="7d", filters=(BLOG,)).address()
    assert found.without == State(period="7d").address()
    assert not found.any_of
    assert found.other == State(period="7d", filters=(Or((GERMANY, BLOG)),)).address()
    either = chips(State(period="7d", filters=(Or((GERMANY, BLOG)),)))
    assert either.any_of
    assert either.other == state.address()
    assert either.chips[1].without == State(period="7d", filters=(GERMANY,)).address()


def test_goals_are_not_offered_to_be_joined_by_or() -> None:
    assert chips(State(filters=(Leaf("is", "event:goal", ("Signup",)), BLOG))).other == ""
