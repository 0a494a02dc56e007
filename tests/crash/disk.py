"""What the disk holds when the power goes: what was synced, and of the rest whatever had got there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import journal
from tests.crash.journal import Begin, Name, Synced, Truncate, Write

SECTOR = 512  # what a disk writes whole or not at all


@dataclass
class Inode:
    """A file: what surely is on the disk, and the changes that may be, with the moment of each."""

    safe: bytearray
    pending: list[tuple[int, Write | Truncate]] = field(default_factory=list)


class Disk:
    """The files of a folder, as a journal tells of them."""

    def __init__(self, path: Path) -> None:
        self.syncs = 0
        self.folder_syncs = 0
        self._inodes: dict[int, Inode] = {}
        self._safe_names: dict[str, Inode] = {}
        self._names: list[tuple[int, str, Inode | None]] = []  # changes of names that may not be on the disk
        begun: dict[int, tuple[int, int]] = {}
        for moment, record in enumerate(journal.records(path)):
            match record:
                case journal.File(inode, name, content, made):
                    file = self._inodes[inode] = Inode(bytearray(content))
                    if made:
                        self._names.append((moment, name, file))
                    else:
                        self._safe_names[name] = file
                case Write(inode) | Truncate(inode):
                    self._inodes[inode].pending.append((moment, record))
                case Name(name, inode):
                    self._names.append((moment, name, self._inodes.get(inode)))
                case Begin(number, inode):
                    begun[number] = (moment, inode)
                case Synced(number):
                    self._sync(*begun.pop(number))

    def image(self, dice: random.Random) -> dict[str, bytes]:
        """One of the many things the disk may hold, by file name."""
        names = dict(self._safe_names)
        # A file system keeps a journal of its names: what it holds of them ends somewhere.
        for _, name, file in self._names[: dice.choice((0, len(self._names), dice.randint(0, len(self._names))))]:
            _give(names, name, file)
        return {name: _content(file, dice) for name, file in names.items()}

    def least(self) -> dict[str, bytes]:
        """What it surely holds: nothing that was not synced has got there."""
        return {name: bytes(file.safe) for name, file in self._safe_names.items()}

    def unsynced(self) -> int:
        """How many changes of files were not surely on the disk."""
        return sum(len(file.pending) for file in self._inodes.values())

    def _sync(self, moment: int, inode: int) -> None:
        if inode == 0:
            self.folder_syncs += 1
            for _, name, file in [change for change in self._names if change[0] < moment]:
                _give(self._safe_names, name, file)
            self._names = [change for change in self._names if change[0] >= moment]
            return
        self.syncs += 1
        file = self._inodes[inode]
        for at, change in file.pending:
            if at < moment:
                _apply(file.safe, change)
        file.pending = [entry for entry in file.pending if entry[0] >= moment]


def _give(names: dict[str, Inode], name: str, file: Inode | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        if change.size < len(content):
            del content[change.size :]
        else:
            content.extend(bytes(change.size - len(content)))
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data


def _content(file: Inode, dice: random.Random) -> bytes:
    """The file with any part of its pending changes, each sector by itself: torn, and in whatever order."""
    content = bytearray(file.safe)
    chance = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for _, change in file.pending:
        if isinstance(change, Truncate):
            if dice.random() < chance:
                _apply(content, change)
            continue
        start, end = change.offset, change.offset + len(change.data)
        while start < end:
            stop = min(end, (start // SECTOR + 1) * SECTOR)
            if dice.random() < chance:
                part = change.data[start - change.offset : stop - change.offset]
                _apply(content, Write(change.inode, start, part))
            start = stop
    return bytes(content)
