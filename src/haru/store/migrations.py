"""Numbered migrations of an event store: what brings its tables from one version of Haru to the next.

Each engine has its own list. A migration is never changed once released: a change is a new one. A fresh store goes
through all of them, so a migrated store and a fresh one cannot differ.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from haru.store.protocol import StoreTooNew

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step."""

    number: int  # from 1, without gaps
    title: str
    statements: tuple[str, ...]


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
    assert [migration.number for migration in migrations] == list(range(1, len(migrations) + 1))
    if version > len(migrations):
        raise StoreTooNew(
            f"The event store is at version {version}, made by a newer Haru; this one knows {len(migrations)}: "
            "start the newer Haru, or restore a backup from before."
        )
    return list(migrations[version:])


def migrate(migrations: Sequence[Migration], version: int, apply: Callable[[Migration], None]) -> int:
    """Apply what is missing, in order; the version reached. `apply` must also record the migration's number."""
    for migration in pending(migrations, version):
        apply(migration)
        log.info("store_migrated", extra={"version": migration.number, "title": migration.title})
        for listener in _listeners:
            listener(migration)
    return len(migrations)
