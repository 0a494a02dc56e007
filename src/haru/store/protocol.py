"""What an event store can do. Each engine is a file of its own; nothing outside this room knows which answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
from sqlalchemy.sql import ClauseElement

from haru.events.columns import Row
from haru.events.ledger import RefusalCount
from haru.events.visits import Visit
from haru.store.stop import Stop

# The parameter of a statement over folded visits in which the store puts the id of the last event that is folded. Given
# with a number, the statement is asked only while that is the last.
FOLDED = "folded"


class StoreUnavailable(Exception):
    """The store cannot be opened or does not answer; the text says what to do. Nothing was written."""


class StoreOutOfMemory(StoreUnavailable):
    """A question needs more memory than the store may use, now and when it is asked again; the text says what to do."""


class StoreHeld(StoreUnavailable):
    """Another loader works on the store; the text says which, and what to do."""


class StoreMoved(StoreUnavailable):
    """Another loader has worked on the store since: whoever loads must begin again from what the store says."""


class Refolded(Exception):
    """Events were folded since: what was known of folded rows may have changed."""


class StoreTooNew(Exception):
    """A newer Haru made the store's tables; the text says what to do."""


class Progress(msgspec.Struct, frozen=True):
    """How far the store has taken events over."""

    last_id: int = 0  # the last event's id; 0 when there is none
    positions: dict[str, int] = {}  # spool → the last row of it that is in the store


class Store(Protocol):
    """One event store. Every method may be called from any thread and blocks, so never from the event loop.

    It opens with the first call, its tables are made or brought up to date then; a call that fails lets go of what is
    broken and a later one opens it again. Besides what is said below every method raises `StoreUnavailable` when the
    store does not answer, and `StoreTooNew`.
    """

    engine: str  # duckdb, postgresql or clickhouse

    def open(self) -> None:
        """Open it now."""

    def acquire(self) -> None:
        """Become the store's one loader, until `close`; harmless when it is already. Raises `StoreHeld`."""

    def load(self, rows: Sequence[Row], progress: Progress, refusals: Sequence[RefusalCount] = ()) -> None:
        """Append rows, add refusals to the ledger and remember how far this brings the store: all or nothing.

        Raises `StoreUnavailable` when nothing was written and the same call may be made again, and `StoreMoved` when it
        may not.
        """

    def progress(self) -> Progress:
        """How far the store is."""

    def visits(self, site_id: int, visitors: Iterable[int], since: int, until: int) -> list[Visit]:
        """The visits of these visitors with an event between two instants (ms, both included), whole."""

    def recent_visits(self, since: int) -> list[Visit]:
        """Every visit, of every site, with an event at or after an instant (ms): what fills a window."""

    def refusal_counts(self, site_id: int, since: int, until: int) -> list[RefusalCount]:
        """The ledger of a site (0 is the installation) for the hours that begin in [since, until), ms; by hour."""

    def sites(self) -> set[int]:
        """The sites that have events or refusals."""

    def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None, stop: Stop | None = None
    ) -> list[Row]:
        """Run one SELECT of SQLAlchemy Core over the table `event` and return its rows.

        Raises `haru.store.stop.Stopped` when `stop` ended it, and `Refolded` when `FOLDED` is given with a number and
        another event is the last that is folded.
        """

    def scan(self, site_id: int | None, since: int, until: int) -> Iterator[list[Row]]:
        """The stored rows of a site (None: of all) that happened in [since, until), ms, by id, some at a time.

        Values are in the order of `COLUMNS` as `load` takes them, moments in milliseconds. It holds a few thousand rows
        in memory at most, and need not show what is loaded meanwhile.
        """

    def sql(self, statement: ClauseElement) -> str:
        """The statement as this engine's SQL text, for people."""

    def delete_site(self, site_id: int) -> None:
        """Remove every event of a site, and its ledger."""

    def destroy(self) -> None:
        """Remove the store with all that is in it, and close it. Raises `StoreHeld`."""

    def close(self) -> None:
        """Close the store; a later call opens it again."""


@runtime_checkable
class Folding(Protocol):
    """What a store can do beside, that keeps a table `visit` of folded visits: see `haru.store.duckdb.folding`."""

    def fold(self, most: int = ...) -> int:
        """Fold the next events, `most` at most; how many wait then, counted to `most`.

        Answers stay the same, and come sooner. What a step reads does not grow with what is stored, but for the ids of
        visitors, among which those who came back are looked up.
        """

    def folded(self) -> int:
        """The id of the last event that is folded, 0 when none is: about how many are."""

    def unfolded(self) -> int:
        """About how many events are not folded yet."""
