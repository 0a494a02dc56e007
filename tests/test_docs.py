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


def in_navigation(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            yield from in_navigation(target) if isinstance(target, list) else [target]


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    assert sorted(in_navigation(site["nav"])) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )
