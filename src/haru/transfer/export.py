"""Stored events as files: NDJSON or Parquet, in pieces, with bounded memory. docs/export.md explains each column."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from haru.clock import LATEST_MS
from haru.events.columns import COLUMNS, NAMES, Row
from haru.store.protocol import Store, StoreUnavailable
from haru.store.rows import arrays_of

FORMATS = {"ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}

# The columns of a file: those of the store, but that the site's number stands with the installation that gave it.
SITE = "site"
EXPORTED: tuple[tuple[str, str], ...] = (*(column for column in COLUMNS if column[0] != "site_id"), (SITE, "VARCHAR"))

FOLDER = "export-"  # how the names of work folders begin
_ABANDONED_SECONDS = 24 * 60 * 60  # a work folder this old was left behind by a kill
_PIECE = 256 * 1024  # bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadBounds(ValueError):
    """A begin or an end of an export cannot be understood; the text says what would be right."""


def bounds(since: str, until: str, zone: tzinfo) -> tuple[int, int]:
    """The instants (ms, the second not included) that two texts mean; "" is no bound. Raises `BadBounds`.

    A date is a day in this zone, and as the end it is included; an instant has its offset.
    """
    start = _instant("since", since, zone, last=False) if since else 0
    end = _instant("until", until, zone, last=True) if until else LATEST_MS
    if end < start:
        raise BadBounds(f'until: it ends before it begins ("{since}" is after "{until}")')
    return start, end


def site_name(installation: str, site_id: int) -> str:
    """What a file calls the site that its visitors' ids are of."""
    return f"{installation}/{site_id}"


def events(
    store: Store, installation: str, site_id: int, span: tuple[int, int], format: str, folder: Path
) -> Iterator[bytes]:
    """A site's events that happened in [span), by id, as the bytes of a file. Raises `StoreUnavailable`.

    `installation` is as `haru.store.opening.installation` has it, `format` one of `FORMATS`; `folder` is where a
    Parquet file is made up before its first byte is known.
    """
    rows, site = store.scan(site_id, *span), site_name(installation, site_id)
    return ndjson(rows, site) if format == "ndjson" else parquet(rows, site, folder)


def ndjson(rows: Iterable[list[Row]], site: str) -> Iterator[bytes]:
    """One JSON object a line, each of this site."""
    encode = msgspec.json.Encoder().encode
    for some in rows:
        lines = []
        for row in some:
            record = dict(zip(NAMES, row, strict=True))
            del record["site_id"]
            record[SITE] = site
            record["occurred_at"] = _EPOCH + timedelta(milliseconds=record["occurred_at"])
            # 64 bits do not fit the numbers of every JSON reader.
            record["visitor_id"] = str(record["visitor_id"])
            record["props"] = msgspec.Raw(record["props"].encode())
            lines.append(encode(record) + b"\n")
        yield b"".join(lines)


def parquet(rows: Iterable[list[Row]], site: str, folder: Path) -> Iterator[bytes]:
    """One Parquet file of this site, with zstd. Rows go through a DuckDB file of their own, on disk, not in memory."""
    with work_folder(folder) as work, _errors():
        with contextlib.closing(duckdb.connect(str(work / "rows.duckdb"), config=_frugal())) as database:
            columns = ", ".join(f"{name} {kind}" for name, kind in EXPORTED)
            database.execute(f"CREATE TABLE event ({columns})")
            own = EXPORTED[:-1]
            selected = ", ".join(f"make_timestamp_ms({n})" if kind == "TIMESTAMP" else n for n, kind in own)
            for some in rows:
                database.register("batch", arrays_of(some))
                database.execute(f"INSERT INTO event SELECT {selected}, $1 FROM batch", [site])
                database.unregister("batch")
            target = str(work / "events.parquet").replace("'", "''")
            database.execute(f"COPY event TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        (work / "rows.duckdb").unlink()
        with (work / "events.parquet").open("rb") as file:
            (work / "events.parquet").unlink()  # whatever becomes of this process, nothing stays behind
            while piece := file.read(_PIECE):
                yield piece


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """A folder for this user only that goes when the block ends; those that killed processes left go before it."""
    for old in parent.glob(f"{FOLDER}*"):
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=FOLDER, dir=parent) as work:
        yield Path(work)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise StoreUnavailable(
            f"The Parquet file cannot be made ({str(error).splitlines()[0]}): see that the data folder's disk has "
            "space, or export as NDJSON, which needs none."
        ) from error


def _frugal() -> dict[str, Any]:
    return {
        "memory_limit": "256MB",
        "threads": 1,
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _instant(name: str, text: str, zone: tzinfo, *, last: bool) -> int:
    try:
        if len(text) == 10:
            day = date.fromisoformat(text) + timedelta(days=last)
            at = datetime(day.year, day.month, day.day, tzinfo=zone)
        else:
            at = datetime.fromisoformat(text)
        if at.tzinfo is not None and 1970 < at.year < 9999:
            return (at - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        pass
    raise BadBounds(
        f'{name}: "{text[:100]}" is neither date nor instant: give a date such as 2026-01-31 or an instant such as '
        "2026-01-31T10:00:00+01:00"
    )
