"""How a group of commands finds the one that was typed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from typer.core import TyperGroup

# Whoever mistyped another command and takes what is offered must lose nothing.
DELETING = frozenset({"delete", "erase", "remove", "reset", "revoke"})


class Group(TyperGroup):
    """A group that offers the nearest commands for one it does not have, but none that deletes."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first word names, as `TyperGroup` has it."""
        word = args[0]
        if not (ctx.resilient_parsing or word.startswith("-") or self.get_command(ctx, word)):
            nearest = get_close_matches(word, self.commands.keys() - DELETING)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            ctx.fail(f'There is no command "{word}".{hint}')
        return super().resolve_command(ctx, args)
