"""`haru check`: is everything as it should be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haru.cli import context, failure
from haru.cli.output import echo

if TYPE_CHECKING:
    from haru.settings import Settings

EARLIEST = 1_767_225_600  # 2026: a clock before it was never set
OK, WARN, BAD = "ok", "warn", "BAD"

Check = Callable[["Settings"], str]


class Problem(Exception):
    """A check failed; the text is a sentence with the remedy."""


class Doubt(Exception):
    """Something works and is probably not meant so; the text says what and the remedy."""


@click.command("check")
@click.option(
    "--settings", "settings_table", is_flag=True, help="Show the table of settings, as Markdown, and nothing else."
)
def check(settings_table: bool) -> None:
    """Check settings, data folder, databases and built files; exit code 1 and the remedy when something is wrong.

    What works and is probably not meant so is shown as warn.

    \b
    Examples:
      haru check
      haru check --settings
    """
    if settings_table:
        from haru.settings import reference

        echo(reference(), nl=False)
        return
    settings = context.settings()
    wrong = 0
    for name, result, sentence in _results(settings):
        wrong += result == BAD
        echo(f"{result:4} {name}: {sentence}")
    if wrong:
        raise click.exceptions.Exit(failure.FAILED)


def _results(settings: Settings) -> Iterator[tuple[str, str, str]]:
    for name, run in CHECKS.items():
        try:
            yield name, OK, run(settings)
        except Doubt as doubt:
            yield name, WARN, str(doubt)
        except Problem as problem:
            yield name, BAD, str(problem)
        except Exception as error:
            sentence = failure.sentence(error)
            if sentence is None:
                raise
            yield name, BAD, sentence


def _settings(settings: Settings) -> str:
    from haru.settings import doubts

    if sentences := doubts(settings, os.environ):
        raise Doubt(" ".join(sentences))
    return f"served at {settings.base_url}."


def _folder(settings: Settings) -> str:
    probe = settings.data_dir / f".probe.{os.getpid()}"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise Problem(f"{settings.data_dir} cannot be written ({error.strerror}): give it to this user.") from None
    return f"{settings.data_dir} can be written."


def _clock(_: Settings) -> str:
    if time.time() < EARLIEST:
        raise Problem("the machine's clock is years behind: set it, for every visit is stored with its time.")
    return time.strftime("%Y-%m-%d %H:%M:%S UTC.", time.gmtime())


def _accounts(settings: Settings) -> str:
    context.database()
    from haru.accounts.models import User
    from haru.sites.models import Site

    if settings.registration == "first" and not User.objects.exists():
        return "there is no account, and whoever registers first has one: `haru user add you@example.com` adds yours."
    return f"{User.objects.count()} accounts, {Site.objects.count()} sites."


def _spool(settings: Settings) -> str:
    from haru.spool.spool import Spools

    spools = Spools(settings.data_dir)
    try:
        return f"{spools.depth()} events wait for the store."
    finally:
        spools.close()


def _store(settings: Settings) -> str:
    from haru.server.control import Client, NotRunning

    try:
        position = Client(settings.data_dir).call("status")["position"]
        return f"the running server has it open, up to event {position}."
    except NotRunning:
        from haru.store.opening import event_store

        store = event_store(settings)
        try:
            return f"opens, up to event {store.progress().last_id}; no server runs."
        finally:
            store.close()


def _sites(settings: Settings) -> str:
    context.database()
    from haru.sites.models import Site

    lost = context.lost_sites(settings)
    if lost:
        raise Problem(
            f"the event store has {len(lost)} that the accounts do not know, and nobody sees their numbers: "
            "`haru site adopt` lists them and gives them back."
        )
    return f"{Site.objects.count()}, and the event store has no other."


def _built(_: Settings) -> str:
    import haru

    folder = Path(haru.__file__).parent / "web" / "static" / "build"
    missing = [name for name in ("app.css", "app.js", "haru.js") if not (folder / name).is_file()]
    if missing:
        raise Problem(f"{', '.join(missing)} is not built: run `make build`.")
    return f"the tracker has {(folder / 'haru.js').stat().st_size:,} bytes."


CHECKS: dict[str, Check] = {
    "settings": _settings,
    "data folder": _folder,
    "clock": _clock,
    "accounts": _accounts,
    "spool": _spool,
    "event store": _store,
    "sites": _sites,
    "front end": _built,
}
