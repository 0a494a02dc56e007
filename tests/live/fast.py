"""`haru serve` whose live streams tick and lose patience many times faster, so that a test need not wait for hours."""

from __future__ import annotations

import os

from haru import cli
from haru.live import visitors
from haru.web.project import setup

setup.configure()

from haru.web.dashboard import stream  # noqa: E402 - Django must be set up first

stream.TICK_SECONDS = float(os.environ["FAST_STREAM_TICK"])
stream.HEARTBEAT_SECONDS = stream.TICK_SECONDS
stream.READ_SECONDS = float(os.environ["FAST_STREAM_READ"])
visitors.COUNT_MS = 0

if __name__ == "__main__":
    cli.main()
