from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from haru.files import FileUnusable
from haru.server.control import FILE, Client, ControlError, NotRunning, Server, private_socket


async def status() -> dict[str, int]:
    return {"position": 7}


async def double(number: int) -> int:
    return number * 2


watching: list[asyncio.Event] = []  # set when a file is closed


async def file(count: int, breaks: bool = False) -> AsyncIterator[bytes]:
    try:
        for number in range(count):
            yield b"\n" * number + bytes([number])
        if breaks:
            raise ValueError("the store is gone")
    finally:
        for event in watching:
            event.set()


async def fail() -> None:
    raise ValueError("the store is gone")


@pytest.fixture(params=["short", "deep"])
async def folder(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    folder = tmp_path if request.param == "short" else tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(folder, {"status": status, "double": double, "fail": fail}, {"file": file})
    await server.start()
    yield folder
    await server.stop()


def test_a_socket_that_was_left_is_replaced_by_one_of_this_user_alone(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(private_socket(tmp_path, "pages.sock")):
            assert stat.S_IMODE((tmp_path / "pages.sock").stat().st_mode) == 0o600


def test_what_lies_in_the_place_of_a_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "pages.sock").mkdir()
    with pytest.raises(FileUnusable, match=r"pages\.sock cannot be used"):
        private_socket(tmp_path, "pages.sock")


async def test_a_command_asks_the_server(folder: Path) -> None:
    assert await asyncio.to_thread(Client(folder).is_up)
    assert await asyncio.to_thread(Client(folder).call, "status") == {"position": 7}
    assert await asyncio.to_thread(lambda: Client(folder).call("double", number=21)) == 42


async def test_a_call_that_fails_or_is_unknown_says_so_and_the_server_goes_on(folder: Path) -> None:
    with pytest.raises(ControlError, match="the store is gone"):
        await asyncio.to_thread(Client(folder).call, "fail")
    with pytest.raises(ControlError, match="another release"):
        await asyncio.to_thread(Client(folder).call, "no-such-call")
    assert await asyncio.to_thread(Client(folder).is_up)


async def test_a_file_comes_in_pieces_whatever_is_in_them(folder: Path) -> None:
    pieces = await asyncio.to_thread(lambda: list(Client(folder).pieces("file", count=40)))
    assert pieces == [b"\n" * number + bytes([number]) for number in range(40)]
    assert await asyncio.to_thread(lambda: Client(folder).call("file", count=3)) == 6  # bytes
    assert await asyncio.to_thread(lambda: list(Client(folder).pieces("file", count=0))) == []


async def test_a_file_that_breaks_off_is_an_error_and_one_that_nobody_wants_is_closed(folder: Path) -> None:
    def asked() -> list[bytes]:
        found = []
        with pytest.raises(ControlError, match="the store is gone"):
            found.extend(Client(folder).pieces("file", count=3, breaks=True))
        return found

    await asyncio.to_thread(asked)

    def left() -> None:
        pieces = Client(folder).pieces("file", count=100_000)
        next(pieces)
        pieces.close()

    watching.append(asyncio.Event())
    await asyncio.to_thread(left)
    async with asyncio.timeout(10):
        await watching.pop().wait()
    assert await asyncio.to_thread(Client(folder).is_up)


async def test_the_socket_is_its_owners_alone(folder: Path) -> None:
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


def test_no_server_is_said_plainly(tmp_path: Path) -> None:
    assert not Client(tmp_path).is_up()
    with pytest.raises(NotRunning, match="No server runs on this data folder"):
        Client(tmp_path).call("status")


async def test_a_socket_left_by_a_killed_server_is_replaced(tmp_path: Path) -> None:
    first = Server(tmp_path, {"status": status})
    await first.start()
    second = Server(tmp_path, {"status": status})
    await second.start()
    assert await asyncio.to_thread(Client(tmp_path).is_up)
    await second.stop()
    assert not await asyncio.to_thread(Client(tmp_path).is_up)
    await first.stop()
