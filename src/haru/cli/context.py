"""What commands share: the settings, the database behind them, and the way of new events into the store."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from haru.cli.output import echo
from haru.clock import now_ms

if TYPE_CHECKING:
    from haru.server.control import Client
    from haru.settings import Settings
    from haru.sites.lost import Lost
    from haru.spool.spool import Spool
    from haru.store.loader import Loader
    from haru.store.protocol import Store

LOAD_SECONDS = 3600.0  # a server may be busy with millions of events
STEP_EVENTS = 50_000  # what may wait in the spool while a command writes


def settings() -> Settings:
    """The settings, and log lines as they say: from `warning` upwards only, as a command's output is for a person.

    A variable that looks like a setting and is none is named on standard error.

    Raises `haru.settings.BadSetting`.
    """
    from dataclasses import replace

    from haru.server import logs
    from haru.settings import current, unknown_names

    found = current()
    for sentence in unknown_names(os.environ):
        echo(f"haru: {sentence}", err=True)
    logs.configure(replace(found, log_level="error" if found.log_level == "error" else "warning"))
    return found


def database() -> None:
    """Make accounts and sites ready to be read and written in this process."""
    from haru.web.project import setup

    setup.prepare()


def rights_changed(settings: Settings, site_ids: list[int]) -> None:
    """Tell the server, if one runs, that someone may no longer see these sites: open dashboards end at once."""
    from haru.server.control import Client, ControlError

    # A server that does not take it looks by itself within half a minute.
    with contextlib.suppress(ControlError):
        Client(settings.data_dir).call("rights_changed", site_ids=site_ids)


class Loading:
    """Sees to it that events written to the spool reach the store: by the server when one runs, else here."""

    def __init__(self, settings: Settings) -> None:
        """Find out who loads. Holds the store when no server does; raises `StoreUnavailable` when it cannot."""
        from haru.server.control import Client, NotRunning
        from haru.spool.keys import IdempotencyKeys
        from haru.spool.spool import Spools
        from haru.store.loader import Loader
        from haru.store.opening import event_store

        self._client: Client | None = Client(settings.data_dir, timeout=LOAD_SECONDS)
        self._loader: Loader | None = None
        self._waiting = 0
        try:
            self._client.call("status")
        except NotRunning:
            self._client = None
            self._store = event_store(settings)
            self._store.acquire()
            self._spools = Spools(settings.data_dir)
            self._keys = IdempotencyKeys(settings.data_dir)
            self._loader = Loader(self._spools, self._store, self._keys)

    @property
    def store(self) -> Store:
        """The store of a command that loads itself."""
        assert self._loader is not None
        return self._store

    def wrote(self, events: int) -> None:
        """So many events were written: what waits is loaded now when it is much, so that the spool stays small."""
        self._waiting += events
        if self._waiting >= STEP_EVENTS:
            self.finish()

    def finish(self) -> None:
        """Load all that waits; when it returns, the dashboard counts it."""
        self._waiting = 0
        if self._client is not None:
            self._client.call("load")
        elif self._loader is not None:
            for _ in self._loader.drain(now_ms()):
                pass

    def close(self) -> None:
        """Let go of the store."""
        if self._loader is not None:
            self._store.close()
            self._spools.close()
            self._keys.close()


@contextlib.contextmanager
def writing(settings: Settings) -> Iterator[tuple[Spool, Loading]]:
    """The spool to write to, and its way into the store; what waits when the block ends is loaded, even after an error.

    Raises `SpoolUnavailable`, `StoreUnavailable`, and `ControlError` when the server fails.
    """
    from haru.spool.spool import Spool, spool_path

    spool = Spool(spool_path(settings))
    try:
        loading = Loading(settings)
        try:
            yield spool, loading
        finally:
            try:
                loading.finish()
            finally:
                loading.close()
    finally:
        spool.close()


@contextlib.contextmanager
def stored(settings: Settings) -> Iterator[Store]:
    """The event store, with all that waited in the spool, while no server runs. Raises `StoreUnavailable`."""
    loading = Loading(settings)
    try:
        loading.finish()
        yield loading.store
    finally:
        loading.close()


def lost_sites(settings: Settings) -> list[Lost]:
    """The sites of the store that the accounts do not know, see `haru.sites.lost`; `database` must come before.

    From the server when one runs, else from the store itself, with what waits in the spool. Raises `StoreUnavailable`.
    """
    import msgspec

    from haru.server.control import Client, NotRunning
    from haru.sites.lost import Lost, lost_sites

    client = Client(settings.data_dir, timeout=LOAD_SECONDS)
    try:
        client.call("load")
        return msgspec.convert(client.call("lost_sites"), list[Lost])
    except NotRunning:
        with stored(settings) as store:
            return lost_sites(store)
