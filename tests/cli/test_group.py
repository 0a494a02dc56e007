"""What is answered to a mistyped command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from haru.cli import app, main
from haru.cli.group import DELETING, Group


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def groups(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from groups(command, *words, name)


def test_the_nearest_commands_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'There is no command "chek". Did you mean check?' in answer(capsys, "chek")
    assert 'There is no command "lst". Did you mean list or set?' in answer(capsys, "site", "lst")
    assert "Did you mean" not in answer(capsys, "qqqqqq")


def test_every_command_that_asks_before_it_deletes_is_known_as_one() -> None:
    for _, group in groups(typer.main.get_command(app)):
        for name, command in group.commands.items():
            if any("--yes" in option.opts for option in command.params):
                assert name in DELETING, f"{name}: whoever mistypes another command must not be offered this one"


def test_no_command_that_deletes_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reset" not in answer(capsys, "restore")
    for words, group in groups(typer.main.get_command(app)):
        assert isinstance(group, Group), f"{' '.join(words)}: add it with cls=Group"
        for name in DELETING & group.commands.keys():
            assert name not in answer(capsys, *words, name[:-1]).replace(f'"{name[:-1]}"', "")
