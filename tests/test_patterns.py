from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru import patterns
from haru.patterns import BadPattern, Expressions

MEMORY = 1 << 20


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/admin", ["/admin"], ["/admin/", "/Admin", "/x/admin", "/"]),
        ("/admin/*", ["/admin/users", "/admin/"], ["/admin", "/admin/users/1"]),
        ("/admin/**", ["/admin/", "/admin/users/1", "/admin/a\nb"], ["/admin", "/administration/x"]),
        ("/***", ["/", "/a/b"], [""]),
        ("/a(b)[c].*", ["/a(b)[c].d"], ["/ab", "/a(b)[c]xd"]),
        ("/never|/asked", ["/never|/asked"], ["/never", "/asked"]),
        ("/日本*", ["/日本語"], ["/日本語/ページ"]),
    ],
)
def test_a_page_pattern_is_for_the_whole_path(pattern: str, inside: list[str], outside: list[str]) -> None:
    is_page = patterns.pages([pattern])
    assert [path for path in inside if not is_page(path)] == []
    assert [path for path in outside if is_page(path)] == []


def matches(pattern: str, path: str) -> bool:
    """The rule again, letter by letter."""
    if not pattern:
        return not path
    if pattern.startswith("*"):
        deep = pattern.startswith("**")
        rest = pattern[2 if deep else 1 :]
        ends = range(len(path) + 1)
        return any(matches(rest, path[end:]) for end in ends if deep or "/" not in path[:end])
    return path[:1] == pattern[0] and matches(pattern[1:], path[1:])


@given(st.lists(st.text("a/*.", max_size=7), min_size=1, max_size=3), st.text("a/.\n", max_size=7))
def test_a_path_is_one_of_the_pages_where_the_rule_says_so(pages: list[str], path: str) -> None:
    assert patterns.pages(pages)(path) is any(matches(pattern, path) for pattern in pages)


def test_two_stars_in_a_row_are_one_place() -> None:
    assert patterns.stars("/blog/2024") == 0
    assert patterns.stars("/*/a/**/b*") == 3


def test_a_bad_choice_of_stars_is_tried_in_no_time() -> None:
    assert not patterns.pages(["/" + "**a" * 50])("/" + "a" * 2_000 + "b" * 40)


def test_an_expression_is_searched_in_a_text_with_or_without_case() -> None:
    assert patterns.search("b.g", max_memory=MEMORY)("a bag")
    assert not patterns.search("b.g", max_memory=MEMORY)("a BAG")
    assert patterns.search("b.g", max_memory=MEMORY, case_sensitive=False)("a BAG")


@pytest.mark.parametrize(
    ("expression", "says"), [("(", "missing"), ("a{1000}{1000}", "bad repetition"), ("(?=a)", "invalid perl")]
)
def test_what_re2_does_not_take_is_named(expression: str, says: str) -> None:
    with pytest.raises(BadPattern, match=says):
        patterns.search(expression, max_memory=MEMORY)


def test_an_expression_may_not_take_more_memory_than_it_is_given() -> None:
    wanted = "(?:a.{0,500}){2}"
    assert not patterns.search(wanted, max_memory=1 << 24)("b")
    with pytest.raises(BadPattern, match="too large"):
        patterns.search(wanted, max_memory=1 << 12)


def test_many_expressions_are_looked_for_at_once_and_a_bad_one_takes_no_number() -> None:
    many = Expressions(MEMORY)
    many.add("cat")
    with pytest.raises(BadPattern):
        many.add("(")
    many.add("d.g")
    many.compile()
    assert sorted(many.within("dog and cat")) == [0, 1]
    assert many.within("the dug") == [1]
    assert many.within("a cow") == []
