"""What the machine does to a server: a full disk, a store that another has open, a clock that jumps, no accounts."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import httpx
import psutil
import pytest

from tests.server import Server

EMAIL, PASSWORD = "dev@haru.local", "devsecret123456"  # those of haru.demo.development, which needs Django

pytestmark = pytest.mark.crash

MEGABYTE = 1 << 20
BULK = {"d": {f"key{n}": "x" * 1_900 for n in range(8)}}  # 15 kB


def until(true: Callable[[], bool], what: str, seconds: float = 120, each: Callable[[], object] = bool) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        each()
        time.sleep(0.05)


def health(server: Server) -> dict[str, object]:
    return dict(httpx.get(f"{server.url}/health").json())


def is_well(server: Server) -> bool:
    return httpx.get(f"{server.url}/health").status_code == 200


def stored(data_dir: Path, store_dir: Path | None = None) -> Counter[str]:
    with closing(duckdb.connect(str((store_dir or data_dir) / "events.duckdb"), read_only=True)) as store:
        return Counter(path for (path,) in store.execute("SELECT path FROM event").fetchall())


def finish(server: Server, answered: list[str]) -> None:
    """Load what waits and end; each answered event must be in the store, once, and nothing else."""
    server.call("load")
    assert server.stop() == 0
    assert stored(server.data_dir) == Counter(answered)


def refused(answer: httpx.Response) -> bool:
    if answer.status_code in {200, 401}:
        return False
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"].startswith("server: ")
    assert answer.headers["access-control-allow-origin"] == "*"
    return True


def test_a_disk_that_refuses_is_told_and_when_it_takes_again_nothing_is_lost(tmp_path: Path) -> None:
    answered: list[str] = []
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        assert server.collect(token, "/before").status_code == 200
        server.call("load")
        largest = max(path.stat().st_size for path in server.data_dir.iterdir() if path.is_file())
        process.rlimit(resource.RLIMIT_FSIZE, (largest + MEGABYTE, -1))
        answered.append("/before")
        refusals = 0
        for number in range(2_000):
            answer = server.collect(token, f"/{number}", **BULK)
            if refused(answer):
                refusals += 1
                if refusals == 20:
                    break
            else:
                answered.append(f"/{number}")
        assert refusals == 20
        assert health(server)["spool"] == "refusing"
        assert httpx.get(f"{server.url}/health/live").status_code == 503
        assert httpx.get(f"{server.url}/health").status_code == 503
        log = server.log.read_text()
        assert "spool_refused" in log
        assert log.count("spool_refused") < 5  # told when it begins, not for each event
        process.rlimit(resource.RLIMIT_FSIZE, (-1, -1))
        until(lambda: is_well(server), "it recovers by itself")
        assert "spool_recovered" in server.log.read_text()
        assert server.collect(token, "/after").status_code == 200
        answered.append("/after")
        finish(server, answered)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={24 * MEGABYTE}", "haru-test", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"to mount a disk of 24 MB takes root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(disk: Path, left: int = 0) -> Iterator[None]:
    """The disk has so many bytes left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MEGABYTE // 16))
        except OSError:
            pass
    with ballast.open("r+b") as file:
        file.truncate(max(0, ballast.stat().st_size - left))
    yield
    ballast.unlink()


def test_a_full_disk_under_the_spool_is_told_and_when_there_is_space_nothing_is_lost(
    tmp_path: Path, small_disk: Path
) -> None:
    answered = []
    with Server(small_disk / "data") as server:
        server.log = tmp_path / "server.log"
        token = server.add_site()
        server.start()
        refusals = 0
        with filled(small_disk, left=MEGABYTE // 2):
            for number in range(2_000):
                answer = server.collect(token, f"/{number}", **BULK)
                if refused(answer):
                    refusals += 1
                    if refusals == 20:
                        break
                else:
                    answered.append(f"/{number}")
            assert refusals == 20
            assert httpx.get(f"{server.url}/health").status_code == 503
        until(lambda: is_well(server), "it recovers by itself")
        assert server.collect(token, "/after").status_code == 200
        finish(server, [*answered, "/after"])


def test_a_full_disk_under_the_store_alone_costs_no_answer_and_no_event(tmp_path: Path, small_disk: Path) -> None:
    answered = []
    with Server(tmp_path / "data", HARU_EVENTS_URL=f"duckdb://{small_disk / 'events.duckdb'}") as server:
        token = server.add_site()
        server.start()
        assert server.collect(token, "/before").status_code == 200
        server.call("load")
        with filled(small_disk):
            until(
                lambda: "disk has space" in str(health(server)["store"]),
                "the store refuses and says why",
                each=lambda: send(server, token, answered),
            )
            for _ in range(50):
                send(server, token, answered)
            # A store that was opened again may have found room for a few more.
            until(lambda: not is_well(server), "it refuses again", each=lambda: send(server, token, answered))
            assert health(server)["spool"] == "ok"
        until(lambda: is_well(server), "it recovers by itself")
        send(server, token, answered)
        server.call("load")
        assert server.stop() == 0
    assert stored(server.data_dir, small_disk) == Counter(["/before", *answered])


def send(server: Server, token: str, answered: list[str]) -> None:
    page = f"/{len(answered)}"
    assert server.collect(token, page, **BULK).status_code == 200
    answered.append(page)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program has the store open."""
    program = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.stdin.close()
        other.wait(timeout=20)


def test_a_store_that_another_program_has_open_is_waited_for(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        assert server.collect(token, "/first").status_code == 200
        server.call("load")
        assert server.stop() == 0
        with held(server.data_dir / "events.duckdb"):
            server.start(ready="/health/live")
            for number in range(50):
                assert server.collect(token, f"/{number}").status_code == 200
            found = health(server)
            assert "another program has it open" in str(found["store"])
            assert found["spool"] == found["accounts"] == "ok"
            until(lambda: bool(dict(health(server)["restarts"]).get("loader")), "the loader tries again")  # type: ignore[call-overload]
            assert httpx.get(f"{server.url}/account/login/").status_code == 200
        until(lambda: is_well(server), "it takes the store up by itself")
        assert server.collect(token, "/last").status_code == 200
        finish(server, ["/first", *(f"/{number}" for number in range(50)), "/last"])


@pytest.mark.parametrize("jump", [-3_600, 3_600, -3 * 86_400], ids=["an hour back", "an hour on", "three days back"])
def test_a_clock_that_jumps_costs_no_event(tmp_path: Path, jump: int) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    answered: list[str] = []
    with Server(tmp_path / "data", CLOCK_OFFSET=str(offset)) as server:
        token = server.add_site()
        server.start(module="tests.crash.jumping")

        def send(name: str) -> None:
            for number in range(30):
                path = f"/{name}/{number}"
                keyed = {"id": path} if number % 2 else {}
                assert server.collect(token, path, **keyed).status_code == 200
                answered.append(path)

        send("before")
        later = offset.with_suffix(".new")
        later.write_text(str(jump))
        later.replace(offset)
        send("after")
        again = server.collect(token, "/after/1", id="/after/1")
        assert again.headers["x-haru-dropped"] == "duplicate"
        server.kill()
        server.start(module="tests.crash.jumping")
        again = server.collect(token, "/after/3", id="/after/3")
        assert again.headers["x-haru-dropped"] == "duplicate"
        send("restarted")
        finish(server, answered)


def test_without_accounts_collecting_goes_on_and_pages_say_so(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        accounts = server.data_dir / "accounts.sqlite3"
        aside = {path: path.with_name(f"aside{path.suffix}") for path in server.data_dir.glob("accounts.sqlite3*")}
        for path, to in aside.items():
            path.rename(to)
        accounts.mkdir()  # no file by this name can be opened or made
        until(lambda: health(server)["accounts"] != "ok", "it sees that the accounts are gone")
        assert server.collect(token, "/meanwhile").status_code == 200
        page = httpx.get(f"{server.url}/sites/example.com", cookies={"haru_session": "a" * 32})
        assert page.status_code == 503
        # Perhaps the site was added and is not known here yet.
        until(lambda: refused(server.collect("no-such-token", "/u")), "an unknown token is asked to come again")
        accounts.rmdir()
        for path, to in aside.items():
            to.rename(path)
        until(lambda: is_well(server), "it takes the accounts up by itself")
        page = httpx.get(f"{server.url}/sites/example.com", cookies={"haru_session": "a" * 32})
        assert page.status_code == 302  # to the sign-in
        until(lambda: server.collect("no-such-token", "/u").status_code == 401, "it is refused again")
        finish(server, ["/meanwhile"])


def test_a_spool_at_its_limit_refuses_until_the_store_takes_events_again(tmp_path: Path) -> None:
    answered: list[str] = []
    with Server(tmp_path / "data", HARU_SPOOL_LIMIT="1MB") as server:
        token = server.add_site()
        server.start()
        assert server.stop() == 0
        with held(server.data_dir / "events.duckdb"):
            server.start(ready="/health/live")
            for number in range(3_000):
                answer = server.collect(token, f"/{number}", **BULK)
                if refused(answer):
                    assert "full" in answer.json()["error"]
                    break
                answered.append(f"/{number}")
            else:
                raise AssertionError("there is no limit")
            assert health(server)["spool"] == "full"
            assert len(answered) > 20
        until(lambda: is_well(server), "there is room again")
        assert server.collect(token, "/after").status_code == 200
        finish(server, [*answered, "/after"])


def test_a_spool_whose_last_bytes_never_reached_the_disk_is_read_up_to_them(tmp_path: Path) -> None:
    """As a loss of power leaves it: the tail of the write-ahead log is cut, or is other bytes."""
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start()
        assert server.stop() == 0
        with held(server.data_dir / "events.duckdb"):  # so that all rests in the spool
            server.start(ready="/health/live")
            for number in range(40):
                assert server.collect(token, f"/{number}").status_code == 200
            server.kill()
        log = server.data_dir / "spool.sqlite3-wal"
        whole = log.read_bytes()
        log.write_bytes(whole[:-3_000] + b"\xa5" * 1_000)
        server.start()
        assert server.collect(token, "/after").status_code == 200
        server.call("load")
        assert server.stop() == 0
    found = stored(server.data_dir)
    assert found.pop("/after") == 1
    kept = sorted(int(path[1:]) for path in found)
    assert kept == list(range(len(kept)))  # all up to the torn commit, and none from behind it
    assert 30 < len(kept) < 40
    assert set(found.values()) == {1}


def test_json_of_health_names_every_part(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.start()
        found = json.loads(httpx.get(f"{server.url}/health").text)
        assert found["status"] == "ok"
        assert set(found["tasks"]) == {"loader", "folding", "refresh", "collector", "visitors", "accounts", "writer"}
        assert server.stop() == 0


def test_each_task_that_fails_is_started_again_and_named(tmp_path: Path) -> None:
    names = {"loader", "folding", "refresh", "collector", "visitors", "accounts", "writer"}
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start(module="tests.crash.failing", ready="/health/live")
        answered: list[str] = []
        for _ in range(20):  # while they fail
            send(server, token, answered)
        # The writer looks at its size, and fails, in a turn that comes some time after the start: it has to have one.
        until(
            lambda: set(dict(health(server)["restarts"])) == names,  # type: ignore[call-overload]
            "each failed",
            each=lambda: send(server, token, answered),
        )
        until(lambda: is_well(server), "each goes on")
        found = health(server)
        assert found["tasks"] == dict.fromkeys(names, "ok")
        assert found["restarts"] == dict.fromkeys(names, 1)
        figures = httpx.get(f"{server.url}/metrics").text
        for name in names:
            assert f'haru_task_restarts_total{{task="{name}"}} 1.0' in figures
        log = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        told = {line["task"] for line in log if line["event"] == "task_failed"}
        assert told | {"accounts"} == names
        assert any(line["event"] == "accounts_unavailable" for line in log)
        answered.append("/after")
        assert server.collect(token, "/after").status_code == 200
        finish(server, answered)


def test_accounts_that_come_late_with_the_known_password_keep_the_pages_shut_until_it_is_changed(
    tmp_path: Path,
) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.haru("user", "add", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n")
        accounts = server.data_dir / "accounts.sqlite3"
        assert not list(server.data_dir.glob("accounts.sqlite3-*"))  # one file
        aside = accounts.rename(tmp_path / "aside")
        accounts.mkdir()  # no file by this name can be opened or made
        server.start(ready="/health/live")
        assert server.collect(token, "/down").status_code == 200
        assert httpx.get(f"{server.url}/account/login/").status_code == 503
        accounts.rmdir()
        aside.rename(accounts)
        until(lambda: "README" in str(health(server)["accounts"]), "the password is tried before pages are shown")
        login = httpx.get(f"{server.url}/account/login/")
        assert login.status_code == 503
        assert "the password that the README tells everyone" in login.text
        api = httpx.get(f"{server.url}/api/v1/stats/aggregate", headers={"Authorization": "Bearer any"})
        assert api.status_code == 503
        assert "README" in api.json()["error"]
        assert httpx.get(f"{server.url}/sites/example.com/live").status_code == 503
        assert "known_password" in server.log.read_text()
        assert server.collect(token, "/shut").status_code == 200
        with closing(sqlite3.connect(accounts, timeout=10)) as database:
            database.execute("UPDATE accounts_user SET is_active = false WHERE email = ?", (EMAIL,))
            database.commit()
        until(lambda: is_well(server), "the pages open by themselves")
        assert httpx.get(f"{server.url}/account/login/").status_code == 200
        finish(server, ["/down", "/shut"])
