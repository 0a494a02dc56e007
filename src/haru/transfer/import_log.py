"""Import of an access log: its requests for pages become events in the spool, each exactly once.

Read in one pass, in batches of `BATCH_LINES` lines counted from the log's beginning. A batch's events and a checkpoint
(how many lines so far, and their digest) are committed together; where a later run meets one, everything before it is
known to be imported. Every line is accounted for: `Summary.lines == Summary.imported + sum(Summary.refused.values())`.
"""

from __future__ import annotations

import gzip
import hashlib
import secrets
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from haru.clock import DAY_MS
from haru.collect.geo import Geo
from haru.collect.hit import Hit
from haru.collect.pipeline import Pipeline
from haru.collect.sites import Site
from haru.collect.visitor import visitor_id
from haru.events.event import Event
from haru.events.refusals import Refused
from haru.spool.spool import Spool
from haru.transfer.accesslog import Reader, Request

BATCH_LINES = 1_000
MAX_LINE = 64 * 1024  # bytes; a longer line is no line of an access log
EARLIEST_MS = 631_152_000_000  # 1990: before it there was no web to log
_CHUNK = 256 * 1024


class Skip(StrEnum):
    """Why a line of a log gives no event, besides the refusals of the pipeline; tried in this order."""

    BAD_LINE = "bad_line"
    NOT_A_PAGE = "not_a_page"
    ASSET = "asset"
    OTHER_HOST = "other_host"
    ALREADY_IMPORTED = "already_imported"


# What a tracker in a page would never report, as it runs in none of these. docs/import.md shows this list.
ASSET_ENDINGS: dict[str, tuple[str, ...]] = {
    "styles and scripts": ("css", "less", "scss", "js", "mjs", "cjs", "map", "wasm", "xsl", "xslt"),
    "images": (
        *("png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "svgz", "ico", "cur", "bmp", "tif", "tiff", "apng"),
        *("heic", "jxl", "psd"),
    ),
    "fonts": ("woff", "woff2", "ttf", "otf", "eot"),
    "sound and film": (
        *("mp3", "m4a", "ogg", "oga", "opus", "flac", "wav", "aac", "mp4", "m4v", "webm", "ogv", "mov", "avi", "mkv"),
        *("mpg", "mpeg", "wmv", "flv", "swf", "m3u8", "mpd", "ts", "vtt", "srt"),
    ),
    "data and feeds": (
        *("json", "jsonld", "geojson", "webmanifest", "manifest", "xml", "rss", "atom", "rdf", "txt", "csv", "tsv"),
        *("yaml", "yml", "ics", "sql", "log"),
    ),
    "documents": (
        *("pdf", "ps", "eps", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "rtf", "epub"),
        "mobi",
    ),
    "archives and programs": (
        *("zip", "gz", "tgz", "bz2", "tbz", "xz", "txz", "zst", "7z", "rar", "tar", "jar", "war", "deb", "rpm", "apk"),
        *("dmg", "pkg", "exe", "msi", "iso", "img", "bin", "gem", "whl", "sig", "asc", "sha256", "md5", "torrent"),
    ),
}
_ENDINGS = frozenset(ending for endings in ASSET_ENDINGS.values() for ending in endings)
FEED_NAMES = frozenset({"feed", "rss", "atom"})  # as a path's last part, with or without a slash behind it
MACHINE_FOLDER = "/.well-known/"


class LogUnreadable(Exception):
    """The log cannot be read further; the text says why and what to do. What was committed before it stays."""


@dataclass(slots=True)
class Summary:
    """What became of a log's lines."""

    lines: int = 0
    imported: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by the name of the reason
    format: str = "auto"
    first_at: int = 0  # ms UTC, of the imported pageviews; 0 when there is none
    last_at: int = 0


class DaySalts:
    """A random salt for each logged UTC day. They exist in memory only and are gone with the run."""

    def __init__(self) -> None:
        self._salts: dict[int, bytes] = {}

    def ids(self, at: int, site_id: int, address: bytes, user_agent: str) -> tuple[int, int]:
        """The visitor's id under the salt of the logged day, and under that of the day before when the log had it."""
        day = at // DAY_MS
        salt = self._salts.get(day)
        if salt is None:
            salt = self._salts[day] = secrets.token_bytes(32)
        visitor = visitor_id(salt, site_id, address, user_agent)
        before = self._salts.get(day - 1)
        return visitor, visitor if before is None else visitor_id(before, site_id, address, user_agent)


def import_log(
    stream: BinaryIO,
    site: Site,
    spool: Spool,
    geo: Geo,
    *,
    now: int,
    format: str = "auto",
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Import a log, plain or gzip, from a buffered stream that need not be a file. `now` is in ms UTC.

    Safe to run again, on the same log, on one that has grown, and after a run that was cut short. `progress` hears of
    every batch. Raises `LogUnreadable` for a damaged log and `SpoolUnavailable` when the disk refuses.
    """
    run = _Run(site, spool, geo, Reader(format), now)
    for line, ended in lines(unpacked(stream)):
        run.take(line, ended)
        if run.summary.lines % BATCH_LINES == 0 and progress is not None:
            progress(run.summary)
    run.commit()
    run.summary.format = run.reader.format
    if progress is not None:
        progress(run.summary)
    return run.summary


def unpacked(stream: BinaryIO) -> BinaryIO:
    """The stream itself, or what it holds when it begins as gzip does."""
    peek = getattr(stream, "peek", None)
    if peek is not None and peek(2)[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    return stream


def lines(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each line without its end, and whether it had one: only the last may lack it.

    A line is cut after `MAX_LINE` + 1 bytes, so that a file without line ends cannot fill the memory.
    """
    rest = b""
    while chunk := _read(stream):
        first, *others = chunk.split(b"\n")
        rest = (rest + first)[: MAX_LINE + 1]
        for line in others:
            yield rest.removesuffix(b"\r"), True
            rest = line[: MAX_LINE + 1]
    if rest:
        yield rest.removesuffix(b"\r"), False


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LogUnreadable(
            f"The gzip data is damaged or cut short ({error}): what came before it is imported; mend the file and run "
            "the same command again, nothing counts twice."
        ) from error
    except OSError as error:
        raise LogUnreadable(f"The log cannot be read ({error.strerror or error}).") from error


@lru_cache(maxsize=16_384)
def is_asset(path: str) -> bool:
    """Whether a path (no query) names a file or feed that no person looks at as a page."""
    name = path.rstrip("/").rpartition("/")[2].lower()
    stem, _, ending = name.rpartition(".")
    return (
        (ending in _ENDINGS and name != ending) or (not stem and name in FEED_NAMES) or path.startswith(MACHINE_FOLDER)
    )


class _Run:
    """One import on its way: the lines so far, their digest, and the events that wait for the batch's end."""

    def __init__(self, site: Site, spool: Spool, geo: Geo, reader: Reader, now: int) -> None:
        self.summary = Summary()
        self.reader = reader
        self._site = site
        self._hosts = frozenset({site.domain, f"www.{site.domain}"})
        self._spool = spool
        self._pipeline = Pipeline(DaySalts().ids, geo)
        self._latest = now + DAY_MS  # clocks differ, but not by a day
        self._checkpoints = spool.import_checkpoints(site.id)
        self._digest = hashlib.blake2b(digest_size=32)
        self._lines = 0
        self._pending: list[Event] = []
        self._at_checkpoint = True  # whether a checkpoint is kept for exactly the lines so far

    def take(self, line: bytes, ended: bool) -> None:
        """Account for one line."""
        self.summary.lines += 1
        request = self.reader.read(line) if len(line) <= MAX_LINE else None
        if request is None and not ended:
            # Perhaps still being written: left out of the digest, so that the next run reads it whole.
            self.summary.refused[Skip.BAD_LINE] += 1
            return
        self._lines += 1
        self._digest.update(request.canonical() if request else b"bad %d" % len(line))
        outcome = self._judge(request) if request else Skip.BAD_LINE
        if isinstance(outcome, Event):
            self._pending.append(outcome)
        else:
            self.summary.refused[outcome] += 1
        known = self._checkpoints.get(self._lines)
        self._at_checkpoint = known is not None and self._digest.digest() in known
        if self._at_checkpoint and self._pending:
            self.summary.refused[Skip.ALREADY_IMPORTED] += len(self._pending)
            self._pending.clear()
        if self._lines % BATCH_LINES == 0:
            self.commit()

    def commit(self) -> None:
        """Make the batch's events and the checkpoint behind them durable together. Raises `SpoolUnavailable`."""
        if self._at_checkpoint:
            return
        with self._spool.transaction() as transaction:
            transaction.append(self._pending)
            transaction.add_import_checkpoint(self._site.id, self._digest.digest(), self._lines)
        self._count_imported()
        self._at_checkpoint = True

    def _count_imported(self) -> None:
        if self._pending:
            moments = [event.at for event in self._pending]
            self.summary.imported += len(moments)
            self.summary.first_at = min(moments + ([self.summary.first_at] if self.summary.first_at else []))
            self.summary.last_at = max(self.summary.last_at, *moments)
            self._pending.clear()

    def _judge(self, request: Request) -> Event | str:
        """The event of a request for a page, or the name of the reason why it is none."""
        if not EARLIEST_MS <= request.at <= self._latest:
            return Skip.BAD_LINE
        if request.method != "GET" or request.status not in (200, 304):
            return Skip.NOT_A_PAGE
        target = request.target
        if not target.startswith("/"):
            target = _own_target(target, self._hosts)
            if not target:
                return Skip.NOT_A_PAGE
        if is_asset(target.partition("?")[0]):
            return Skip.ASSET
        if request.host and request.host not in self._hosts:
            return Skip.OTHER_HOST
        hostname = request.host or self._site.domain
        hit = Hit(
            site=self._site,
            at=request.at,
            address=request.address,
            user_agent=request.user_agent,
            url=f"https://{hostname}{target}",
            hostname=hostname,
            referrer=request.referrer,
            language=request.language,
            by_key=not request.agent_known,  # no user agent in the whole log says nothing against anyone
        )
        try:
            return self._pipeline.run(hit)
        except Refused as refused:
            return refused.reason


def _own_target(target: str, hosts: frozenset[str]) -> str:
    """Path and query of a target written as a whole URL (as to a proxy), "" when it asks for someone else's page."""
    try:
        parts = urlsplit(target)
        if parts.scheme in ("http", "https") and parts.hostname in hosts:
            return parts._replace(scheme="", netloc="").geturl() or "/"
    except ValueError:  # brackets that are no IPv6 host
        pass
    return ""
