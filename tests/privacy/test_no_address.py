"""No address on disk: visitors come through every way, then every byte that was written is searched.

In `make test-long` they are ten thousand.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.privacy.addresses import Address, visitors
from tests.privacy.traces import Traces, copied, forms, places
from tests.privacy.ways import WAYS, House
from tests.rounds import long, rounds
from tests.server import Server

CONTROLS = 5_000

_crowd = visitors(seed=1)
GROUPS: dict[str, list[Address]] = {
    way.name: [address for pair in itertools.islice(_crowd, way.addresses) for address in pair] for way in WAYS
}
CONTROL = [v4 for v4, _ in itertools.islice(visitors(seed=2), CONTROLS)]


@pytest.fixture(scope="module")
def traces() -> Traces:
    return Traces(GROUPS, CONTROL)


@long
@pytest.mark.crash
def test_no_address_and_no_unsalted_hash_of_one_is_ever_written(tmp_path: Path, traces: Traces) -> None:
    environment = {"HARU_TRUSTED_PROXIES": "127.0.0.1", "HARU_LOG_LEVEL": "debug", "HARU_REGISTRATION": "open"}
    with (
        Server(tmp_path / "data", **environment) as server,
        Server(tmp_path / "limited", **{**environment, "HARU_RATE_LIMIT": "3"}) as limited,
    ):
        house = House(server, server.add_site(), limited, limited.add_site())
        server.start()
        limited.start("--workers", "1")
        *before, last = WAYS
        for way in before:
            way.take(house, GROUPS[way.name])
        # As power fails: in the midst of the last way everything stands still and the folder is copied as it is then.
        answered = house.answered
        taking = threading.Thread(target=last.take, args=(house, GROUPS[last.name]))
        taking.start()
        while house.answered < answered + last.addresses:
            taking.join(0.005)
            assert taking.is_alive()
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            running = copied(server.data_dir, tmp_path / "running")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        taking.join()
        server.call("load")  # what waits in the spool at the end stays there
        assert server.stop() == 0
        assert limited.stop() == 0

    # The addresses were used: each is a visitor of its own. And what was copied is what a crash would leave.
    with closing(duckdb.connect(str(server.data_dir / "events.duckdb"), read_only=True)) as store:
        stored = dict(store.execute("SELECT path, count(*) FROM event GROUP BY path").fetchall())
        ((found_visitors,),) = store.execute("SELECT count(DISTINCT visitor_id) FROM event").fetchall()
    assert stored == {f"/through/{way.name}": 2 * way.addresses for way in WAYS if way.counted}
    assert found_visitors == sum(stored.values()) >= rounds(2_400, 10_000)
    assert any(path.name.endswith("-wal") and path.stat().st_size for path in running.iterdir())
    assert any(last.name.encode() in path.read_bytes() for path in running.glob("spool*"))

    for folder in (server.data_dir, running, limited.data_dir):
        assert traces.found(places(folder)) == {}, folder.name
    said = [("output", "".join(house.output).encode())]
    said += [(each.log.name, each.log.read_bytes()) for each in (server, limited)]
    assert all(content for _, content in said)
    assert traces.found(said) == {}


# Whether what searches would have found anything.

ONE_OF_EACH = [GROUPS["sign_in"][0], GROUPS["sign_in"][1]]
ALL_FORMS = {(address.version, name): form for address in ONE_OF_EACH for name, form in forms(address)}


def junk(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def test_junk_holds_no_address(traces: Traces) -> None:
    assert traces.found([("junk", junk(3_000_000))]) == {}


@pytest.mark.parametrize("before", range(9))
def test_every_form_is_found_in_a_file_at_every_offset(tmp_path: Path, traces: Traces, before: int) -> None:
    for (version, name), form in ALL_FORMS.items():
        content = junk(1000 + before) + form
        assert f"sign_in: {name} in file" in traces.found([("file", content)]), (version, name)
        assert f"sign_in: {name} in file" in traces.found([("file", content + junk(before, 1))]), (version, name)


def test_every_form_is_found_in_every_kind_of_place(tmp_path: Path, traces: Traces) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite3")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB)")
        connection.executemany("INSERT INTO event (body) VALUES (?)", [(form,) for form in ALL_FORMS.values()])
        connection.commit()
        log = tmp_path / "a.sqlite3-wal"
        in_the_log = traces.found([("wal", log.read_bytes())])
        in_columns = traces.found(places(tmp_path))
    with closing(duckdb.connect(str(tmp_path / "b.duckdb"))) as store:
        store.execute("CREATE TABLE event (body BLOB)")
        # Compressed: each form many times over, in order, so that the store makes a dictionary of them.
        store.executemany("INSERT INTO event VALUES ($1)", [[form] for form in ALL_FORMS.values()])
        store.execute("INSERT INTO event SELECT body FROM event, range(50)")
        store.execute("CHECKPOINT")
    in_columns |= traces.found(places(tmp_path))
    for version, name in ALL_FORMS:
        assert f"sign_in: {name} in wal" in in_the_log, (version, name)
        for place in ("a.sqlite3, event.body", "b.duckdb, event.body"):
            assert f"sign_in: {name} in {place}" in in_columns, (version, name, place)


@pytest.mark.parametrize("way", [way.name for way in WAYS])
@pytest.mark.parametrize("turned", [1, -1], ids=["packed", "packed, lowest byte first"])
def test_four_bytes_of_each_address_are_more_than_chance_writes(traces: Traces, way: str, turned: int) -> None:
    planted = b"".join(
        junk(7, seed=n) + address.packed[::turned] for n, address in enumerate(GROUPS[way]) if address.version == 4
    )
    found = traces.found([("file", junk(1_000_000) + planted + junk(1_000_000, 1))])
    name = "packed" if turned == 1 else "packed, lowest byte first"
    assert list(found) == [f"{way}: {name} in file"]


def test_an_address_kept_as_a_number_and_one_in_a_file_s_name_are_found(tmp_path: Path, traces: Traces) -> None:
    addresses = GROUPS["refused_robot"]
    with closing(duckdb.connect(str(tmp_path / "c.duckdb"))) as store:
        store.execute("CREATE TABLE seen (moment BIGINT, address BIGINT)")
        store.executemany("INSERT INTO seen VALUES (0, $1)", [[int(a)] for a in addresses if a.version == 4])
    (tmp_path / f"{addresses[0]}.log").touch()
    found = traces.found(places(tmp_path))
    assert "refused_robot: packed in c.duckdb, seen.address" in found
    assert "refused_robot: text in names of files" in found


def test_the_control_is_made_of_the_same_networks_and_of_nobody_who_visits() -> None:
    used = {address for addresses in GROUPS.values() for address in addresses}
    assert not used & set(CONTROL)
    assert len(used) == 2 * sum(way.addresses for way in WAYS)
    assert len({address.packed[:8] for address in used if address.version == 6}) == len(used) // 2
