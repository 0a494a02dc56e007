"""Import of a file of events, as `export` writes them: its rows go to the spool with their visits, each exactly once.

The file is read twice. First every line is checked, so that a file with a fault imports nothing. Then its rows are
committed to the spool in batches, each with a checkpoint (how many rows so far, and their digest): where a later run
meets one, everything before it is known to be imported. The digest is of what the rows say, whichever format they come
in.

A visitor's id is of a site: only a file of the very site that takes it in keeps its ids. Those of any other become
others, the same ones each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
from msgspec import Meta

from haru.events.columns import NAMES, Row
from haru.events.text import is_storable
from haru.spool.spool import Body, Imported, Spool
from haru.transfer.export import EXPORTED, SITE, site_name

BATCH_ROWS = 2_000
MAX_LINE = 1 << 20  # bytes
_PARQUET = b"PAR1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BIGGEST = 2**53

Id = Annotated[int, Meta(ge=1, le=_BIGGEST)]
Text = Annotated[str, Meta(max_length=65_536)]
Count = Annotated[int, Meta(ge=0, le=_BIGGEST)]


class FileUnreadable(Exception):
    """The file is none of events; the text says where and what would be right. Nothing of it was imported."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One line of a file: the columns of docs/export.md."""

    id: Id
    occurred_at: Annotated[datetime, Meta(tz=True)]
    visitor_id: Annotated[str, Meta(pattern=r"^-?[0-9]{1,19}$")]
    visit_id: Id
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    hostname: Text
    path: Text
    source: Text
    channel: Text
    referrer: Text
    utm_source: Text
    utm_medium: Text
    utm_campaign: Text
    utm_content: Text
    utm_term: Text
    click_id: Text
    country: Text
    region: Text
    city: Count
    device: Text
    browser: Text
    browser_version: Text
    os: Text
    os_version: Text
    screen: Text
    language: Text
    props: dict[Annotated[str, Meta(min_length=1, max_length=300)], Text]
    revenue_currency: Annotated[str, Meta(pattern=r"^([A-Za-z]{3})?$")]
    revenue_amount: Annotated[str, Meta(pattern=r"^(-?[0-9]{1,40}(\.[0-9]{1,9})?)?$")]
    engaged_ms: Count
    scroll_depth: Annotated[int, Meta(ge=-1, le=100)]
    interactive: bool
    site: Annotated[str, Meta(pattern=r"^([0-9a-f]{16}/[0-9]{1,19})?$")] = ""  # files of before say nothing of it


_TEXTS = [name for name, kind in EXPORTED if kind == "VARCHAR" and name not in {"props", SITE}]
_decode = msgspec.json.Decoder(Record).decode
_props = msgspec.json.Encoder(order="sorted").encode
_canonical = msgspec.msgpack.Encoder().encode
_AT, _VISITOR = NAMES.index("occurred_at"), NAMES.index("visitor_id")


@dataclass(slots=True)
class Summary:
    """What became of a file's rows."""

    rows: int = 0
    imported: int = 0
    known: int = 0  # rows that were imported before
    first_at: int = 0  # ms UTC, of all rows; 0 when there are none
    last_at: int = 0


def import_events(
    path: Path,
    installation: str,
    site_id: int,
    spool: Spool,
    work: Path,
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Import a file, NDJSON or Parquet, into a site of this installation.

    Safe to run again, also after a run that was cut short. `installation` is as `haru.store.opening.installation` has
    it, and `work` is an empty folder for what must be on disk
    meanwhile; `progress` hears of every batch. Raises `FileUnreadable` for a file with a fault, from which nothing is
    imported, and `SpoolUnavailable` when the disk refuses.
    """
    file = _File(path, site_id, work)
    surveyed = _survey(file)
    summary = Summary(rows=surveyed.rows, first_at=surveyed.first_at, last_at=surveyed.last_at)
    checkpoints = spool.import_checkpoints(site_id)
    if not surveyed.rows or surveyed.digest in checkpoints.get(surveyed.rows, ()):
        summary.known = surveyed.rows
        return summary
    digest, done, pending = _digest(site_id), 0, list[Row]()
    own = site_name(installation, site_id)

    def commit() -> None:
        part = Imported(surveyed.name, surveyed.first_id, surveyed.span, done - len(pending), list(pending))
        with spool.transaction() as transaction:
            transaction.append_body(Body([], imported=part))
            transaction.add_import_checkpoint(site_id, digest.digest(), done)
        summary.imported += len(pending)
        pending.clear()
        if progress is not None:
            progress(summary)

    for row, site in file.rows():
        digest.update(_canonical(row))
        done += 1
        pending.append(row if site == own else _with_visitor_of(own, row, site))
        if done in checkpoints and digest.digest() in checkpoints[done]:
            summary.known += len(pending)
            pending.clear()
        elif len(pending) == BATCH_ROWS:
            commit()
    if pending:
        commit()
    return summary


def _with_visitor_of(own: str, row: Row, site: str) -> Row:
    """The row of another site's visitor with the id that this visitor has in our own.

    An id may occur in both, as those of a copied site do, and would be two people in one.
    """
    hashed = hashlib.blake2b(b"%s|%d" % (site.encode(), row[_VISITOR]), key=own.encode(), digest_size=8)
    return (*row[:_VISITOR], int.from_bytes(hashed.digest(), "big", signed=True), *row[_VISITOR + 1 :])


@dataclass(slots=True)
class _Surveyed:
    rows: int
    first_id: int
    span: int
    first_at: int
    last_at: int
    digest: bytes

    @property
    def name(self) -> str:
        return f"import-{self.digest.hex()[:32]}"


def _digest(site_id: int) -> hashlib.blake2b:
    return hashlib.blake2b(b"events of site %d" % site_id, digest_size=32)


def _survey(file: _File) -> _Surveyed:
    """Check every row, and find out what the file holds."""
    digest, rows, least, last = _digest(file.site_id), 0, 0, 0
    first_at = last_at = 0
    for row, _ in file.rows():
        id, at, visit = row[0], row[_AT], row[4]
        rows += 1
        if id <= last:
            raise FileUnreadable(
                f"{file.place(rows)}: id: {id} comes after {last}: the events of a file are in the order of their ids. "
                "Nothing was imported."
            )
        digest.update(_canonical(row))
        least, last = min(least or visit, visit), id
        first_at, last_at = min(first_at or at, at), max(last_at, at)
    return _Surveyed(rows, least, last - least + 1, first_at, last_at, digest.digest())


class _File:
    """A file that can be read again and again as rows of the store, in its order."""

    def __init__(self, path: Path, site_id: int, work: Path) -> None:
        self.site_id = site_id
        self._path = path
        self._work = work
        with path.open("rb") as file:
            self._parquet = file.read(len(_PARQUET)) == _PARQUET

    def place(self, number: int) -> str:
        """The row with this number, as people find it."""
        return f"{'Row' if self._parquet else 'Line'} {number:,}"

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Every row, and the site that its visitor's id is of. Raises `FileUnreadable`."""
        for number, record in self._records():
            fault = _fault(record)
            if fault:
                raise FileUnreadable(f"{self.place(number)}: {fault}. Nothing was imported.")
            yield _row(self.site_id, record), record.site

    def _records(self) -> Iterator[tuple[int, Record]]:
        source = self._values() if self._parquet else self._lines()
        number = 0
        while True:
            number += 1
            try:
                record = next(source, None)
            except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
                raise FileUnreadable(f"{self.place(number)}: {_sentence(error)}. Nothing was imported.") from None
            if record is None:
                return
            yield number, record

    def _lines(self) -> Iterator[Record]:
        with self._path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise ValueError("it is longer than a mebibyte, so it is no event")
                yield _decode(line)

    def _values(self) -> Iterator[Record]:
        # By a name of our own: DuckDB would take stars and brackets in a name for a pattern.
        link = self._work / "events.parquet"
        if not link.is_symlink():
            link.symlink_to(self._path.resolve())
        (self._work / "spill").mkdir(exist_ok=True)
        config: dict[str, Any] = {
            "memory_limit": "256MB",
            "threads": 1,
            "temp_directory": str(self._work / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with contextlib.closing(duckdb.connect(":memory:", config=config)) as database:
            try:
                found = database.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(link)]).fetchall()
                kinds = {name: kind for name, kind, *_ in found}
                _check_columns(kinds)
                there = [(name, kind) for name, kind in EXPORTED if name in kinds]
                selected = ", ".join(f"epoch_ms({n})" if kind == "TIMESTAMP" else n for n, kind in there)
                database.execute(f"SELECT {selected} FROM read_parquet($1) ORDER BY id", [str(link)])
                while some := database.fetchmany(BATCH_ROWS):
                    for values in some:
                        yield _record({name: value for (name, _), value in zip(there, values, strict=True)})
            except duckdb.Error as error:
                raise FileUnreadable(
                    f"The Parquet file cannot be read ({str(error).splitlines()[0]}). Nothing was imported."
                ) from error


def _check_columns(found: Mapping[str, str]) -> None:
    for name, kind in EXPORTED:
        if name not in found:
            if name == SITE:  # files of before have none
                continue
            raise FileUnreadable(f"The column {name} is missing: see docs/export.md. Nothing was imported.")
        if found[name].partition("_")[0] != kind:
            raise FileUnreadable(f"The column {name} is {found[name]} and not {kind}. Nothing was imported.")


def _record(values: dict[str, Any]) -> Record:
    for name, value in values.items():
        if value is None:
            raise ValueError(f"{name}: is null")
    values["occurred_at"] = _EPOCH + timedelta(milliseconds=values["occurred_at"])
    values["visitor_id"] = str(values["visitor_id"])
    values["props"] = msgspec.json.decode(values["props"])
    return msgspec.convert(values, Record)


def _row(site_id: int, record: Record) -> Row:
    values = msgspec.structs.asdict(record)
    values["site_id"] = site_id
    values["occurred_at"] = (record.occurred_at - _EPOCH) // timedelta(milliseconds=1)
    values["visitor_id"] = int(record.visitor_id)
    values["props"] = _props(record.props).decode() if record.props else "{}"
    return tuple(values[name] for name in NAMES)


def _fault(record: Record) -> str:
    """What no type can say; "" when all is well."""
    if record.visit_id > record.id:
        return "visit_id: is greater than id: a visit has the id of the event that opened it"
    if not 1970 < record.occurred_at.year < 2200:
        return f"occurred_at: {record.occurred_at.year} is no year of an event"
    if not -(2**63) <= int(record.visitor_id) < 2**63:
        return "visitor_id: does not fit in 64 bits"
    texts = [getattr(record, name) for name in _TEXTS]
    if not all(map(is_storable, (*texts, *record.props, *record.props.values()))):
        return "a text holds a character that no store takes, such as U+0000"
    return ""


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


def _sentence(error: Exception) -> str:
    """msgspec's words as ours: "Expected `int`, got `str` - at `$.city`" → "city: expected int, got str"."""
    match = _PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    what = what.replace("`", "").rstrip(".")
    what = what if what.startswith("JSON") else f"{what[:1].lower()}{what[1:]}"
    return f"{path}: {what}" if path else what
