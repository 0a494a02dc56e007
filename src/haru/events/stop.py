"""When a query shall end before its answer: after some seconds, or as soon as nobody waits for it any more."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Stopped(Exception):
    """A query was ended before its answer; the text says why."""


class Stop:
    """Ends what runs under it. One object may watch over several queries in turn; `cancel` may come from any thread."""

    def __init__(self, seconds: float = 0) -> None:
        """`seconds` is how long one query may run; 0 is no limit."""
        self.seconds = seconds
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], None]] = []
        self._reason = ""

    def cancel(self, reason: str = "Nobody waits for the answer any more.") -> None:
        """End what runs, and what is about to."""
        with self._lock:
            self._reason = self._reason or reason
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    @property
    def cancelled(self) -> bool:
        """Whether it was ended, by the clock or by hand."""
        return bool(self._reason)

    def check(self) -> None:
        """Raises `Stopped` when it was ended."""
        if self._reason:
            raise Stopped(self._reason)

    @contextlib.contextmanager
    def watching(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt`, which must not block, from another thread when what runs in the block shall end.

        Raises `Stopped` in the place of whatever error the interrupted query ends with.
        """
        self.check()
        timer = None
        if self.seconds:
            limit = f"The query took longer than the limit of {self.seconds:g} seconds."
            timer = threading.Timer(self.seconds, self.cancel, [limit])
            timer.daemon = True
        with self._lock:
            self._interrupts.append(interrupt)
        if timer is not None:
            timer.start()
        try:
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
