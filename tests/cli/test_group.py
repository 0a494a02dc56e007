"""What is answered to a mistyped command."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from haru.cli import haru, main
from haru.cli.group import DELETING, Group


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def groups(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], dict[str, click.Command]]]:
    """Each group's words and what it holds; every one of them is ours."""
    assert isinstance(group, Group), f"{' '.join(words)}: make it with cls=Group"
    context = click.Context(group)
    held = {name: group.get_command(context, name) for name in group.list_commands(context)}
    yield words, held
    for name, command in held.items():
        if isinstance(command, click.Group):
            yield from groups(command, *words, name)


def test_the_nearest_commands_are_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'There is no command "chek". Did you mean check?' in answer(capsys, "chek")
    assert 'There is no command "lst". Did you mean list or set?' in answer(capsys, "site", "lst")
    assert "Did you mean" not in answer(capsys, "qqqqqq")


def test_every_command_that_asks_before_it_deletes_is_known_as_one() -> None:
    for _, held in groups(haru):
        for name, command in held.items():
            if any("--yes" in option.opts for option in command.params):
                assert name in DELETING, f"{name}: whoever mistypes another command must not be offered this one"


def test_no_command_that_deletes_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reset" not in answer(capsys, "restore")
    for words, held in groups(haru):
        for name in DELETING & held.keys():
            assert name not in answer(capsys, *words, name[:-1]).replace(f'"{name[:-1]}"', "")
