"""The calls a library of this process makes to the C library, taken over in Python: no compiler, no tracer.

A shared library finds `pwrite` and its like through slots that the loader filled in. The library's own table of
relocations says where they are, so each can be pointed at a Python function.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_int, _size, _text = ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_offset, _bytes = ctypes.c_int64, ctypes.c_void_p

#: What a call answers and takes; the names with 64 are the same calls.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "open": (_int, _text, _int, _int),
    "openat": (_int, _int, _text, _int, _int),
    "write": (ctypes.c_ssize_t, _int, _bytes, _size),
    "pwrite": (ctypes.c_ssize_t, _int, _bytes, _size, _offset),
    "ftruncate": (_int, _int, _offset),
    "fallocate": (_int, _int, _int, _offset, _offset),
    "fsync": (_int, _int),
    "fdatasync": (_int, _int),
    "unlink": (_int, _text),
    "remove": (_int, _text),
    "rename": (_int, _text, _text),
    "link": (_int, _text, _text),
}

_kept: list[Any] = []  # what C points at must not be collected


class NotReachable(Exception):
    """The calls of a library cannot be taken over here; the text says why."""


def original(name: str) -> Any:
    """The C library's own call; -1 and `ctypes.get_errno()` on failure."""
    call = getattr(_LIBC, name)
    call.restype, *call.argtypes = SIGNATURES[name]
    return call


def take_over(library: Path, calls: dict[str, Callable[..., int]]) -> set[str]:
    """Have the library make these calls instead of the C library's; those that it makes at all.

    Raises `NotReachable` when this is no 64-bit ELF library of this process with a table of relocations.
    """
    base = _base(library)
    targets = {}
    for name, call in calls.items():
        pointer = ctypes.CFUNCTYPE(*SIGNATURES[name], use_errno=True)(call)
        _kept.append(pointer)
        targets[name] = targets[f"{name}64"] = ctypes.cast(pointer, ctypes.c_void_p).value
    found = set()
    for name, place in _slots(library):
        if (target := targets.get(name)) is not None:
            _write(base + place, target)
            found.add(name.removesuffix("64"))
    return found


def loaded(part: str) -> Path:
    """The library of this process whose file's name holds `part`. Raises `NotReachable`."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.partition("/")[1] + line.partition("/")[2])
        if part in path.name:
            return path
    raise NotReachable(f"no library of this process has {part} in its name")


def _base(library: Path) -> int:
    """Where the library's addresses count from."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset, _, _, *path = line.split(maxsplit=5)
        if path == [str(library)] and int(offset, 16) == 0:
            first = min(address for kind, _, address, _ in _segments(library.read_bytes()) if kind == _PT_LOAD)
            return int(span.partition("-")[0], 16) - first // mmap.PAGESIZE * mmap.PAGESIZE
    raise NotReachable(f"{library.name} is not loaded in this process")


def _segments(elf: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, offset in the file, address, bytes in the file) of each segment."""
    if elf[:5] != b"\x7fELF\x02":
        raise NotReachable("this system's libraries are not 64-bit ELF")
    start, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    found = []
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", elf, start + number * size)
        found.append((kind, offset, address, length))
    return found


def _slots(library: Path) -> Iterator[tuple[str, int]]:
    """The name of each symbol that the library asks for, and the address of a slot for it."""
    elf = library.read_bytes()
    segments = _segments(elf)

    def place(address: int) -> int:
        for kind, offset, start, length in segments:
            if kind == _PT_LOAD and start <= address < start + length:
                return offset + address - start
        raise NotReachable(f"{library.name} has tables outside its file")

    dynamic = {}
    for kind, offset, _, length in segments:
        if kind == _PT_DYNAMIC:
            dynamic = dict(struct.iter_unpack("<qQ", elf[offset : offset + length]))
    if _DT_SYMTAB not in dynamic:
        raise NotReachable(f"{library.name} has no table of symbols")
    names, symbols = place(dynamic[_DT_STRTAB]), place(dynamic[_DT_SYMTAB])
    for table, size in ((_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
        if not dynamic.get(size):
            continue
        start = place(dynamic[table])
        for slot, info, _ in struct.iter_unpack("<QQq", elf[start : start + dynamic[size]]):
            (name,) = struct.unpack_from("<I", elf, symbols + (info >> 32) * 24)
            if name:
                yield elf[names + name : elf.index(b"\0", names + name)].decode(), slot


def _write(address: int, value: int | None) -> None:
    page = address // mmap.PAGESIZE * mmap.PAGESIZE
    if _LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE):
        raise NotReachable(f"the loader's slots cannot be written ({os.strerror(ctypes.get_errno())})")
    ctypes.c_uint64.from_address(address).value = value or 0
