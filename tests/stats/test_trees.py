"""Segments in filters: what they hold takes their place, under every rule and bound of filters."""

from __future__ import annotations

from typing import Any

import pytest

from haru.stats import bounds
from haru.stats.query import QueryError, parse, parse_segment
from haru.stats.vocabulary import filters
from haru.stats.vocabulary.goals import Goal

GOALS = (Goal("Signup", "Signup"),)
GERMAN = ["is", "visit:country", ["DE"]]
BLOG = ["contains", "event:page", ["/blog"]]
GOAL = ["is", "event:goal", ["Signup"]]
KNOWN: dict[int, list[Any]] = {
    1: [GERMAN],
    2: [GERMAN, BLOG],
    3: [GOAL, GERMAN],
    4: [["has_done", BLOG]],
    5: [["is", "event:goal", ["Gone"]]],
    6: [["or", [GERMAN, BLOG]]],
}


def read(*trees: Any, known: dict[int, list[Any]] = KNOWN) -> list[Any]:
    query = {"metrics": ["visitors"], "date_range": "day", "filters": list(trees)}
    return [filters.written(tree) for tree in parse(query, GOALS, known.get).filters]


def fault(*trees: Any, known: dict[int, list[Any]] = KNOWN) -> str:
    with pytest.raises(QueryError) as raised:
        read(*trees, known=known)
    (found,) = raised.value.faults
    return found


def segment(*ids: Any) -> list[Any]:
    return ["is", "segment", list(ids)]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([segment(1)], [GERMAN]),
        ([segment("1")], [GERMAN]),
        ([segment(2), BLOG], [GERMAN, BLOG, BLOG]),
        ([segment(1, 2)], [["or", [GERMAN, ["and", [GERMAN, BLOG]]]]]),
        ([["not", segment(2)]], [["not", ["and", [GERMAN, BLOG]]]]),
        ([["or", [segment(1), BLOG]]], [["or", [GERMAN, BLOG]]]),
        ([["has_done", ["not", ["and", [BLOG, BLOG]]]], segment(4)], None),
        ([segment(3)], [GOAL, GERMAN]),
        ([segment(6)], [["or", [GERMAN, BLOG]]]),
    ],
)
def test_what_a_segment_holds_stands_in_its_place(given: list[Any], meant: list[Any] | None) -> None:
    read_ = read(*given)
    assert meant is None or read_ == meant
    assert read(*read_) == read_  # as understood it means the same


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        (segment(7), '#/filters/0/2/0: Unknown segment "7"'),
        (segment(1, "x"), '#/filters/0/2/1: Unknown segment "x"'),
        (segment(True), '#/filters/0/2/0: Unknown segment "True"'),
        (segment(-1), '#/filters/0/2/0: Unknown segment "-1"'),
        (segment("٣"), '#/filters/0/2/0: Unknown segment "٣"'),
        (segment("9" * 5000), '#/filters/0/2/0: Unknown segment "999'),
        (segment([[1]]), '#/filters/0/2/0: Unknown segment "[[1]]"'),
        (["is_not", "segment", [1]], "#/filters/0/0: A segment takes the operator is"),
        (["matches", "segment", ["1"]], "#/filters/0/0: A segment takes the operator is"),
        (["is", "segment", []], "#/filters/0: Give the ids of segments"),
        (["is", "segment", 1], "#/filters/0: Give the ids of segments"),
        (["is", "segment", [1], {"case_sensitive": False}], "#/filters/0: Give the ids of segments"),
        (["not", segment(3)], '#/filters/0/1: Segment "3" cannot stand here: The dimension "event:goal" can only'),
        (segment(1, 3), '#/filters/0: Segment "3" cannot stand here: The dimension "event:goal" can only'),
        (["has_done", segment(4)], '#/filters/0/1: Segment "4" cannot stand here: "has_done" cannot stand inside'),
        (["has_done", segment(1)], '#/filters/0/1: Segment "1" cannot stand here: has_done and has_not_done speak'),
        (segment(5), '#/filters/0: Segment "5" cannot stand here: This site has no goal "Gone"'),
    ],
)
def test_a_segment_that_makes_no_sense_is_one_fault(tree: Any, sentence: str) -> None:
    assert fault(tree).startswith(sentence)


def test_without_segments_every_one_is_unknown() -> None:
    with pytest.raises(QueryError, match="Unknown segment"):
        parse({"metrics": ["visitors"], "date_range": "day", "filters": [segment(1)]})


def test_bounds_hold_for_what_segments_hold() -> None:
    leaves = {1: [GERMAN] * (bounds.MAX_LEAVES // 2)}
    assert len(read(segment(1), segment(1), known=leaves)) == bounds.MAX_LEAVES
    assert "200 comparisons" in fault(segment(1), segment(1), GERMAN, known=leaves)
    clauses = {1: [["is", "event:page", ["/"] * bounds.MAX_CLAUSES]]}
    assert len(read(segment(1), known=clauses)) == 1
    assert "1,000 clauses" in fault(segment(1), GERMAN, known=clauses)
    dones = {1: [["has_done", BLOG]] * bounds.MAX_DONE}
    assert "20 of has_done" in fault(segment(1), ["has_done", BLOG], known=dones)

    def nested(tree: Any, levels: int) -> Any:
        return tree if levels == 0 else ["not", nested(tree, levels - 1)]

    deep = {1: [nested(GERMAN, bounds.MAX_DEPTH - 2)]}
    assert read(["not", segment(1)], known=deep)
    assert "nested more than 16" in fault(["not", ["not", segment(1)]], known=deep)


def test_no_more_segments_are_looked_up_than_there_may_be_comparisons() -> None:
    looked: list[int] = []

    def known(id: int) -> list[Any] | None:
        looked.append(id)
        return [GERMAN] if id % 2 else None

    query = {"metrics": ["visitors"], "date_range": "day", "filters": [segment(*range(10_000)), segment(1)]}
    with pytest.raises(QueryError):
        parse(query, GOALS, known)
    assert len(looked) <= bounds.MAX_LEAVES + 1


def test_the_filters_of_a_segment_are_read_as_those_of_a_query() -> None:
    assert [filters.written(tree) for tree in parse_segment([GOAL, GERMAN], GOALS)] == [GOAL, GERMAN]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([segment(1)], "#/filters/0: A segment cannot hold another segment"),
        ([["or", [GERMAN, segment(1)]]], "#/filters/0/1/1: A segment cannot hold another segment"),
        ([], "#/filters: Give at least one filter"),
        ("x", "#/filters: Give a list of filters"),
        ([["not", GOAL]], '#/filters/0/1/1: The dimension "event:goal" can only'),
        ([["is", "event:goal", ["Gone"]]], "#/filters/0/2/0: This site has no goal"),
        ([GERMAN] * 201, "#/filters: Give at most 200 comparisons"),
    ],
)
def test_a_faulty_segment_is_not_read(data: Any, sentence: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse_segment(data, GOALS)
    assert raised.value.faults[0].startswith(sentence)
