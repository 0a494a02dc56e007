"""How a group of commands finds the one that was typed."""

from __future__ import annotations

from difflib import get_close_matches

import click

# Whoever mistyped another command and takes what is offered must lose nothing.
DELETING = frozenset({"delete", "erase", "remove", "reset", "revoke"})


class Group(click.Group):
    """A group that offers the nearest commands for one it does not have, but none that deletes."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, as `click.Group` has it."""
        word = args[0]
        names = self.list_commands(ctx)
        if not (ctx.resilient_parsing or word.startswith("-") or word in names):
            nearest = get_close_matches(word, set(names) - DELETING)
            hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            ctx.fail(f'There is no command "{word}".{hint}')
        return super().resolve_command(ctx, args)
