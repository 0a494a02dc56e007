"""Looks for addresses in bytes: many thousand of them, in every form in which one could have been kept, in seconds."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from math import sqrt
from pathlib import Path

import duckdb
import numpy as np

from tests.privacy.addresses import Address, network_of

ALGORITHMS = ("md5", "sha1", "sha256")
WORD = 8  # bytes by which a window is chosen before it is compared; no form is shorter
_TABLE_BITS = 24
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def forms(address: Address) -> Iterator[tuple[str, bytes]]:
    """Every form with its name. The four bytes of an IPv4 address are not among them: chance writes those too."""
    texts = {"text": str(address)}
    packed = {"packed": address.packed}
    if isinstance(address, ipaddress.IPv6Address):
        network = network_of(address)
        texts |= {
            "full text": address.exploded,
            "upper case text": str(address).upper(),
            "upper case full text": address.exploded.upper(),
            "network's text": str(network),
            "network's text with length": f"{network}/64",
            "network's full text": network.exploded[:20],
        }
        packed["network packed"] = network.packed[:8]
        yield from packed.items()
    yield from ((name, text.encode()) for name, text in texts.items())
    for algorithm in ALGORITHMS:
        for name, content in {**{name: text.encode() for name, text in texts.items()}, **packed}.items():
            digest = hashlib.new(algorithm, content).digest()
            yield f"{algorithm} of {name}", digest
            yield f"{algorithm} of {name}, hex", digest.hex().encode()
            yield f"{algorithm} of {name}, upper case hex", digest.hex().upper().encode()
            yield f"{algorithm} of {name}, base64", base64.b64encode(digest).rstrip(b"=")
            yield f"{algorithm} of {name}, base64 for URLs", base64.urlsafe_b64encode(digest).rstrip(b"=")


class Traces:
    """Finds which addresses of which groups are in some bytes."""

    def __init__(self, groups: Mapping[str, Iterable[Address]], control: Sequence[Address]) -> None:
        """`control` are addresses that nothing ever saw: their four bytes are found as often as chance has it."""
        self._needles: dict[int, list[tuple[bytes, str, str]]] = {}  # first word → form, group, form's name
        for group, addresses in groups.items():
            for address in addresses:
                for name, form in forms(address):
                    self._needles.setdefault(int.from_bytes(form[:WORD], "little"), []).append((form, group, name))
        self._first = _Numbers(np.fromiter(self._needles, np.uint64))
        # The groups' IPv4 addresses as numbers; the control is one more group, and the last.
        self._groups = list(groups)
        v4 = [[int(a) for a in addresses if a.version == 4] for addresses in [*groups.values(), control]]
        self._sizes = np.array([len(addresses) for addresses in v4])
        numbers = np.array([number for addresses in v4 for number in addresses], np.uint32)
        owners = np.repeat(np.arange(len(v4)), self._sizes)
        self._v4 = {}
        for name, written in (("packed", numbers.byteswap()), ("packed, lowest byte first", numbers)):
            order = np.argsort(written)
            self._v4[name] = _Numbers(written[order].astype(np.uint64)), owners[order]

    def found(self, places: Iterable[tuple[str, bytes]]) -> Counter[str]:
        """What is where: "<group>: <form> in <place>" → times. Empty when no place holds an address."""
        found: Counter[str] = Counter()
        for place, content in places:
            for group, name in self._in(content):
                found[f"{group}: {name} in {place}"] += 1
            for group, name, times in self._packed_in(content):
                found[f"{group}: {name} in {place}"] += times
        return found

    def _in(self, content: bytes) -> Iterator[tuple[str, str]]:
        for offset in range(min(WORD, len(content) - WORD + 1)):
            words = np.frombuffer(content, "<u8", (len(content) - offset) // WORD, offset)
            for index in self._first.places(words):
                for form, group, name in self._needles[int(words[index])]:
                    if content.startswith(form, offset + WORD * int(index)):
                        yield group, name

    def _packed_in(self, content: bytes) -> Iterator[tuple[str, str, int]]:
        """Groups of which more addresses occur as four bytes than chance explains.

        Distinct addresses are counted, for one that equals a common pattern would be met a thousand times. A group's
        expectation is the control's share of addresses that occur; five standard deviations above it are allowed (the
        count is a Poisson one, whose variance is its mean), with one added for small numbers: of a small group more than
        five must be there.
        """
        for name, (numbers, owners) in self._v4.items():
            met = np.zeros(len(owners), np.bool_)
            for offset in range(min(4, len(content) - 3)):
                windows = np.frombuffer(content, "<u4", (len(content) - offset) // 4, offset).astype(np.uint64)
                met[numbers.which(windows[numbers.places(windows)])] = True
            *hits, control = np.bincount(owners[met], minlength=len(self._sizes))
            *sizes, controls = self._sizes
            for group, hit, size in zip(self._groups, hits, sizes, strict=True):
                expected = control * size / max(1, controls)
                if hit > expected + 5 * sqrt(expected + 1):
                    yield group, name, int(hit)


class _Numbers:
    """A set of numbers of 64 bits that many others are quickly looked up in."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._sorted = np.sort(numbers)
        self._table = np.zeros(1 << _TABLE_BITS, np.bool_)  # most of those that are not in the set fall through here
        self._table[self._slots(self._sorted)] = True

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Where in an array numbers of the set stand."""
        likely = np.flatnonzero(self._table[self._slots(numbers)])
        found = numbers[likely]
        return likely[self._sorted[np.minimum(self.which(found), len(self._sorted) - 1)] == found]

    def which(self, numbers: np.ndarray) -> np.ndarray:
        """The place of each number in the order of the set."""
        return np.searchsorted(self._sorted, numbers)

    @staticmethod
    def _slots(numbers: np.ndarray) -> np.ndarray:
        return (numbers * _SPREAD) >> np.uint64(64 - _TABLE_BITS)


def places(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All that a folder holds: names of files, every byte of them, and every value of every table of a database.

    The values too, for a column store packs them: what is plain in a column need not be plain in the file.
    """
    paths = sorted(folder.rglob("*"))
    yield "names of files", b"\0".join(str(path.relative_to(folder)).encode() for path in paths)
    for path in paths:
        if path.is_file():
            yield path.name, path.read_bytes()
    with tempfile.TemporaryDirectory() as scratch:  # opening a database changes its files
        copy = copied(folder, Path(scratch) / "copy")
        for path in sorted(copy.rglob("*")):
            head = path.read_bytes()[:16] if path.is_file() else b""
            if head == b"SQLite format 3\0":
                yield from _sqlite_columns(path)
            elif head[8:12] == b"DUCK":
                yield from _duckdb_columns(path)


def copied(folder: Path, to: Path) -> Path:
    """A plain copy of a folder; what is no file, such as a socket, stays behind."""
    shutil.copytree(
        folder,
        to,
        ignore=lambda at, names: [n for n in names if not (Path(at) / n).is_file() and not (Path(at) / n).is_dir()],
    )
    return to


def _sqlite_columns(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            yield from _columns(f"{path.name}, {table}", [name for name, *_ in cursor.description], cursor.fetchall())


def _duckdb_columns(path: Path) -> Iterator[tuple[str, bytes]]:
    with closing(duckdb.connect(str(path))) as connection:
        for schema, table in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
            cursor = connection.execute(f'SELECT * FROM "{schema}"."{table}"')
            yield from _columns(f"{path.name}, {table}", [name for name, *_ in cursor.description], cursor.fetchall())


def _columns(table: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, bytes]]:
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        yield f"{table}.{name}", b"\0".join(map(_bytes, values))


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value.to_bytes(17, "big", signed=True)  # an address may be kept as a number
    return str(value).encode("utf-8", "surrogatepass")
