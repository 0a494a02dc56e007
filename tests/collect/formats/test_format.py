"""A format is one file and one row of the table: here one that only the tests know, in a real server."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.server import FIREFOX, Server


def request(token: str, body: str) -> bytes:
    lines = [
        "POST /pages?t=" + token + " HTTP/1.1", "Host: x", f"User-Agent: {FIREFOX}", f"Content-Length: {len(body)}", "", body
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def answers(server: Server, *requests: bytes) -> list[tuple[int, list[str]]]:
    """Send requests on one connection, all at once; status and lines of each answer."""
    found = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"".join(requests))
        stream = connection.makefile("rb")
        for _ in requests:
            status = int(stream.readline().split()[1])
            headers = dict(iter(lambda: stream.readline().rstrip().lower().partition(b": ")[::2], (b"", b"")))
            assert headers[b"access-control-allow-origin"] == b"*"
            assert headers[b"content-type"] == b"text/plain"
            found.append((status, stream.read(int(headers[b"content-length"])).decode().split("\n")))
    return found


@pytest.mark.crash
def test_a_format_of_its_own_is_collected_by_a_server_that_has_it_in_the_table(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site()
        server.start(module="tests.collect.formats.pages")
        (answer,) = answers(server, request(token, "/a first\n/b second\n/c first"))
        assert answer == (202, ["counted", "counted", "duplicate"])
        # The second of two requests that are sent at once goes the ASGI way.
        found = answers(server, request(token, "/d"), request(token, "/e\n/f second"))
        assert found == [(202, ["counted"]), (202, ["counted", "duplicate"])]
        assert answers(server, request(token, "/g\nnothing")) == [(202, ["nothing is no page"])]
        large = "/" + "x" * 100_000  # more than a page may bring without a key
        assert answers(server, request(token, large)) == [(202, ["p: the path is longer than 2,000 bytes"])]
        server.call("load")
        assert server.stop() == 0
    with closing(duckdb.connect(str(server.data_dir / "events.duckdb"), read_only=True)) as store:
        pages = [page for (page,) in store.execute("SELECT path FROM event ORDER BY path").fetchall()]
    assert pages == ["/a", "/b", "/d", "/e"]
