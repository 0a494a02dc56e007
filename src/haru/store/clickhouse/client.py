"""What uses clickhouse-connect: where a store is, its clients, and its errors as ours.

The same client speaks to a server over HTTP and drives chDB, ClickHouse inside this process. A client of chDB does one
thing at a time, so there is one for each call that runs.
"""

from __future__ import annotations

import contextlib
import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from haru.events.columns import Row
from haru.store.clickhouse import tables as ddl
from haru.store.clickhouse.sql import MEANING, quoted
from haru.store.protocol import StoreOutOfMemory, StoreUnavailable
from haru.store.stop import Stop

DATABASE = "haru"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 300  # the longest silence of a server while it works
WRITE_SECONDS = 60  # the longest an insert may run
QUERY_BYTES = 64 << 20  # of a statement: a filter may hold thousands of values

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTIONS = {"secure", "cluster", "database"}

# Faults of a statement, not of the store: unknown function and column, wrong type, syntax. They are raised as they are.
_FAULTS = {36, 42, 43, 44, 46, 47, 53, 62, 184, 215, 386}

_OUT_OF_MEMORY = 241


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is: a server, or a folder for chDB."""

    path: Path | None = None
    host: str = ""
    port: int = 8123
    user: str = "default"
    password: str = ""
    secure: bool = False
    database: str = DATABASE
    cluster: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """From clickhouse://, clickhouses:// or chdb:///. Raises `ValueError`; its sentence repeats no secret."""
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if unknown := sorted(options.keys() - _OPTIONS):
            raise ValueError(f'"{unknown[0]}" is no option of an event store: leave it off')
        if parts.scheme == "chdb":
            if parts.netloc or not parts.path.strip("/"):
                raise ValueError("chdb:// wants a whole path with three slashes, such as chdb:///var/lib/haru/chdb")
            if options.keys() & {"secure", "cluster"}:
                raise ValueError("chdb:// is inside this process: leave off secure and cluster")
            return cls(Path(unquote(parts.path)), database=_checked(options.get("database", DATABASE)))
        if not parts.hostname:
            raise ValueError("the event store's address has no host: write clickhouse://user:password@host:8123/haru")
        secure = parts.scheme == "clickhouses" or options.get("secure", "").lower() in {"true", "1", "yes"}
        return cls(
            host=parts.hostname,
            port=parts.port or (8443 if secure else 8123),
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=secure,
            database=_checked(options.get("database") or unquote(parts.path.strip("/")) or DATABASE),
            cluster=_checked(options["cluster"]) if options.get("cluster") else "",
        )

    @property
    def layout(self) -> ddl.Layout:
        """Where the tables lie."""
        return ddl.Layout(self.database, self.cluster)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f'"{name}" is not a name ClickHouse takes here: use letters, digits and _')
    return name


class ClickHouseClient:
    """Runs statements on a store, whichever it is. Every method may be called from any thread."""

    def __init__(self, address: Address, memory: int = 0, threads: int = 0) -> None:
        """`memory` is the most bytes a statement may use, `threads` the most cores; 0 leaves it to the server."""
        self.address = address
        self.embedded = address.path is not None
        self._lock = threading.Lock()
        self._free: list[Client] = []
        self._settings: dict[str, Any] = {"max_query_size": QUERY_BYTES, "max_ast_elements": 10_000_000}
        self._settings["max_expanded_ast_elements"] = self._settings["max_ast_elements"]
        if threads:
            self._settings["max_threads"] = threads
        if memory:
            # Half of it, then a group by or a sort goes to the disk.
            self._settings |= {
                "max_memory_usage": memory,
                "max_bytes_before_external_group_by": memory // 2,
                "max_bytes_before_external_sort": memory // 2,
            }
        if address.cluster:
            # What one insert said is what the next question sees, whichever replica answers it.
            self._settings |= {
                "insert_quorum": "auto",
                "insert_quorum_parallel": 0,
                "select_sequential_consistency": 1,
                "distributed_foreground_insert": 1,
                "distributed_ddl_task_timeout": 60,
            }

    def query(self, sql: str, settings: dict[str, Any] | None = None, stop: Stop | None = None) -> list[Row]:
        """The rows of a SELECT."""
        stop = stop or Stop()
        tag = str(uuid.uuid4())
        # The engine's own clock ends it too, should nobody be left to do so.
        limit = {"max_execution_time": int(left) + 2} if (left := stop.left) else {}
        chosen = {**MEANING, **limit, **self._tag(tag), **(settings or {})}
        over = threading.Event()

        def interrupt() -> None:
            threading.Thread(target=self._kill, args=(tag, over), daemon=True, name="haru-kill-query").start()

        with self.errors(), self._client() as client, stop.watching(interrupt):
            try:
                return [tuple(row) for row in client.query(sql, settings=chosen).result_rows]
            finally:
                over.set()

    def stream(self, sql: str, block: int) -> Iterator[list[Row]]:
        """The rows of a SELECT, at most `block` of them at a time."""
        with (
            self.errors(),
            self._client() as client,
            client.query_row_block_stream(sql, settings={**MEANING, "max_block_size": block}) as rows,
        ):
            for part in rows:
                found = [tuple(row) for row in part]
                for start in range(0, len(found), block):
                    yield found[start : start + block]

    def command(self, sql: str, settings: dict[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        with self.errors(), self._client() as client:
            client.command(sql, settings=settings or {})

    def insert(self, table: str, columns: Sequence[tuple[str, str]], data: Sequence[Any], token: str) -> None:
        """Add rows, given column by column. The same token twice adds them once; an empty one always adds."""
        settings: dict[str, Any] = {
            "max_partitions_per_insert_block": 0,  # an imported log may span years
            "max_execution_time": WRITE_SECONDS,
            "async_insert": 0,
            "insert_deduplicate": int(bool(token)),
        }
        if token:
            settings["insert_deduplication_token"] = token
        with self.errors(), self._client() as client:
            client.insert(
                table,
                data,
                column_names=[column for column, _ in columns],
                column_type_names=[kind for _, kind in columns],
                column_oriented=True,
                settings=settings,
            )

    def close(self) -> None:
        """Let go of every client that is not at work."""
        with self._lock:
            free, self._free = self._free, []
        for client in free:
            with contextlib.suppress(Exception):
                client.close()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """The library's errors become ours."""
        try:
            yield
        except ClickHouseError as error:
            if isinstance(error, DatabaseError) and error.code in _FAULTS:
                raise
            if isinstance(error, DatabaseError) and error.code == _OUT_OF_MEMORY:
                raise StoreOutOfMemory(
                    f"The event store has too little memory ({_first(error)}): ask for less at a time, or "
                    + ("raise HARU_EVENTS_MEMORY." if self.embedded else "give the server more memory for a query.")
                ) from error
            self.close()  # the next call begins with clients of its own
            raise StoreUnavailable(
                f"The event store does not answer ({_first(error)}): {self._remedy(error)}"
            ) from error
        except OSError as error:
            self.close()
            raise StoreUnavailable(f"The event store does not answer ({error}): {self._remedy(error)}") from error

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        with self._lock:
            client = self._free.pop() if self._free else None
        if client is None:
            client = self._connected()
        try:
            yield client
        except BaseException:
            with contextlib.suppress(Exception):
                client.close()
            raise
        with self._lock:
            self._free.append(client)

    def _connected(self) -> Client:
        connect = self._embedded if self.embedded else self._remote
        client = connect()
        try:
            exists = client.query(
                f"SELECT count() FROM system.databases WHERE name = {quoted(self.address.database)}"
            ).result_rows
            if not exists[0][0]:
                client.command(self.address.layout.create_database())
            client.database = self.address.database
        except BaseException:
            client.close()
            raise
        return client

    def _remote(self) -> Client:
        address = self.address
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            secure=address.secure,
            interface="https" if address.secure else "http",
            settings=self._settings,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=ANSWER_SECONDS,
            autogenerate_session_id=False,  # statements of one session cannot run side by side
            query_retries=0,
            tz_mode="naive_utc",
        )

    def _embedded(self) -> Client:
        assert self.address.path is not None
        self.address.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            client = clickhouse_connect.get_client(
                interface="chdb", path=str(self.address.path), settings={}, tz_mode="naive_utc"
            )
        except ImportError:
            raise StoreUnavailable(
                "The event store chdb:// needs a package that is not here: pip install haru[chdb]."
            ) from None
        # Of the handle, not of each statement: some of them must be known before a statement is read.
        for name, value in self._settings.items():
            client.command(f"SET {name} = {quoted(str(value))}")
        return client

    def _tag(self, tag: str) -> dict[str, str]:
        # chDB gives queries ids of its own.
        return {"log_comment": tag} if self.embedded else {"query_id": tag}

    def _kill(self, tag: str, over: threading.Event) -> None:
        """End a query; again and again, as it may not have begun."""
        found = f"Settings['log_comment'] = {quoted(tag)}" if self.embedded else f"query_id = {quoted(tag)}"
        while not over.is_set():
            with contextlib.suppress(StoreUnavailable, ClickHouseError):
                self.command(f"KILL QUERY WHERE {found} ASYNC")
            over.wait(0.1)

    def _remedy(self, error: Exception) -> str:
        text = str(error).lower()
        code = getattr(error, "code", None)
        if code in {192, 193, 194, 516, 497}:
            return "see that user, password and rights in HARU_EVENTS_URL are right."
        if code == 243 or "space" in text:
            return "see that the disk has space; what was collected waits in the spool."
        if "already initialized" in text:
            return "a process has one chDB folder: another one is open in this process."
        if "unable to open" in text:
            return "another program has the folder open, or this user may not write there: stop it, or give it back."
        if self.embedded:
            return "see that the disk has space and that this user may write in the folder."
        return "see that ClickHouse runs and that HARU_EVENTS_URL names it; what was collected waits in the spool."


def _first(error: Exception) -> str:
    """What went wrong, in a line: of a connection that failed the reason only, not the machinery around it."""
    if reason := re.search(r"\[Errno -?\d+\] [^\"')]+", str(error)):
        return reason.group()
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
