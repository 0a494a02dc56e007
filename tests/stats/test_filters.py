from __future__ import annotations

import pytest

from haru.patterns import BadPattern
from haru.stats.answers import Reports
from haru.stats.plan import StatsSite
from haru.stats.query import parse
from haru.stats.vocabulary import filters
from haru.stats.vocabulary.filters import Leaf
from haru.stats.vocabulary.goals import Goal
from tests.stats.made import (
    ENGINES,
    HOUR,
    MINUTE,
    ask,
    filled,
    journey,
    ms,
    props,
    rows,
)

NOW = ms("2026-05-20 12:00")
VISITS = [
    *journey(100, NOW, (0, "/a"), source="Google"),
    *journey(200, NOW, (0, "/b"), source=""),
    *journey(300, NOW, (0, "/c"), source="STRASSE"),
    *journey(400, NOW, (0, "/d"), source="İstanbul"),
]


def sources(*trees) -> set[str]:
    return {name for name, _ in rows(ask(VISITS, NOW, dimensions=["visit:source"], filters=list(trees)))}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (["is", "visit:source", ["Google", "STRASSE"]], {"Google", "STRASSE"}),
        (["is", "visit:source", ["google"]], set()),
        (["is", "visit:source", ["google"], {"case_sensitive": False}], {"Google"}),
        (["is", "visit:source", ["Direct / None"]], {"Direct / None"}),
        (["is", "visit:source", [""]], set()),
        (["is_not", "visit:source", ["Direct / None", "Google"]], {"STRASSE", "İstanbul"}),
        (["contains", "visit:source", ["oo", "None"]], {"Google", "Direct / None"}),
        (["contains_not", "visit:source", ["oo", "None"]], {"STRASSE", "İstanbul"}),
        (["contains", "visit:source", [""]], {"Google", "Direct / None", "STRASSE", "İstanbul"}),
        (["contains", "visit:source", ["%"]], set()),
        (["matches", "visit:source", ["^G.*e$"]], {"Google"}),
        (["matches", "visit:source", ["None$"]], {"Direct / None"}),
        (["matches_not", "visit:source", ["^[DG]"]], {"STRASSE", "İstanbul"}),
        (["matches", "visit:source", ["^g"], {"case_sensitive": False}], {"Google"}),
        (["contains", "visit:source", ["i̇s"], {"case_sensitive": False}], {"İstanbul"}),  # as str.lower has it
        (["not", ["is", "visit:source", ["Google"]]], {"Direct / None", "STRASSE", "İstanbul"}),
        (
            ["or", [["is", "visit:source", ["Google"]], ["and", [["is", "visit:source", ["STRASSE"]]]]]],
            {"Google", "STRASSE"},
        ),
    ],
)
def test_a_filter_chooses_by_what_is_shown(tree, expected) -> None:
    assert sources(tree) == expected


def test_several_filters_must_all_hold() -> None:
    trees = ["contains", "visit:source", ["oo", "S"]], ["is_not", "visit:source", ["Google"]]
    assert sources(*trees) == {"STRASSE"}


def test_a_bad_pattern_is_told_and_not_logged(capfd) -> None:
    with pytest.raises(BadPattern, match="missing"):
        filters.check_pattern("(")
    assert capfd.readouterr().err == ""


def test_a_filter_is_written_as_it_was_read() -> None:
    trees = [
        ["is", "visit:source", ["a"]],
        ["matches", "event:page", ["b"], {"case_sensitive": False}],
        ["or", [["not", ["is", "visit:os", ["c"]]], ["and", [["is", "visit:os", ["d"]]]]]],
    ]
    asked = parse({"metrics": ["visitors"], "date_range": "day", "filters": trees})
    assert [filters.written(tree) for tree in asked.filters] == trees


def test_only_and_is_taken_apart() -> None:
    a, b, c = (Leaf("is", "event:page", (name,)) for name in "abc")
    trees = (filters.And((a, filters.And((b,)))), filters.Or((c,)))
    assert list(filters.conjuncts(trees)) == [a, b, filters.Or((c,))]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("operator", "clauses", "expected"),
    [
        ("contains", [*map(str, range(200)), "odd"], {"/odd '\\%s", "/7"}),
        ("contains_not", [*map(str, range(200)), "odd"], {"/even"}),
        ("matches", ["/"], {"/odd '\\%s", "/7", "/even"}),
        ("matches_not", ["/(odd|7)"], {"/even"}),
    ],
)
def test_very_many_values_go_to_the_store_as_one_list(monkeypatch, engine, operator, clauses, expected) -> None:
    monkeypatch.setattr(filters, "MAX_IN", 1)
    events = [*journey(1, NOW, (0, "/odd '\\%s"), (1, "/7")), *journey(2, NOW, (0, "/even"))]
    reports = Reports(filled(events, engine))
    query = parse(
        {
            "metrics": ["pageviews"],
            "date_range": "day",
            "dimensions": ["event:page"],
            "filters": [[operator, "event:page", clauses]],
        }
    )
    site = StatsSite(1, "UTC")
    assert {row.dimensions[0] for row in reports.answer(site, query, NOW + 1).rows} == expected
    assert reports.sql(site, query, NOW)["rows"]


def test_has_done_chooses_visits_by_any_of_their_events_in_the_period() -> None:
    events = [
        *journey(100, NOW, (0, "/"), (1, "/!signup")),
        *journey(200, NOW, (0, "/"), (1, "/b")),
        *journey(300, NOW - 12 * HOUR - 5 * MINUTE, (0, "/!signup"), (10, "/late")),  # before midnight, then after
    ]
    done = ["has_done", ["is", "event:name", ["signup"]]]
    assert rows(ask(events, NOW, metrics=["visits", "pageviews"], filters=[done])) == [(1, 1)]
    assert rows(ask(events, NOW, dimensions=["event:page"], filters=[["has_not_done", done[1]]])) == [
        ("/", 1),
        ("/b", 1),
        ("/late", 1),
    ]
    by_goal = ["has_done", ["is", "event:goal", ["Sign up"]]]
    assert rows(
        ask(events, NOW, goals=[Goal("Sign up", event="signup")], metrics=["visits", "bounce_rate"], filters=[by_goal])
    ) == [(1, 0)]


def test_what_was_done_is_one_event_and_goes_into_any_tree() -> None:
    events = [
        *journey(100, NOW, (0, "/a"), (1, "/b!signup"), source="x"),
        *journey(200, NOW, (0, "/a!signup"), source="x"),
        *journey(300, NOW, (0, "/c"), source="y"),
    ]
    both = ["has_done", ["and", [["is", "event:page", ["/a"]], ["is", "event:name", ["signup"]]]]]
    assert rows(ask(events, NOW, metrics=["visits"], filters=[both])) == [(1,)]
    either = ["or", [both, ["is", "visit:entry_page", ["/c"]]]]
    assert rows(ask(events, NOW, metrics=["visits", "visit_duration"], filters=[either])) == [(2, 0)]
    assert rows(ask(events, NOW, metrics=["visits"], filters=[["not", either]])) == [(1,)]


def test_a_property_and_another_filter_look_at_the_same_event() -> None:
    visit = journey(100, NOW, (0, "/a"), (1, "/b"))
    visit[0]["props"] = props(plan="pro")
    pro = ["is", "event:props:plan", ["pro"]]
    assert rows(ask(visit, NOW, metrics=["visits", "views_per_visit"], filters=[pro])) == [(1, 2.0)]
    assert rows(ask(visit, NOW, metrics=["visits"], filters=[pro, ["is", "event:page", ["/b"]]])) == [(0,)]
