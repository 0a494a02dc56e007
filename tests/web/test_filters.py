"""The filters of a dashboard: read from its address, set by a click, said as a sentence."""

from __future__ import annotations

import json

import pytest
from django.http import Http404, QueryDict

from haru.stats.plan import StatsSite
from haru.stats.query import QueryError
from haru.stats.suggestions import Suggestion
from haru.stats.vocabulary.dimensions import DIMENSIONS, Level
from haru.stats.vocabulary.filters import Done, Filter, Leaf, Or, written
from haru.stats.vocabulary.goals import Goal
from haru.web.dashboard import filter_form, filters
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
        (
            ["contains", "event:page", ["/b"], {"case_sensitive": False}],
            "Page contains /b, in capitals or small letters",
        ),
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


def sent(**fields: object) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, value in fields.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return data


class Looking:
    """A view of a dashboard without a store: nothing is suggested."""

    def __init__(self, *trees: Filter) -> None:
        self.state = State(filters=trees)
        self.stats_site = StatsSite(1, "UTC", (Goal("Signup", "Signup"),))


@pytest.fixture
def nothing_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_form, "_suggested", lambda view, form, dimension: [Suggestion("DE", "Germany", 1)])


@pytest.mark.parametrize(
    ("fields", "tree"),
    [
        ({"dimension": "visit:country", "value": ["DE", "AT"], "typed": "x"}, ["is", "visit:country", ["DE", "AT"]]),
        ({"dimension": "visit:country", "typed": " germany "}, ["is", "visit:country", ["DE"]]),
        ({"dimension": "visit:country", "typed": "XK"}, ["is", "visit:country", ["XK"]]),
        (
            {"dimension": "event:page", "operator": "contains", "lines": "/a\r\n\r\n /b ", "value": ["c"]},
            ["contains", "event:page", ["/a", "/b"]],
        ),
        (
            {"dimension": "visit:city", "operator": "contains_not", "lines": "burg", "any_case": "1"},
            ["contains_not", "visit:city_name", ["burg"], {"case_sensitive": False}],
        ),
        (
            {"dimension": "event:goal", "value": ["Signup"], "scope": "has_not_done"},
            ["has_not_done", ["is", "event:goal", ["Signup"]]],
        ),
        ({"dimension": "event:props:", "key": "plan", "value": ["pro"]}, ["is", "event:props:plan", ["pro"]]),
    ],
)
@pytest.mark.usefixtures("nothing_suggested")
def test_the_form_makes_the_filter_that_it_shows(fields: dict[str, object], tree: list[object]) -> None:
    (found,) = filter_form.changed(Looking(), sent(**{"operator": "is", **fields}))  # type: ignore[arg-type]
    assert written(found) == tree


@pytest.mark.usefixtures("nothing_suggested")
@pytest.mark.parametrize(
    "fields",
    [
        {"dimension": "visit:country"},
        {"dimension": "event:page", "operator": "matches", "lines": "("},
        {"dimension": "event:goal", "value": ["Gone"]},
        {"dimension": "visit:country", "value": ["DE"], "scope": "has_done"},
    ],
)
def test_a_form_that_makes_no_filter_says_why(fields: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        filter_form.changed(Looking(), sent(**{"operator": "is", **fields}))  # type: ignore[arg-type]


def test_a_changed_filter_keeps_its_place_and_a_new_one_comes_last_whatever_joins_them() -> None:
    change = sent(dimension="visit:country", operator="is", value=["AT"], at="0")
    austria = Leaf("is", "visit:country", ("AT",))
    assert filter_form.changed(Looking(GERMANY, BLOG), change) == (austria, BLOG)  # type: ignore[arg-type]
    assert filter_form.changed(Looking(Or((GERMANY, BLOG))), change) == (Or((austria, BLOG)),)  # type: ignore[arg-type]
    new = sent(dimension="visit:country", operator="is", value=["AT"])
    assert filter_form.changed(Looking(GERMANY, BLOG), new) == (GERMANY, BLOG, austria)  # type: ignore[arg-type]
    goal = sent(dimension="event:goal", operator="is", value=["Signup"])
    with pytest.raises(QueryError, match="top level"):
        filter_form.changed(Looking(Or((GERMANY, BLOG))), goal)  # type: ignore[arg-type]


@pytest.mark.parametrize("tree", [GERMANY, BLOG, Done(Leaf("is", "event:page", ("/",)), negated=True)])
def test_a_filter_comes_back_from_its_form_as_it_was(tree: Filter) -> None:
    form = filter_form.of_filter(tree, 0)
    assert form
    fields = {
        "dimension": form.dimension,
        "operator": form.operator,
        "scope": form.scope,
        "lines": form.lines,
        "at": "0",
    }
    again = filter_form.changed(Looking(tree), sent(**fields, value=list(form.values)))  # type: ignore[arg-type]
    assert again == (tree,)


def test_the_form_of_what_there_is_not_is_not_found() -> None:
    assert filter_form.of_filter(Or((GERMANY, BLOG)), 0) is None
    for fields in (
        {"dimension": "visit:nothing"},
        {"dimension": "time:day"},
        {"at": "7"},
        {"at": "-1"},
        {"at": "²"},
        {"at": "9" * 5_000},
    ):
        with pytest.raises(Http404):
            filter_form.read((GERMANY,), sent(**fields))
    assert {name for names in filter_form.GROUPS.values() for name in names} >= {
        name for name in filters.LABELS if not name.endswith("_name")
    }
