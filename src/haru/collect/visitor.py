"""Visitor ids: keyed hashes under a salt that lives one UTC day, and the file the salts live in.

Without its salt an id tells nothing of the address it was made from, and salts are destroyed at 48 hours. They live in
one file of mode 0600, never in a database, whose freed pages and write-ahead logs would outlive them.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from haru.clock import DAY_MS
from haru.files import own, replace

log = logging.getLogger(__name__)

FILE = "salts.json"
SALT_BYTES = 32
MAX_KNOWN = 16_384  # visitors whose ids are remembered: about 3 MB


def visitor_id(salt: bytes, site_id: int, address: bytes, user_agent: str) -> int:
    """The signed 64-bit id of a visitor of a site.

    BLAKE2b keyed with the salt, over (site, address, user agent), each but the last with its length before it, so that
    no two different visitors ever hash the same bytes.
    """
    return _id(hashlib.blake2b(key=salt, digest_size=8), site_id, address, user_agent)


def _id(keyed: hashlib.blake2b, site_id: int, address: bytes, user_agent: str) -> int:
    keyed.update(b"%d|%d|" % (site_id, len(address)) + address + user_agent.encode("utf-8", "surrogatepass"))
    return int.from_bytes(keyed.digest(), "big", signed=True)


class Salts:
    """The salts of today and yesterday. Several processes on one data folder share them."""

    def __init__(self, folder: Path) -> None:
        """Read the salts of a data folder; `rotate` must follow before the first id."""
        self._path = folder / FILE
        self._fresh = self._path.with_suffix(".new")
        self._salts: dict[int, bytes] = {}
        self._today = -1
        self._hashers: tuple[hashlib.blake2b, hashlib.blake2b | None] | None = None
        # Visitors come again: their ids of today, under a hash of who they are that only this process can make.
        self._known: dict[int, tuple[int, int]] = {}

    def rotate(self, now: int) -> None:
        """Make today's salt when it is missing and destroy every salt that has had its two days; `now` in ms.

        A clock that jumped back destroys nothing that is newer, until it has gone on over a midnight. Raises
        `FileUnusable`.
        """
        today = now // DAY_MS
        if today == self._today:
            return
        with own(self._path), self._locked():
            self._wipe_unfinished()
            salts = self._read()
            kept = {day: salt for day, salt in salts.items() if day >= today - 1}
            # An older salt beside a newer one was made after it, for a newer one ends all that is older: the clock that
            # made the newer one was ahead, and would keep it alive for as long.
            if any(day < today for day in salts):
                kept = {day: salt for day, salt in kept.items() if day <= today}
            if today not in kept:
                kept[today] = secrets.token_bytes(SALT_BYTES)
            if kept != salts:
                self._write(kept)
        self._salts = kept
        before = kept.get(today - 1)
        self._hashers = (
            hashlib.blake2b(key=kept[today], digest_size=8),
            hashlib.blake2b(key=before, digest_size=8) if before else None,
        )
        self._today = today
        self._known.clear()

    def ids(self, now: int, site_id: int, address: bytes, user_agent: str) -> tuple[int, int]:
        """The visitor's id under today's salt and under yesterday's; the same twice when there is none of yesterday."""
        if now // DAY_MS != self._today or self._hashers is None:
            self.rotate(now)  # once a day
        assert self._hashers is not None
        who = hash((site_id, address, user_agent))
        known = self._known.get(who)
        if known is None:
            today, before = self._hashers
            id_today = _id(today.copy(), site_id, address, user_agent)
            known = (id_today, id_today if before is None else _id(before.copy(), site_id, address, user_agent))
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[who] = known
        return known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two processes that start at once end up with the same salts."""
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[int, bytes]:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=dict[int, bytes])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            # Better to count some visitors twice for a day than to lose pageviews.
            log.error("salts_unreadable", extra={"file": FILE, "error": str(error), "outcome": "new salts were made"})
            return {}
        return {day: salt for day, salt in kept.items() if len(salt) == SALT_BYTES}

    def _write(self, salts: dict[int, bytes]) -> None:
        content = msgspec.json.encode(salts)
        try:
            old = self._path.open("r+b")
        except FileNotFoundError:
            replace(self._path, content, fresh=self._fresh)
            return
        # A kill or a loss of power at any point leaves one whole file: the old one is overwritten when the new one has
        # its name for good.
        with old:
            replace(self._path, content, fresh=self._fresh)
            _overwrite(old)

    def _wipe_unfinished(self) -> None:
        """A process that was killed while it wrote left its salts behind."""
        try:
            with self._fresh.open("r+b") as left:
                _overwrite(left)
        except FileNotFoundError:
            return
        self._fresh.unlink()


def _overwrite(file: BinaryIO) -> None:
    """Write zeros over all of a file, on the disk: what is destroyed must not be found in its blocks."""
    file.write(b"\0" * os.fstat(file.fileno()).st_size)
    file.flush()
    os.fsync(file.fileno())
