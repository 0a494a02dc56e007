"""Answers in pieces, with bounded memory: what blocks while it makes the next piece does so in a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces for an event loop, which never waits for them. Whoever stops asking closes what makes them."""
    try:
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
    finally:
        if isinstance(pieces, Generator):
            # The thread may still be at work when the asker has gone: it ends with its piece.
            with contextlib.suppress(ValueError):
                pieces.close()
