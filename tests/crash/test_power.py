"""What was answered is there after the power was cut, once."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from tests.crash import journal
from tests.crash.disk import SECTOR, Disk
from tests.crash.journal import Begin, File, Name, Synced, Truncate, Write
from tests.crash.power import ALL_MOMENTS, cut, cuts, put_back
from tests.crash.soak import stored
from tests.rounds import long, rounds
from tests.server import Server


def written(path: Path, *records: journal.Record) -> Disk:
    """A disk that saw these."""
    for record in records:
        body = msgspec.msgpack.encode(record)
        with path.open("ab") as file:
            file.write(journal.framed(body))
    return Disk(path)


def images(disk: Disk) -> set[tuple[tuple[str, bytes], ...]]:
    """All that it may hold, as far as 300 throws of the dice show."""
    return {tuple(sorted(disk.image(random.Random(seed)).items())) for seed in range(300)}


def test_what_is_written_before_a_sync_begins_is_on_the_disk_and_the_rest_may_be(tmp_path: Path) -> None:
    disk = written(
        tmp_path / "journal",
        File(1, "log", b"old", False),
        Write(1, 0, b"new"),
        Begin(1, 1),
        Write(1, 3, b"later"),
        Synced(1),
        Begin(2, 1),  # and never done
    )
    assert disk.unsynced() == 1
    assert images(disk) == {(("log", b"new"),), (("log", b"newlater"),)}


def test_a_write_is_torn_at_sectors_and_a_size_can_be_there_without_its_bytes(tmp_path: Path) -> None:
    whole = b"a" * SECTOR + b"b" * SECTOR
    disk = written(tmp_path / "journal", File(1, "log", b"", False), Write(1, 0, whole), Truncate(1, SECTOR * 3))
    found = {dict(image)["log"] for image in images(disk)}
    assert {b"", whole, whole[:SECTOR], bytes(SECTOR) + b"b" * SECTOR, bytes(SECTOR * 3)} <= found


def test_the_name_of_a_new_file_is_there_when_the_folder_was_synced(tmp_path: Path) -> None:
    made = (File(1, "new", b"", True), Write(1, 0, b"x"), Begin(1, 1), Synced(1), Name("sites", 1), Name("new", 0))
    before = written(tmp_path / "before", *made)
    assert images(before) == {(), (("new", b"x"),), (("new", b"x"), ("sites", b"x")), (("sites", b"x"),)}
    after = written(tmp_path / "after", *made, Begin(2, 0), Synced(2))
    assert images(after) == {(("sites", b"x"),)}


def test_a_record_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(journal.framed(msgspec.msgpack.encode(File(1, "log", b"safe", False)))[:-2])
    assert images(written(path, File(2, "other", b"safe", False))) == {(("other", b"safe"),)}


@long
@pytest.mark.crash
@pytest.mark.parametrize("seed", range(4, 4 + rounds(1, 2)))
def test_power_cuts_neither_lose_nor_double_an_event(tmp_path: Path, seed: int) -> None:
    table = cuts(tmp_path, len(ALL_MOMENTS), seed)
    assert set(table) == set(ALL_MOMENTS)
    assert {moment: (row.lost, row.doubled) for moment, row in table.items()} == dict.fromkeys(table, (0, 0))
    assert sum(len(row.answered) for row in table.values()) > 200


@pytest.mark.crash
def test_a_spool_that_does_not_sync_is_found_out(tmp_path: Path) -> None:
    with Server(tmp_path / "data", POWER_CARELESS="1") as server:
        token = server.add_site()
        answered = cut(server, token, 0, "before the store's commit", random.Random(1), least=True).answered
        server.start()
        server.call("load")
        assert server.stop() == 0
    found = stored(server.data_dir)
    assert len(answered) > 10
    assert sum(found[path] == 0 for path in answered) > 10


@pytest.mark.crash
def test_what_a_new_server_stored_is_there_although_the_spool_let_go_of_it(tmp_path: Path) -> None:
    """The engine's files are made on the first start: their names must have reached the disk before the spool's rows go.

    Events without keys, so that no file of idempotency keys is made whose sync would take the other names along.
    """
    record = tmp_path / "journal"
    with Server(tmp_path / "data", POWER_JOURNAL=str(record)) as server:
        token = server.add_site()
        server.start(module="tests.crash.unplugged")
        for number in range(20):
            assert server.collect(token, f"/{number}").status_code == 200
        server.call("load")
        assert server.collect(token, "/after").status_code == 200  # its sync takes the letting go along
        server.kill()
        disk = Disk(record)
        assert disk.syncs > 20
        put_back(server.data_dir, disk.least())
        server.start()
        server.call("load")
        assert server.stop() == 0
    assert stored(server.data_dir) == {**{f"/{number}": 1 for number in range(20)}, "/after": 1}


@pytest.mark.crash
def test_a_new_site_and_its_token_are_there_after_the_answer(tmp_path: Path) -> None:
    record = tmp_path / "journal"
    with Server(tmp_path / "data", POWER_JOURNAL=str(record)) as server:
        server.haru("user", "add", "owner@example.com", "--password-stdin", stdin="a long password\n")
        server.haru("site", "add", "example.com", "--owner", "owner@example.com", module="tests.crash.unplugged")
        token = server.token("example.com")
        least = Disk(record).least()
        assert token.encode() in least["sites.json"]
        assert "salts.json" not in least
        put_back(server.data_dir, least)
        assert server.token("example.com") == token
        record.unlink()
        server.start(module="tests.crash.unplugged")
        assert server.collect(token).status_code == 200
        salts = (server.data_dir / "salts.json").read_bytes()
        server.kill()
        assert Disk(record).least()["salts.json"] == salts
