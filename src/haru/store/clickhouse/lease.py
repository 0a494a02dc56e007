"""Who loads into a ClickHouse store: a lease, as ClickHouse has no locks.

Whoever begins to load takes the next epoch, a number. Two who want the same one both insert a row for it under the same
deduplication token: ClickHouse keeps the first and drops the second, so reading it back tells who has it. A holder
renews its lease while it lives; a lease that was not renewed for `LEASE_SECONDS`, by the clock of the server, is over.

The lease keeps two loaders from disturbing each other. That no event is lost or counted twice does not rest on it, nor
on any clock: see `haru.store.clickhouse.store`.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from haru.store.clickhouse.client import ClickHouseClient
from haru.store.clickhouse.tables import LEASE
from haru.store.protocol import StoreHeld, StoreUnavailable

log = logging.getLogger(__name__)

LEASE_SECONDS = 30
RENEW_SECONDS = 10

_STATE = (
    "SELECT epoch, argMin(nonce, (at, nonce)), argMin(holder, (at, nonce)), argMin(name, (at, nonce)), "
    "max(released), dateDiff('second', max(at), now64(3)) FROM lease GROUP BY epoch ORDER BY epoch DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class State:
    """The newest epoch and who has it."""

    epoch: int
    nonce: str
    holder: str
    name: str
    released: bool
    age: int  # seconds since it was renewed

    @property
    def over(self) -> bool:
        """Whether anyone may take the next epoch."""
        return self.released or self.age >= LEASE_SECONDS


class Lease:
    """The lease on a store as one loader sees it."""

    def __init__(self, client: ClickHouseClient, holder: str, name: str) -> None:
        """`holder` tells loaders apart: the same one after a restart need not wait. `name` is for people."""
        self._client = client
        self._holder = holder
        self._name = name
        self._nonce = ""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.epoch = 0  # 0 while it is not held

    def take(self, least: int) -> int:
        """Take the next epoch, at least `least`. Raises `StoreHeld`."""
        self.epoch = 0
        state = self.state()
        if state is not None and not state.over and state.holder != self._holder:
            raise StoreHeld(
                f"Another Haru server ({state.name}) loads into this event store: stop it first. If it is gone, "
                f"wait {LEASE_SECONDS} seconds and its place is free."
            )
        epoch = max(state.epoch + 1 if state else 1, least)
        self._nonce = uuid.uuid4().hex
        self._insert(epoch, released=False, token=f"epoch-{epoch}")
        state = self.state()
        if state is None or (state.epoch, state.nonce) != (epoch, self._nonce):
            raise StoreHeld("Another Haru server has just begun to load into this event store: stop one of them.")
        self.epoch = epoch
        return epoch

    def state(self) -> State | None:
        """The newest epoch; None when nobody has ever loaded."""
        rows = self._client.query(_STATE)
        return State(*rows[0]) if rows else None

    @property
    def lost(self) -> bool:
        """Whether another has taken a newer epoch."""
        ((newest,),) = self._client.query("SELECT max(epoch) FROM lease")
        return bool(newest != self.epoch)

    def renew(self) -> None:
        """Say that its holder lives."""
        if self.epoch:
            self._insert(self.epoch, released=False, token="")

    def keep(self, also: Callable[[], None]) -> None:
        """Renew it from a thread of its own until `stop`; `also` is done each time."""
        if self._thread is not None:
            return
        self._ending.clear()

        def beat() -> None:
            while not self._ending.wait(RENEW_SECONDS):
                try:
                    self.renew()
                    also()
                except StoreUnavailable as error:
                    log.warning("lease_not_renewed", extra={"error": str(error)})

        self._thread = threading.Thread(target=beat, daemon=True, name="haru-lease")
        self._thread.start()

    def stop(self) -> None:
        """End the thread that `keep` began."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def release(self) -> None:
        """Let the next one begin at once."""
        if self.epoch:
            epoch, self.epoch = self.epoch, 0
            self._insert(epoch, released=True, token="")

    def _insert(self, epoch: int, *, released: bool, token: str) -> None:
        self._client.insert("lease", LEASE, [[epoch], [self._nonce], [self._holder], [self._name], [released]], token)
