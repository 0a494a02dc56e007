"""What a process writes to the files of a folder and what it syncs, recorded as it happens.

The record outlives SIGKILL; from it `tests.crash.disk` makes what a disk without power would hold.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.crash import syscalls

MAGIC = b"\xf5HPJ"
_HEAD = struct.Struct("<4sII")
_IGNORED = ("-shm", ".lock", ".sock")  # rebuilt at each start, or without content


class File(msgspec.Struct, tag="file", array_like=True):
    """A file that was there, or was made."""

    inode: int
    name: str
    content: bytes
    made: bool


class Write(msgspec.Struct, tag="write", array_like=True):
    """Bytes of a file."""

    inode: int
    offset: int
    data: bytes


class Truncate(msgspec.Struct, tag="truncate", array_like=True):
    """A file's new size."""

    inode: int
    size: int


class Begin(msgspec.Struct, tag="begin", array_like=True):
    """A sync of a file, or of the folder (0), begins: what was written before is in it."""

    number: int
    inode: int


class Synced(msgspec.Struct, tag="synced", array_like=True):
    """The sync with this number is done."""

    number: int


class Name(msgspec.Struct, tag="name", array_like=True):
    """A file has a name now; inode 0: nothing has it."""

    name: str
    inode: int


Record = File | Write | Truncate | Begin | Synced | Name
_decode = msgspec.msgpack.Decoder(Record).decode
_encode = msgspec.msgpack.Encoder().encode


class Journal:
    """Takes over the calls of the libraries that write to the folder."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = str(folder.resolve())
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._home = folder.stat()
        self._known: set[int] = set()
        self._call = {name: syscalls.original(name) for name in syscalls.SIGNATURES}
        for file in folder.iterdir():
            if file.is_file() and not file.name.endswith(_IGNORED):
                self._found(file.name, made=False)

    def listen(self, libraries: list[Path]) -> dict[str, set[str]]:
        """Record what these libraries do from now on; the calls of each that were taken over."""
        calls: dict[str, Callable[..., int]] = {name: getattr(self, f"_{name}") for name in syscalls.SIGNATURES}
        return {library.name: syscalls.take_over(library, calls) for library in libraries}

    def _record(self, record: Record) -> None:
        data = framed(_encode(record))
        # Not `os.write`, which is one of the calls that are listened to.
        if self._call["write"](self._descriptor, data, len(data)) != len(data):
            os._exit(70)

    def _found(self, name: str, *, made: bool) -> None:
        path = Path(self._folder, name)
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            self._known.add(inode)
            self._record(File(inode, name, b"" if made else file.read(), made))

    def _name_of(self, path: bytes | None) -> str | None:
        """The name in the folder; None for a file elsewhere, or one that is of no interest."""
        file = Path(os.fsdecode(path or b""))
        if file.name.endswith(_IGNORED) or str(file.parent.resolve()) != self._folder:
            return None
        return file.name

    def _inode(self, descriptor: int) -> int | None:
        """The file's number; 0 for the folder itself, None for what is of no interest."""
        try:
            found = os.fstat(descriptor)
        except OSError:
            return None
        if found.st_dev != self._home.st_dev:
            return None
        if found.st_ino == self._home.st_ino:
            return 0
        return found.st_ino if stat.S_ISREG(found.st_mode) and found.st_ino in self._known else None

    # The calls. A change is recorded after it was made: a sync that another thread begins before that may well hold
    # it, and one that begins after it surely does.

    def _open(self, path: bytes, flags: int, mode: int) -> int:
        return self._opened(path, flags, lambda: self._call["open"](path, flags, mode))

    def _openat(self, folder: int, path: bytes, flags: int, mode: int) -> int:
        return self._opened(path, flags, lambda: self._call["openat"](folder, path, flags, mode))

    def _opened(self, path: bytes, flags: int, opening: Callable[[], int]) -> int:
        name = self._name_of(path) if flags & (os.O_WRONLY | os.O_RDWR) else None
        if name is None:
            return opening()
        with self._lock:
            there = Path(os.fsdecode(path)).exists()
            descriptor = opening()
            if descriptor < 0:
                return descriptor
            error = ctypes.get_errno()
            inode = os.fstat(descriptor).st_ino
            if not there or inode not in self._known:
                self._found(name, made=not there)
            elif flags & os.O_TRUNC:
                self._record(Truncate(inode, 0))
            ctypes.set_errno(error)
            return descriptor

    def _pwrite(self, descriptor: int, data: int, size: int, offset: int) -> int:
        inode = self._inode(descriptor)
        if not inode:
            return int(self._call["pwrite"](descriptor, data, size, offset))
        with self._lock:
            done = int(self._call["pwrite"](descriptor, data, size, offset))
            if done > 0:
                self._record(Write(inode, offset, ctypes.string_at(data, done)))
            return done

    def _write(self, descriptor: int, data: int, size: int) -> int:
        inode = self._inode(descriptor)
        if not inode:
            return int(self._call["write"](descriptor, data, size))
        with self._lock:
            done = int(self._call["write"](descriptor, data, size))
            if done > 0:
                end = os.lseek(descriptor, 0, os.SEEK_CUR)
                self._record(Write(inode, end - done, ctypes.string_at(data, done)))
            return done

    def _ftruncate(self, descriptor: int, size: int) -> int:
        return self._sized(descriptor, lambda: self._call["ftruncate"](descriptor, size))

    def _fallocate(self, descriptor: int, mode: int, offset: int, length: int) -> int:
        return self._sized(descriptor, lambda: self._call["fallocate"](descriptor, mode, offset, length))

    def _sized(self, descriptor: int, sizing: Callable[[], int]) -> int:
        inode = self._inode(descriptor)
        with self._lock:
            done = sizing()
            if done == 0 and inode:
                self._record(Truncate(inode, os.fstat(descriptor).st_size))
            return done

    def _fsync(self, descriptor: int) -> int:
        return self._synced(descriptor, self._call["fsync"])

    def _fdatasync(self, descriptor: int) -> int:
        return self._synced(descriptor, self._call["fdatasync"])

    def _synced(self, descriptor: int, syncing: Callable[[int], int]) -> int:
        inode = self._inode(descriptor)
        if inode is None:
            return syncing(descriptor)
        number = next(self._numbers)
        with self._lock:
            self._record(Begin(number, inode))
        done = syncing(descriptor)
        if done == 0:
            with self._lock:
                self._record(Synced(number))
        return done

    def _unlink(self, path: bytes) -> int:
        return self._named(lambda: self._call["unlink"](path), {path: None})

    def _remove(self, path: bytes) -> int:
        return self._named(lambda: self._call["remove"](path), {path: None})

    def _rename(self, old: bytes, new: bytes) -> int:
        return self._named(lambda: self._call["rename"](old, new), {new: old, old: None})

    def _link(self, old: bytes, new: bytes) -> int:
        return self._named(lambda: self._call["link"](old, new), {new: old})

    def _named(self, naming: Callable[[], int], names: dict[bytes, bytes | None]) -> int:
        found = {path: self._name_of(path) for path in names}
        if not any(found.values()):
            return naming()
        with self._lock:
            inodes = {new: _number(old) for new, old in names.items()}
            done = naming()
            if done == 0:
                for path, name in found.items():
                    if name is not None:
                        self._record(Name(name, inodes[path]))
            return done


def _number(path: bytes | None) -> int:
    """The file's; 0 when there is none."""
    file = Path(os.fsdecode(path)) if path else None
    return file.stat().st_ino if file and file.exists() else 0


def framed(body: bytes) -> bytes:
    """The bytes of a record in the file."""
    return _HEAD.pack(MAGIC, len(body), zlib.crc32(body)) + body


def records(path: Path) -> Iterator[Record]:
    """What was recorded, in order. A record that the end of its process cut off is passed over."""
    data = path.read_bytes()
    at = 0
    while (at := data.find(MAGIC, at)) >= 0 and at + _HEAD.size <= len(data):
        _, size, check = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + size]
        if len(body) == size and zlib.crc32(body) == check:
            yield _decode(body)
            at += _HEAD.size + size
        else:
            at += 1
