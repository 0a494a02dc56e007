"""Links of the Markdown files lead to files that are there, and each page is in the navigation of the site."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCES = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A file or folder in code marks: `stats/query.py`, `tests/crash`, `web/api/`. What begins with a slash is a page of a server.
NAMED = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.(?:py|md|toml|txt|html|js))?|(?:src|tests|bench|tools|docs)/[\w./-]+)`")
BUILT = {"site/", "src/haru/web/static/build"}


def names(pages: list[Path]) -> list[Any]:
    return [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages]


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return FENCES.sub("", page.read_text("utf-8"))


@pytest.mark.parametrize("page", names(PAGES))
def test_a_link_leads_to_a_file_that_is_there(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", names(sorted(DOCS.rglob("*.md"))))
def test_a_page_of_the_site_links_to_no_file_outside_of_it(page: Path) -> None:
    targets = [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in targets if not (page.parent / link).resolve().is_relative_to(DOCS)] == []


@pytest.mark.parametrize("page", names(PAGES))
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    """At the root of the project, or anywhere in the package: `api/` is short for `web/api/`."""
    named = set(NAMED.findall(prose(page))) - BUILT
    missing = [name for name in named if not (ROOT / name).exists() and not any((ROOT / "src" / "haru").rglob(name))]
    assert sorted(missing) == []


def in_navigation(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from in_navigation(target) if isinstance(target, list) else [target]


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    assert sorted(in_navigation(site["nav"])) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )


def test_haru_s_own_words_are_those_of_the_code() -> None:
    """A word that the code has left behind leaves the glossary too."""
    own = (DOCS / "glossary.md").read_text("utf-8").partition("## Haru's own words")[2]
    words = re.findall(r"^\| ([a-z ]+) \|", own, re.MULTILINE)[1:]
    code = "\n".join(file.read_text("utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    assert len(words) > 20
    assert [word for word in words if not re.search(rf"\b{word}\b", code, re.IGNORECASE)] == []


@pytest.mark.parametrize(
    "page", names(sorted(set((DOCS / "decisions").glob("*.md")) - {DOCS / "decisions" / "index.md"}))
)
def test_a_decision_says_what_and_why_and_what_else_there_was(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert headings[:2] == ["What", "Why"]
    assert headings[2] in {"What else was tried", "What else was possible"}
    assert headings[3:] in ([], ["Figures"])


def test_every_decision_is_in_the_list_of_them() -> None:
    listed = re.findall(r"^\| \[.*?\]\((.*?)\)", (DOCS / "decisions" / "index.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in (DOCS / "decisions").glob("*.md") if page.name != "index.md")


def test_each_line_of_the_changelog_is_in_a_section_of_its_release_and_there_once() -> None:
    """Lines are merged by union, which may bring one back where it was."""
    for release in (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n## ")[1:]:
        before, *sections = release.split("\n### ")
        assert "\n- " not in before
        titles = [section.partition("\n")[0] for section in sections]
        assert titles == [title for title in ("Added", "Changed", "Fixed", "For operators") if title in titles]
        lines = [line for section in sections for line in section.splitlines()[1:] if line.strip()]
        assert [line for line in lines if not line.startswith(("- ", "  "))] == []
        assert [line for line in set(lines) if lines.count(line) > 1] == []
