"""A watcher who doesn't read is let go; those who do hear on."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server import FIREFOX, Server

pytestmark = pytest.mark.crash


def signed_in(server: Server) -> str:
    """The Cookie header of the owner."""
    with httpx.Client(base_url=server.url, headers={"Referer": server.url}, timeout=60) as browser:
        page = browser.get("/account/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        values = {"login": "owner@example.com", "password": "a long password", "csrfmiddlewaretoken": token[1]}
        assert browser.post("/account/login/", data=values).status_code == 302
        return f"haru_session={browser.cookies['haru_session']}"


def watch(server: Server, cookie: str) -> socket.socket:
    """Ask for the stream with the smallest of receive buffers."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(
        f"GET /sites/example.com/live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode(),
    )
    return sock


def held_by_workers(server: Server) -> int:
    """How many connections from outside the collect processes hold."""
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    return sum(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == server.port
        for child in children
        for each in child.net_connections("tcp")
    )


def test_a_collect_process_lets_go_of_one_who_does_not_read_what_it_hands_on(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        # The server itself is patient here: what lets go is the process between.
        server.environment |= {"FAST_STREAM_TICK": "0.002", "FAST_STREAM_READ": "600", "HARU_WORKERS": "1"}
        server.start(module="tests.live.fast")
        cookie = signed_in(server)
        with closing(watch(server, cookie)), closing(watch(server, cookie)) as awake, httpx.Client() as sender:
            deadline = time.monotonic() + 90
            headers = {"Authorization": f"Bearer {token}", "User-Agent": FIREFOX}
            number = 0
            while server.call("status")["watchers"] != 2:
                assert time.monotonic() < deadline
            while server.call("status")["watchers"] == 2:
                assert time.monotonic() < deadline, "one who does not read is still held"
                number += 1
                answer = sender.post(f"{server.url}/api/collect", json={"p": f"/{number}"}, headers=headers)
                assert answer.status_code == 200
                awake.settimeout(0.01)
                with suppress(TimeoutError):
                    awake.recv(65536)
            while held_by_workers(server) != 2:  # the one who reads, and the sender
                assert time.monotonic() < deadline, "its connection is still held"
            assert server.call("status")["watchers"] == 1
        assert server.stop() == 0


def test_one_who_does_not_read_is_dropped_and_others_hear_on(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        environment = {"TICK": "0.002", "READ": "1.0"}
        server.environment |= {f"FAST_STREAM_{key}": value for key, value in environment.items()}
        server.start(module="tests.live.fast")
        cookie = signed_in(server)
        with closing(watch(server, cookie)) as deaf, closing(watch(server, cookie)) as awake:
            deadline = time.monotonic() + 60
            number = 0
            while server.call("status")["watchers"] != 2:
                assert time.monotonic() < deadline
            while server.call("status")["watchers"] == 2:
                assert time.monotonic() < deadline, "one who does not read is still held"
                number += 1
                assert server.collect(token, f"/{number}").status_code == 200
                awake.settimeout(0.01)
                with suppress(TimeoutError):
                    awake.recv(65536)
            assert server.call("status")["watchers"] == 1
            awake.settimeout(10)
            server.collect(token, "/after")
            assert awake.recv(65536)
            with pytest.raises(ConnectionError):
                deaf.settimeout(10)
                while deaf.recv(65536):
                    pass
                raise ConnectionError("the end came after all that was sent")
        assert server.stop() == 0
