from __future__ import annotations

import pytest

from haru.stats.vocabulary.goals import Goal


@pytest.mark.parametrize(
    ("page", "path", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a*", "/a", True),
        ("/a*", "/abc", True),
        ("/a*", "/a/b", False),
        ("/*/b", "/a/b", True),
        ("/*/b", "/a/c/b", False),
        ("/**/b", "/a/c/b", True),
        ("/a/**", "/a/", True),
        ("/a/**", "/a", False),
        ("**", "", True),
        ("**", "/line\nbreak", True),
        ("/***", "/a/b", True),
        ("/.+", "/xx", False),
        ("/(a|b)*", "/a", False),
        ("/größe*", "/größer", True),
        ("/*.html", "/\U0001f600.html", True),
    ],
)
def test_a_star_is_text_without_a_slash_and_two_are_any_text(page, path, expected) -> None:
    goal = Goal("goal", page=page)
    assert goal.is_on(path) is expected
    assert goal.by_path == ("*" in page)


def test_a_goal_of_an_event_is_reached_on_no_page() -> None:
    assert not Goal("goal", event="/a").is_on("/a")


def test_a_pattern_with_many_stars_is_tried_in_no_time() -> None:
    assert not Goal("goal", page="/" + "**a" * 50).is_on("/" + "a" * 2_000 + "b" * 40)
