"""`haru serve` with a clock that jumps by the seconds that the file `CLOCK_OFFSET` names holds."""

from __future__ import annotations

import os
import time
from pathlib import Path

_offset = Path(os.environ["CLOCK_OFFSET"])
_seconds, _nanoseconds = time.time, time.time_ns
time.time = lambda: _seconds() + float(_offset.read_text())
time.time_ns = lambda: _nanoseconds() + int(float(_offset.read_text()) * 1_000_000_000)

from haru import cli  # noqa: E402  # what it imports may take the clock's functions by name

if __name__ == "__main__":
    cli.main()
