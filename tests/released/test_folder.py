"""The data folder of any released version, used by this one: accounts and sites, spool, keys, salts."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command

from haru.collect.sites import Sites
from haru.collect.visitor import DAY_MS, Salts
from haru.spool.keys import IdempotencyKeys
from haru.spool.spool import Spool
from tests.released import folder as released
from tests.released.folder import names, rows, tables
from tests.released.stores import RELEASED, VERSIONS, loaded
from tests.server import Server

pytestmark = pytest.mark.parametrize("version", VERSIONS)
# What an installation writes of itself at its first start.
OWN = {"django_migrations", "django_content_type", "auth_permission"}


@pytest.fixture
def restored(tmp_path: Path, version: str) -> Path:
    """A data folder of the release."""
    path = tmp_path / "data"
    path.mkdir()
    released.restore(RELEASED / version, path)
    return path


def test_upgraded_accounts_have_the_tables_of_fresh_ones_and_every_row(restored: Path, tmp_path: Path) -> None:
    file = restored / "accounts.sqlite3"
    before = {name: rows(file, name) for name in names(file)}
    assert [name for name in before if not before[name]] == ["auth_group", "auth_group_permissions"]
    server, fresh = Server(restored), Server(tmp_path / "fresh")
    server.haru("migrate")
    fresh.haru("migrate")
    assert tables(file) == tables(fresh.data_dir / "accounts.sqlite3")
    for name in before.keys() - OWN:
        found = [
            {column: row[column] for column in was} for was, row in zip(before[name], rows(file, name), strict=True)
        ]
        assert found == before[name], name
    assert "mate@xn--bcher-kva.example" in server.haru("user", "list").stdout
    assert server.haru("migrate").stdout.splitlines() == ["accounts: up to date.", "event store: up to date."]


def test_an_upgraded_spool_has_every_event_key_and_checkpoint(restored: Path, tmp_path: Path, version: str) -> None:
    with closing(Spool(restored / "spool.sqlite3")) as spool, closing(Spool(tmp_path / "spool.sqlite3")):
        first, second = spool.read(0, 100)
        assert first.body == released.BODY
        assert second.body.imported is not None
        assert [tuple(row) for row in second.body.imported.rows] == loaded(version).rows
        assert spool.import_checkpoints(1) == {500: {released.DIGEST}}
        assert spool.write([released.EVENTS[0]], ["order-1"]) == [False]
    assert tables(restored / "spool.sqlite3") == tables(tmp_path / "spool.sqlite3")


def test_an_upgraded_file_of_idempotency_keys_knows_whose_a_key_is(restored: Path) -> None:
    keys = IdempotencyKeys(restored)
    site, key, at, owner = released.KEY_USE
    assert keys.duplicates([(site, key, at, owner), (site, key, at, "another/2/1")]) == {"another/2/1"}
    keys.close()


def test_upgraded_salts_give_the_same_visitors(restored: Path) -> None:
    kept = json.loads((restored / "salts.json").read_text())
    at, site, address, agent = released.VISITOR
    salts = Salts(restored)
    salts.rotate(at)
    expected = []
    for day in (at // DAY_MS, at // DAY_MS - 1):
        salt, text = base64.b64decode(kept[str(day)]), f"{site}|{len(address)}|".encode() + address + agent.encode()
        digest = hashlib.blake2b(text, key=salt, digest_size=8).digest()
        expected.append(int.from_bytes(digest, "big", signed=True))
    assert list(salts.ids(at, site, address, agent)) == expected


def test_upgraded_sites_are_known_by_their_tokens(restored: Path) -> None:
    site = Sites(restored).by_token(released.TOKEN)
    assert site is not None
    assert (site.domain, site.timezone, site.rate_limit) == ("example.com", "Europe/Berlin", 100)
    assert (site.excluded_pages, site.excluded_addresses) == (("/internal/**",), ("192.0.2.0/24",))


def test_accounts_of_a_newer_version_are_refused_with_a_sentence(restored: Path) -> None:
    with closing(sqlite3.connect(restored / "accounts.sqlite3")) as connection, connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('sites', '9999_teams', '2030-01-01')"
        )
    for words in (["serve"], ["migrate"]):
        refused = Server(restored).haru(*words, check=False)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == (
            "haru: The accounts are at sites 9999_teams, made by a newer Haru, and this one does not know it: "
            "start the newer Haru, or restore a backup from before."
        )


def test_no_model_lacks_a_migration(db: None, version: str) -> None:
    call_command("makemigrations", check=True, dry_run=True)
