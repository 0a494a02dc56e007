"""What a file needs beyond its own sync to outlive a loss of power: its name."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Return when the names of the files in the folder are on the disk: new, renamed and removed ones. Raises OSError.

    Most file systems keep a synced file's name without this; POSIX promises it with this only.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
