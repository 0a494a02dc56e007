"""Every command of `haru`: its module is imported when the command is typed, or told of."""

from __future__ import annotations

from importlib import import_module

import click

from haru.cli.group import Group

# In the order of `haru --help`, each with the command or group of its module.
COMMANDS = {
    "serve": "haru.cli.serve:serve",
    "bench": "haru.cli.bench:bench",
    "setup": "haru.cli.storage:setup",
    "migrate": "haru.cli.storage:migrate",
    "reset": "haru.cli.storage:reset",
    "check": "haru.cli.check:check",
    "demo": "haru.cli.demo:demo",
    "query": "haru.cli.query:query",
    "move": "haru.cli.transfer.move:move",
    "user": "haru.cli.people:group",
    "site": "haru.cli.sites:group",
    "key": "haru.cli.keys:group",
    "import": "haru.cli.transfer.import_:group",
    "export": "haru.cli.transfer.export:group",
}


class Haru(Group):
    """The application's own group: its own commands, then those of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, for which nothing is imported."""
        return [*self.commands, *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None when there is none."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found
