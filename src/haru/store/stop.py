"""When a question ends before its answer: after some seconds, or as soon as nobody waits for it any more."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator


class Stopped(Exception):
    """A question was ended before its answer; the text says why."""


class Stop:
    """Ends what runs under it. One object may watch over several steps in turn; `cancel` may come from any thread."""

    def __init__(self, seconds: float = 0, within: Stop | None = None) -> None:
        """`seconds` from now are all that the steps may take together, and no more than what `within` has left; 0 is no
        limit.
        """
        self.seconds = seconds
        own = time.monotonic() + seconds if seconds else math.inf
        self._end: float = min(own, within._end) if within is not None else own
        self.curtailed = self._end < own  # ends for the sake of something larger
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], None]] = []
        self._reason = ""

    @property
    def left(self) -> float:
        """Seconds that are left, more than 0; 0 when there is no limit."""
        return max(0.001, self._end - time.monotonic()) if self._end < math.inf else 0

    def cancel(self, reason: str = "Nobody waits for the answer any more.") -> None:
        """End what runs, and what is about to."""
        with self._lock:  # whose block has ended waits here, and closes what it ran on only when this is over
            self._reason = self._reason or reason
            for interrupt in self._interrupts:
                with contextlib.suppress(Exception):  # one that fails keeps none of the others from being ended
                    interrupt()

    @property
    def over(self) -> bool:
        """Whether `check` would raise."""
        return bool(self._reason) or time.monotonic() >= self._end

    @property
    def cancelled(self) -> bool:
        """Whether it was ended, by the clock or by hand."""
        return bool(self._reason)

    def check(self) -> None:
        """Raises `Stopped` when it was ended, or its time is over."""
        if not self._reason and time.monotonic() >= self._end:
            self._time_out()
        if self._reason:
            raise Stopped(self._reason)

    def _time_out(self) -> None:
        limit = f"longer than the limit of {self.seconds:g} seconds" if self.seconds else "too long"
        self.cancel(f"The query took {limit}.")

    @contextlib.contextmanager
    def watching(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` from another thread when what runs in the block should end, and never after the block.

        It must neither block nor ask this object anything.

        Raises `Stopped` in the place of whatever error the interrupted query ends with.
        """
        self.check()
        timer = None
        if left := self.left:
            timer = threading.Timer(left, self._time_out)
            timer.daemon = True
        with self._lock:
            self._interrupts.append(interrupt)
        if timer is not None:
            timer.start()
        try:
            if self.cancelled:  # between the check and the list of interrupts
                interrupt()
            yield
        except BaseException as error:
            if self._reason and isinstance(error, Exception):
                raise Stopped(self._reason) from error
            raise
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._interrupts.remove(interrupt)
        self.check()
