from __future__ import annotations

import hashlib
import stat
import threading
from pathlib import Path

import pytest

from haru.collect.visitor import DAY_MS, FILE, Salts, visitor_id

DAY = 20_000
NOON = DAY * DAY_MS + DAY_MS // 2
ADDRESS = bytes([203, 0, 113, 9])


def salts(folder: Path, now: int = NOON) -> Salts:
    made = Salts(folder)
    made.rotate(now)
    return made


def test_a_visitor_keeps_an_id_for_the_day_and_others_have_others(tmp_path: Path) -> None:
    given = salts(tmp_path)
    (first, _), (again, _) = given.ids(NOON, 1, ADDRESS, "ua"), given.ids(NOON + 60_000, 1, ADDRESS, "ua")
    assert first == again
    others = {
        given.ids(NOON, 2, ADDRESS, "ua")[0],
        given.ids(NOON, 1, bytes(4), "ua")[0],
        given.ids(NOON, 1, ADDRESS, "other")[0],
    }
    assert len(others | {first}) == 4
    assert all(-(2**63) <= each < 2**63 for each in others)


def test_lengths_keep_the_parts_of_the_hash_apart() -> None:
    salt = bytes(32)
    assert visitor_id(salt, 1, b"ab", "c") != visitor_id(salt, 1, b"a", "bc")
    assert visitor_id(salt, 1, b"1|", "") != visitor_id(salt, 1, b"", "1|")


def test_after_midnight_yesterdays_id_is_known_too(tmp_path: Path) -> None:
    given = salts(tmp_path)
    yesterday, same = given.ids(NOON, 1, ADDRESS, "ua")
    assert yesterday == same
    today, before = given.ids(NOON + DAY_MS, 1, ADDRESS, "ua")
    assert before == yesterday
    assert today != before


def test_salts_survive_a_restart(tmp_path: Path) -> None:
    before = salts(tmp_path).ids(NOON, 1, ADDRESS, "ua")
    assert salts(tmp_path).ids(NOON, 1, ADDRESS, "ua") == before


def test_a_salt_is_destroyed_at_48_hours_also_when_the_server_was_down(tmp_path: Path) -> None:
    first = salts(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    at_48_hours = (DAY + 2) * DAY_MS
    first.rotate(at_48_hours - 1)
    assert content[1:-1] in (tmp_path / FILE).read_bytes()
    restarted = salts(tmp_path, at_48_hours)
    assert content[1:-1] not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert restarted.ids(at_48_hours, 1, ADDRESS, "ua")[1] != first.ids(NOON, 1, ADDRESS, "ua")[0]


def test_a_clock_that_jumps_back_destroys_no_newer_salt(tmp_path: Path) -> None:
    given = salts(tmp_path)
    now = given.ids(NOON, 1, ADDRESS, "ua")[0]
    given.ids(NOON - 3 * DAY_MS, 1, ADDRESS, "ua")
    assert given.ids(NOON, 1, ADDRESS, "ua")[0] == now


def test_the_file_is_its_owners_alone_and_holds_no_address(tmp_path: Path) -> None:
    given = salts(tmp_path)
    given.ids(NOON, 1, ADDRESS, "ua")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    content = (tmp_path / FILE).read_bytes()
    assert ADDRESS not in content
    assert hashlib.sha256(b"203.0.113.9").digest() not in content


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"20000": 5}', b'{"20000": "AAAA"}'])
def test_a_damaged_file_loses_no_pageview(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    given = salts(tmp_path)
    assert given.ids(NOON, 1, ADDRESS, "ua") == salts(tmp_path).ids(NOON, 1, ADDRESS, "ua")


def test_processes_that_start_at_once_get_the_same_salts(tmp_path: Path) -> None:
    made = [Salts(tmp_path) for _ in range(8)]
    threads = [threading.Thread(target=each.rotate, args=(NOON,)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.ids(NOON, 1, ADDRESS, "ua") for each in made}) == 1
