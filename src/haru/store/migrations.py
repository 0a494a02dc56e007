"""Numbered migrations of an event store: what brings its tables from one version of Haru to the next.

Each is a file of literal SQL in the folder `migrations` of its engine, and never changes once it is released: a change
is a new file. A fresh store goes through all of them, so an upgraded store and a fresh one cannot differ.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haru.store.protocol import StoreTooNew

log = logging.getLogger(__name__)

_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_END = re.compile(r";\n")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step."""

    number: int  # grows by one from file to file
    title: str
    statements: tuple[str, ...]


def read(folder: Path, names: Mapping[str, str] | None = None) -> tuple[Migration, ...]:
    """The migrations of a folder, from files like `0007_what_it_does.sql`.

    A statement ends with a semicolon at the end of a line, a comment has lines of its own. What stands in braces is
    replaced by the name that `names` has for it; other braces stay.
    """
    return tuple(_read(path, names or {}) for path in sorted(folder.glob("*.sql")))


def _read(path: Path, names: Mapping[str, str]) -> Migration:
    number, _, title = path.stem.partition("_")
    text = _COMMENT.sub("", path.read_text("utf-8"))
    for place, name in names.items():
        text = text.replace(f"{{{place}}}", name)
    return Migration(int(number), title.replace("_", " "), tuple(filter(None, map(str.strip, _END.split(text)))))


_listeners: list[Callable[[Migration], None]] = []


@contextlib.contextmanager
def noted() -> Iterator[list[Migration]]:
    """What is applied by any store of this process while the block runs."""
    found: list[Migration] = []
    _listeners.append(found.append)
    try:
        yield found
    finally:
        _listeners.remove(found.append)


def pending(migrations: Sequence[Migration], version: int) -> list[Migration]:
    """What a store at this version (0: empty) lacks. Raises `StoreTooNew`."""
    first, last = migrations[0].number, migrations[-1].number
    assert [migration.number for migration in migrations] == list(range(first, last + 1))
    if version > last:
        raise StoreTooNew(
            f"The event store is at version {version}, made by a newer Haru; this one knows {last}: "
            "start the newer Haru, or restore a backup from before."
        )
    return [migration for migration in migrations if migration.number > version]


def migrate(migrations: Sequence[Migration], version: int, apply: Callable[[Migration], None]) -> None:
    """Apply what is missing, in order. `apply` must also record the migration's number. Raises `StoreTooNew`."""
    for migration in pending(migrations, version):
        apply(migration)
        log.info("store_migrated", extra={"version": migration.number, "title": migration.title})
        for listener in _listeners:
            listener(migration)
