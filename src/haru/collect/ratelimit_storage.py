"""What the rate limit counts in: one table of fixed size, shared by all processes that collect.

It is the storage under the `limits` package's sliding-window counter, in a piece of anonymous memory that child
processes inherit: 2^18 buckets of four entries, 20 MB of address space of which only what is touched takes memory. A
sender is known by a keyed 64-bit hash, so no address is in it. When a bucket is full the sender heard of longest ago
is forgotten. Two processes that count the same sender in the same microsecond may count once: an error of far less
than the ten per cent that several processes are allowed.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport

BUCKETS = 1 << 18
WAYS = 4
_ENTRY = struct.Struct("<QIII")  # sender, number of the window, requests in the window before, requests in this one
_BUCKET = struct.Struct("<" + "QIII" * WAYS)
_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class SharedStorage:
    """How a child process finds the table: an open file and the key of the hash."""

    descriptor: int
    key: bytes


def shared_storage() -> SharedStorage:
    """A new table to hand to child processes. It has no name in any folder."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("haru-ratelimit")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, BUCKETS * _BUCKET.size)
    return SharedStorage(descriptor, secrets.token_bytes(16))


class RateLimitStorage(Storage, SlidingWindowCounterSupport):
    """A storage of the `limits` package. `key` of a sender is any text."""

    STORAGE_SCHEME = ["haru"]

    def __init__(self, table: SharedStorage | None = None, clock: Callable[[], float] = time.time) -> None:
        """On a table that is shared, or on one of its own. `clock` gives seconds."""
        super().__init__()
        self._memory = mmap.mmap(table.descriptor if table else -1, BUCKETS * _BUCKET.size)
        self._clock = clock
        key = table.key if table else secrets.token_bytes(16)

        @lru_cache(maxsize=16_384)
        def sender(text: str) -> int:
            hashed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8)
            return int.from_bytes(hashed.digest(), "little") or 1  # 0 is an empty entry

        self._sender = sender

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What this storage may raise."""
        return (ValueError,)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` requests if they are within the limit; a refused one is not counted."""
        window, share = divmod(self._clock(), expiry)
        at = int(window) & _MAX
        sender = self._sender(key)
        start, fields = self._bucket(sender)
        place, before, within = self._entry(fields, sender, at)
        if before * (1 - share / expiry) + within + amount > limit:
            return False
        _ENTRY.pack_into(self._memory, start + place * _ENTRY.size, sender, at, before, min(within + amount, _MAX))
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """(requests in the window before, seconds it still counts, requests in this one, seconds it will count)."""
        window, share = divmod(self._clock(), expiry)
        sender = self._sender(key)
        _, before, within = self._entry(self._bucket(sender)[1], sender, int(window) & _MAX)
        return before, expiry - share, within, 2 * expiry - share

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a sender."""
        self.clear(key)

    def _bucket(self, sender: int) -> tuple[int, tuple[int, ...]]:
        start = (sender % BUCKETS) * _BUCKET.size
        return start, _BUCKET.unpack_from(self._memory, start)

    @staticmethod
    def _entry(fields: tuple[int, ...], sender: int, at: int) -> tuple[int, int, int]:
        """The sender's place in its bucket, and its requests in the window before and in this one."""
        for place in range(WAYS):
            if fields[4 * place] == sender:
                _, then, before, within = fields[4 * place : 4 * place + 4]
                # A clock that went back a little goes on in the window it was in; one that jumped begins again.
                if then == at or then == at + 1:
                    return place, before, within
                return (place, within, 0) if then == at - 1 else (place, 0, 0)
        oldest = min(range(WAYS), key=lambda place: (fields[4 * place] != 0, fields[4 * place + 1]))
        return oldest, 0, 0

    # What other strategies of the package would ask; the sliding window asks none of these.

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count without a limit; the count in this window."""
        self.acquire_sliding_window_entry(key, _MAX, expiry, amount)
        return self.get(key)

    def get(self, key: str) -> int:
        """Requests of the sender's latest window."""
        sender = self._sender(key)
        _, fields = self._bucket(sender)
        return next((fields[4 * place + 3] for place in range(WAYS) if fields[4 * place] == sender), 0)

    def get_expiry(self, key: str) -> float:
        """The moment at which nothing counts any more: now, as far as this storage knows."""
        return self._clock()

    def check(self) -> bool:
        """Whether the storage can be used."""
        return not self._memory.closed

    def reset(self) -> int | None:
        """Forget everyone."""
        self._memory[:] = bytes(len(self._memory))
        return None

    def clear(self, key: str) -> None:
        """Forget a sender."""
        sender = self._sender(key)
        start, fields = self._bucket(sender)
        for place in range(WAYS):
            if fields[4 * place] == sender:
                _ENTRY.pack_into(self._memory, start + place * _ENTRY.size, 0, 0, 0, 0)
