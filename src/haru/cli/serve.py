"""`haru serve`: the server."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from haru.cli.output import echo
from haru.clock import now_ms

if TYPE_CHECKING:
    from haru.settings import Settings

log = logging.getLogger(__name__)


@click.command("serve")
@click.option("--dev", is_flag=True, help="For a first look: makes an account and a demo site on an empty data folder.")
@click.option("--host", help="Address to listen on, instead of HARU_HOST.")
@click.option("--port", type=int, help="Port to listen on, instead of HARU_PORT.")
@click.option("--workers", type=click.IntRange(0, 64), help="Processes that only collect, instead of HARU_WORKERS.")
def serve(dev: bool, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the dashboard and collect events until Ctrl-C.

    With --dev it listens on this machine only; on an empty data folder it makes the account dev@haru.local and a demo
    site. Without, it refuses to start while that account's known password works.

    \b
    Examples:
      haru serve --dev
      HARU_BASE_URL=https://stats.example.com haru serve
      haru serve --port 8080
      haru serve --workers 2
    """
    # Before the settings are first read: Django and collect read the same ones.
    if host is not None:
        os.environ["HARU_HOST"] = host
    if port is not None:
        os.environ["HARU_PORT"] = str(port)
    if workers is not None:
        os.environ["HARU_WORKERS"] = str(workers)
    from haru.server import application, logs
    from haru.settings import current, doubts

    settings = current()
    logs.configure(settings)
    for sentence in doubts(settings, os.environ):
        log.warning("setting_doubted", extra={"reason": sentence})
    checked = _accounts_answer()
    if checked:  # collecting needs no accounts: the server asks for them again until they answer
        if dev:
            settings = _develop(settings)
        else:
            from haru.demo.development import refuse_known_password

            refuse_known_password()
    from haru.collect.address import is_loopback

    application.serve(settings, checked=checked, development=dev and is_loopback(settings.host))


def _accounts_answer() -> bool:
    """Whether the database of accounts can be used; when not, it is logged."""
    from haru.web.project import setup

    setup.configure()
    from django.db import Error

    try:
        setup.prepare()
    except Error as error:
        log.error(
            "accounts_unavailable", extra={"error": str(error), "outcome": "pages answer 503, collecting goes on"}
        )
        return False
    return True


def _develop(settings: Settings) -> Settings:
    from haru.demo import development
    from haru.spool.spool import Spool, spool_path
    from haru.web.project import mail

    if settings.log_format == "auto":
        settings = replace(settings, log_format="text")
    mail.print_on_console()
    spool = Spool(spool_path(settings))
    try:
        if development.prepare(settings, spool, now_ms()):
            echo("Made a demo site with 90 days of made-up traffic.")
    finally:
        spool.close()
    echo(f"Open {settings.base_url} and sign in as {development.EMAIL} with {development.PASSWORD} (Ctrl-C ends).")
    return settings
