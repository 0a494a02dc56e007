from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from haru.clock import DAY_MS, HOUR_MS
from haru.collect.visitor import FILE, Salts, visitor_id

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


FIRST_MIDNIGHT = DAY * DAY_MS


def kept_in(folder: Path) -> dict[int, bytes]:
    """The salts in the file, read with nothing but the standard library."""
    content = json.loads((folder / FILE).read_text())
    return {int(day): base64.b64decode(salt) for day, salt in content.items()}


def traces(salt: bytes, folder: Path) -> list[str]:
    """Names of the files that hold a salt, whole or half of it, in any form in which it could have been written."""
    forms = {
        form
        for part in (salt, salt[:15], salt[15:30])
        for form in (part, base64.b64encode(part), base64.urlsafe_b64encode(part), part.hex().encode())
    }
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


def holds(salts: Salts, salt: bytes) -> bool:
    """Whether an object still has a salt, or can still make its ids."""
    parts = list(vars(salts).values())
    for part in parts:
        if isinstance(part, dict):
            parts.extend(part.values())
        elif isinstance(part, list | tuple | set):
            parts.extend(part)
    probe = hashlib.blake2b(b"probe", key=salt, digest_size=8).digest()
    for part in parts:
        if isinstance(part, bytes | bytearray) and salt in part:
            return True
        if isinstance(part, hashlib.blake2b):
            hasher = part.copy()
            hasher.update(b"probe")
            if hasher.digest() == probe:
                return True
    return False


def test_what_looks_for_salts_finds_them(tmp_path: Path) -> None:
    given = salts(tmp_path)
    salt = kept_in(tmp_path)[DAY]
    assert traces(salt, tmp_path) == [FILE]
    assert holds(given, salt)
    (tmp_path / "copy").write_bytes(b"x" + salt + b"x")
    (tmp_path / "hex").write_text(salt.hex())
    assert traces(salt, tmp_path) == ["copy", "hex", FILE]
    assert not holds(given, bytes(32))


def test_every_salt_of_a_fortnight_is_gone_48_hours_after_it_was_made(tmp_path: Path) -> None:
    """Two processes look at the clock every hour, each at its own minute."""
    one, other = Salts(tmp_path), Salts(tmp_path)
    made: dict[bytes, int] = {}  # salt → when it was first seen, which is at the earliest when it was made
    for hour in range(14 * 24):
        now = FIRST_MIDNIGHT + hour * HOUR_MS
        for process, offset in ((one, 0), (other, 0)) if hour % 2 else ((other, 0), (one, 1)):
            process.rotate(now + offset)
        for salt in kept_in(tmp_path).values():
            made.setdefault(salt, now)
        for salt, moment in made.items():
            if now >= moment + 2 * DAY_MS:
                assert traces(salt, tmp_path) == []
                assert not holds(one, salt)
                assert not holds(other, salt)
            else:
                assert traces(salt, tmp_path) == [FILE]  # not a moment too early either
    assert len(made) == 14


@pytest.mark.parametrize("hours_off", [25, 36, 47, 48, 49, 24 * 9])
def test_a_server_that_was_off_when_a_salt_was_due_destroys_it_before_its_first_id(
    tmp_path: Path, hours_off: int
) -> None:
    salts(tmp_path, FIRST_MIDNIGHT)
    salt = kept_in(tmp_path)[DAY]
    now = FIRST_MIDNIGHT + hours_off * HOUR_MS
    started = salts(tmp_path, now)
    due = hours_off >= 48
    assert traces(salt, tmp_path) == ([] if due else [FILE])
    assert holds(started, salt) is not due
    assert not holds(Salts(tmp_path), salt)


def test_a_clock_that_jumps_back_over_midnight_makes_no_second_salt_and_destroys_none(tmp_path: Path) -> None:
    midnight = FIRST_MIDNIGHT + DAY_MS
    one, other = salts(tmp_path, midnight - HOUR_MS), salts(tmp_path, midnight - HOUR_MS)
    evening, _ = one.ids(midnight - 1, 1, ADDRESS, "ua")
    one.rotate(midnight + 1)
    both = kept_in(tmp_path)
    morning, before = one.ids(midnight + 2, 1, ADDRESS, "ua")
    assert before == evening
    for process in (one, other, Salts(tmp_path)):  # the clock is an hour back, for who saw midnight and who did not
        assert process.ids(midnight + 2 - HOUR_MS, 1, ADDRESS, "ua")[0] == evening
        assert kept_in(tmp_path) == both
    for process in (one, other, Salts(tmp_path)):  # and midnight comes again
        assert process.ids(midnight + 3, 1, ADDRESS, "ua") == (morning, evening)
        assert kept_in(tmp_path) == both


def test_a_salt_made_by_a_clock_that_was_far_ahead_does_not_live_until_then(tmp_path: Path) -> None:
    given = salts(tmp_path, NOON)
    given.rotate(NOON + 900 * DAY_MS)
    ahead = kept_in(tmp_path)[DAY + 900]
    given.rotate(NOON)  # the clock is put right
    assert traces(ahead, tmp_path) == [FILE]  # for it could be this clock that is wrong
    given.rotate(NOON + DAY_MS)
    assert traces(ahead, tmp_path) == []
    assert not holds(given, ahead)
    assert set(kept_in(tmp_path)) == {DAY, DAY + 1}


@pytest.mark.parametrize("lost", range(12))
def test_a_kill_while_the_salts_are_written_loses_none_and_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """The process ends just before one of its calls to the operating system; the next one starts a moment later."""
    visitor_today = salts(tmp_path, NOON).ids(NOON, 1, ADDRESS, "ua")[0]
    yesterday = NOON + DAY_MS
    salts(tmp_path, yesterday)
    first = kept_in(tmp_path)[DAY]
    second = kept_in(tmp_path)[DAY + 1]
    now = yesterday + DAY_MS
    calls = 0

    class Killed(BaseException):
        pass

    def counted(real):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == lost + 1:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for owner, name in ((os, "open"), (os, "fdopen"), (os, "fsync"), (Path, "open"), (Path, "replace")):
            patched.setattr(owner, name, counted(getattr(owner, name)))
        with contextlib.suppress(Killed):
            Salts(tmp_path).rotate(now)
    restarted = salts(tmp_path, now)
    assert restarted.ids(now, 1, ADDRESS, "ua")[1] == visitor_id(second, 1, ADDRESS, "ua")
    assert visitor_today == visitor_id(first, 1, ADDRESS, "ua")
    assert traces(first, tmp_path) == []
    assert traces(second, tmp_path) == [FILE]
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, "salts.lock"]
    assert len(kept_in(tmp_path)) == 2
    assert lost < calls or lost >= 8  # the numbers above reach every call there is


def test_two_processes_that_rotate_at_the_same_midnight_agree_and_keep_nothing_old(tmp_path: Path) -> None:
    """Real processes: each with its own memory, on one folder."""
    program = (
        "import sys, pathlib; from haru.clock import DAY_MS\n"
        "from haru.collect.visitor import Salts\n"
        "given = Salts(pathlib.Path(sys.argv[1]))\n"
        "for line in sys.stdin:\n"
        "    given.rotate(int(line)); print(given.ids(int(line), 1, b'abcd', 'ua')[0], flush=True)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    made: list[bytes] = []
    for day in range(5):
        now = FIRST_MIDNIGHT + day * DAY_MS
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{now}\n")
            process.stdin.flush()
        answers = {process.stdout.readline() for process in processes if process.stdout}
        assert len(answers) == 1
        kept = kept_in(tmp_path)
        assert set(kept) <= {DAY + day - 1, DAY + day}
        made.append(kept[DAY + day])
        assert [salt for salt in made[:-2] if traces(salt, tmp_path)] == []
    for process in processes:
        process.communicate()
