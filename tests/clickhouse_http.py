"""ClickHouse's HTTP interface in front of chDB: as much of it as the store's client uses, for want of a server.

What it cannot show: rights, several connections of one server, and a cluster.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

from tests import embedded as engine

# Of the connection, not of a query.
_TRANSPORT = {"query", "database", "query_id", "wait_end_of_query", "client_protocol_version", "session_id", "role"}
_TRANSPORT |= {"send_progress_in_http_headers", "http_headers_progress_interval_ms", "compress", "decompress"}
_INSERT = re.compile(rb"\s*(INSERT INTO .*?) FORMAT Native\n", re.DOTALL)


class Handler(BaseHTTPRequestHandler):
    """One request is one statement on a connection of its own."""

    protocol_version = "HTTP/1.1"
    server: Bridge

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        self.server.seen.append(parameters)
        authorised = self.headers.get("Authorization") == self.server.authorization
        if not authorised:
            self._send(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", code="516")
            return
        try:
            found, form = self._run(parameters, body)
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            self._send(500, text.encode(), code=code.group(1) if code else "1")
        else:
            self._send(200, found, form=form)

    def _run(self, parameters: dict[str, str], body: bytes) -> tuple[bytes, str]:
        connection = chdb.connect(str(engine.folder()))
        try:
            if "database" in parameters:
                connection.query(f"USE `{parameters['database']}`")
            settings = {key: value for key, value in parameters.items() if key not in _TRANSPORT}
            # chDB gives queries ids of its own: theirs goes into the comment.
            settings["log_comment"] = parameters.get("query_id", "")
            for key, value in settings.items():
                connection.query(f"SET {key} = '{value}'")
            sql = b"\n".join(filter(None, [parameters.get("query", "").encode(), body]))
            if sql.startswith(b"KILL QUERY"):
                sql = sql.replace(b"query_id =", b"Settings['log_comment'] =")
            if match := _INSERT.match(sql):
                with tempfile.NamedTemporaryFile() as file:
                    file.write(sql[match.end() :])
                    file.flush()
                    sql = f"{match.group(1).decode()} FROM INFILE '{file.name}' FORMAT Native".encode()
                    return connection.query(sql).bytes() or b"", ""
            form = "Native" if re.search(rb"FORMAT\s+Native\s*$", sql) else "TabSeparated"
            found = connection.query(sql, form).bytes() or b""
            return found, form if found else ""
        finally:
            connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return lz4.frame.decompress(body) if self.headers.get("Content-Encoding") == "lz4" else body

    def _send(self, status: int, body: bytes, code: str = "", form: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        if form:
            self.send_header("X-ClickHouse-Format", form)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the tests look at `Bridge.seen`."""


class Bridge(ThreadingHTTPServer):
    """The server; `seen` are the parameters of each request."""

    daemon_threads = True

    def __init__(self, authorization: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.authorization = authorization
        self.seen: list[dict[str, str]] = []


@contextmanager
def bridge(authorization: str) -> Iterator[Bridge]:
    """A server that answers whoever shows this Authorization header."""
    assert Path(engine.folder()).is_dir()
    server = Bridge(authorization)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
