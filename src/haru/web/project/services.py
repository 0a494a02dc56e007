"""Services: what the pages have of collect, live and stats; the running server sets them, the web finds them here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haru.sites import signals

if TYPE_CHECKING:
    from haru.events.ledger import RefusalCount
    from haru.live import Live
    from haru.stats.answers import Reports


class NoServicesError(RuntimeError):
    """A page asked for numbers in a process that opened no stores."""


def _no_events(site_id: int, span: tuple[int, int], format: str) -> Iterator[bytes]:
    raise NoServicesError("This process opened no event store to export from.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the pages need of collect, live and stats."""

    reports: Reports
    live: Live
    sites_changed: Callable[[], None]  # the file of sites was rewritten: read it now
    delete_events: Callable[[int], None]  # a site is gone: its events are to go too
    # (site id, since, until in ms) → the refusal ledger; blocks
    refusal_counts: Callable[[int, int, int], list[RefusalCount]]
    # (site id, (since, until) in ms, format) → a file of events, piece by piece; see `haru.transfer.export`
    events: Callable[[int, tuple[int, int], str], Iterator[bytes]] = _no_events
    closed: Callable[[], str] = str  # why no page is answered; "" when they are


_services: Services | None = None


def use(services: Services | None) -> None:
    """Set the services of this process; None when its stores close."""
    global _services
    _services = services


def get() -> Services:
    """The services of this process. Raises `NoServicesError` when it has none."""
    if _services is None:
        raise NoServicesError("This process has no open event store: pages with numbers work in `haru serve` only.")
    return _services


def is_set() -> bool:
    """Whether `get` would answer."""
    return _services is not None


def _on_sites_changed(**_: object) -> None:
    if _services is not None:
        _services.sites_changed()


def _on_site_deleted(*, site_id: int, **_: object) -> None:
    if _services is not None:
        _services.delete_events(site_id)


signals.changed.connect(_on_sites_changed, dispatch_uid="haru.web.project.services")
signals.deleted.connect(_on_site_deleted, dispatch_uid="haru.web.project.services")
