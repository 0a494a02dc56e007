"""docs/cli.md is what the commands say of themselves, and no command is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from haru.cli import haru

TEXT = (Path(__file__).parent.parent.parent / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## `haru ?(.*?)`\n\n```\n(.*?)\n```$", TEXT, re.DOTALL | re.MULTILINE))


def commands(group: click.Group, *words: str) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name))


def test_every_command_is_in_the_reference_and_no_other() -> None:
    assert set(SECTIONS) == {"", *commands(haru)} - {"version"}


@pytest.mark.parametrize("words", SECTIONS)
def test_the_reference_is_the_help(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    haru.main([*words.split(), "--help"], prog_name="haru", standalone_mode=False)
    assert capsys.readouterr().out.strip() == SECTIONS[words]
