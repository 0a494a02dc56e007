"""Data folders of released versions, as text. Run as a program it writes that of this version:

`HARU_DATA_DIR=... python -m tests.released.folder FOLDER`, which `tests.released.make` does.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from haru.collect.visitor import DAY_MS, Salts
from haru.events.event import Event, Origin
from haru.events.ledger import RefusalCount
from haru.spool.keys import IdempotencyKeys, KeyUse
from haru.spool.spool import Body, Imported, Spool
from tests.events.made import MINUTE, NOON, event
from tests.released.stores import loaded

DATABASES = ("accounts", "spool", "claims")  # each a file of SQLite
TEXTS = ("salts.json", "sites.json")
PASSWORD = "a long enough secret"
TOKEN = "a-token-of-the-first-release-24b"
VISITOR = (NOON, 7, b"\xc6\x33\x64\x07", "Mozilla/5.0")  # 198.51.100.7, who comes to site 7

SHOP = Origin(source="Google", channel="Organic Search", country="DE", city=2950159, browser="Firefox", language="de")
EVENTS: list[Event] = [
    event(NOON, visitor=-5, path="/ü😀", origin=SHOP, hostname="example.com", props={"plan": "it's"}),
    event(NOON + MINUTE, visitor=-5, origin=SHOP, name="purchase", revenue_currency="EUR", revenue_amount="19.99"),
    event(NOON + 2 * MINUTE, visitor=-5, name="engagement", engaged_ms=15_000, scroll_depth=80, interactive=False),
]
BODY = Body(EVENTS, [(1, "order-1")], [RefusalCount(1, NOON, "bot", "GPTBot", 3)])
KEY_USE: KeyUse = (1, "order-1", NOON, "somewhere/1/1")
DIGEST = bytes(range(16))


def restore(folder: Path, data_dir: Path) -> None:
    """Make the data folder of a release."""
    for name in DATABASES:
        with closing(sqlite3.connect(data_dir / f"{name}.sqlite3")) as connection:
            connection.executescript((folder / f"{name}.sql").read_text("utf-8"))
    for name in TEXTS:
        shutil.copy(folder / name, data_dir)


def tables(file: Path) -> list[str]:
    """What SQLite says of a file's tables and indexes."""
    with closing(sqlite3.connect(file)) as connection:
        return [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql <> '' ORDER BY 1")]


def rows(file: Path, table: str, columns: str = "*") -> list[dict[str, object]]:
    """All of a table."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT {columns} FROM {table}")]


def names(file: Path) -> list[str]:
    """The tables of a file."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return sorted(name for (name,) in found)


def _people_and_sites() -> None:
    """A row or more in each table of the accounts."""
    from allauth.account.models import EmailAddress, EmailConfirmation
    from django.contrib.sessions.backends.db import SessionStore

    from haru.accounts.models import ApiKey
    from haru.accounts.registry import create_user
    from haru.sites import goals, links, registry
    from haru.sites.models import Site

    owner, viewer = create_user("owner@example.com", PASSWORD), create_user("Mate@bücher.example", PASSWORD)
    viewer.new_email = "new@example.com"
    viewer.save()
    EmailConfirmation.create(EmailAddress.objects.get(user=viewer))
    ApiKey.create(owner, "a program", ["stats:read", "sites:write"])
    site = registry.create_site("example.com", "Europe/Berlin", owner)
    Site.objects.filter(pk=site.pk).update(token=TOKEN)
    site.refresh_from_db()
    registry.set_role(site, viewer, "viewer")
    site.excluded_pages, site.excluded_addresses, site.rate_limit = ["/internal/**"], ["192.0.2.0/24"], 100
    site.save()
    goals.add_goal(site, event="purchase", currency="EUR")
    goals.add_goal(site, page="/blog/**", scroll=50)
    links.add_link(site, "partners", PASSWORD)
    registry.delete_site(registry.create_site("gone.example", "UTC", owner))
    session = SessionStore()
    session["a"] = "ü"
    session.save()


def main(folder: Path, data_dir: Path) -> None:
    from haru.web.project import setup

    setup.prepare()
    _people_and_sites()
    setup.prepare()  # writes the sites
    with closing(Spool(data_dir / "spool.sqlite3")) as spool, spool.transaction() as transaction:
        transaction.append_body(BODY)
        transaction.append_body(Body([], imported=Imported("a file", 1, 121, 0, loaded(folder.name).rows)))
        transaction.add_import_checkpoint(1, DIGEST, 500)
        assert transaction.first_use(1, "order-1", NOON)
    keys = IdempotencyKeys(data_dir)
    keys.duplicates([KEY_USE])
    keys.close()
    Salts(data_dir).rotate(NOON - DAY_MS)
    Salts(data_dir).rotate(NOON)
    for name in DATABASES:
        with closing(sqlite3.connect(data_dir / f"{name}.sqlite3")) as connection:
            (folder / f"{name}.sql").write_text("\n".join(connection.iterdump()) + "\n", "utf-8")
    for name in TEXTS:
        shutil.copy(data_dir / name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(os.environ["HARU_DATA_DIR"]))
