"""What a file needs beyond its own sync to outlive a loss of power: its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def keep_private() -> None:
    """Whatever file this process makes from now on is for its user alone, those that libraries make included."""
    os.umask(0o077)


class FileUnusable(Exception):
    """A file of the data folder cannot be used; the text says which, why, and what to do."""


@contextlib.contextmanager
def own(path: Path) -> Iterator[None]:
    """While a file that Haru makes itself is opened: what the system refuses becomes `FileUnusable`."""
    try:
        yield
    except OSError as error:
        raise FileUnusable(
            f"{path} cannot be used ({error.strerror or error}): see that this user may read and write it and that its "
            "disk has space. If something else lies there by that name, move it away: Haru makes it by itself."
        ) from error


def sync_folder(folder: Path) -> None:
    """Return when the names of the files in the folder are on the disk: new, renamed and removed ones. Raises OSError.

    Most file systems keep a synced file's name without this; POSIX promises it with this only.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
