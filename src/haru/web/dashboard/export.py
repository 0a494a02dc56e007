"""What a dashboard shows, as CSV: each breakdown whole, and the view as a zip of all of them. Sent as it is read."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from haru.sites import access
from haru.stats.answers import Row
from haru.stats.query import MAX_ROWS, Include, Query
from haru.stats.vocabulary import metrics, periods
from haru.stats.vocabulary.metrics import Value
from haru.web.dashboard import filters
from haru.web.dashboard.breakdowns import details, panels, tabs
from haru.web.dashboard.chart import unit_of
from haru.web.dashboard.csv import lines
from haru.web.dashboard.state import METRICS, State
from haru.web.dashboard.views import View
from haru.web.project.streaming import in_threads

CSV = "text/csv; charset=utf-8"
ZIP = "application/zip"


@require_safe
@never_cache
@login_required
def breakdown(request: HttpRequest, domain: str, tab: str) -> HttpResponseBase:
    """Every row of one tab with all its numbers, as the details of the address show them."""
    view = View(access.readable(request.user, domain), request)
    found = tabs.named(tab, view.state.prop)
    if found is None:
        raise Http404("There is no such breakdown.")
    return sent(request, f"{_name(view, tab)}.csv", CSV, rows(view, found, view.state))


@require_safe
@never_cache
@login_required
def whole(request: HttpRequest, domain: str) -> HttpResponseBase:
    """The top numbers, the chart's and every breakdown."""
    view = View(access.readable(request.user, domain), request)
    return sent(request, f"{_name(view, 'export')}.zip", ZIP, zipped(view))


def sent(request: HttpRequest, name: str, kind: str, pieces: Iterator[bytes]) -> HttpResponseBase:
    """A file to save, piece by piece. The first one is made now: what fails at once is answered as an error."""
    pieces = iter(()) if request.method == "HEAD" else _after(next(pieces, b""), pieces)
    # Django holds the whole of what does not come asynchronously before it sends a byte of it.
    content = in_threads(pieces) if hasattr(request, "scope") else pieces
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(content, content_type=kind, headers=headers)


def rows(view: View, tab: tabs.Tab, state: State) -> Iterator[bytes]:
    """A breakdown as CSV, sorted, searched and compared as the details of this view are."""
    columns = [dimension.partition(":")[2] for dimension in tab.dimensions]
    name = filters.NAMES.get(tab.dimension)
    named = [f"{columns[-1]}_name"] if name else []
    metrics = details.metrics_of(tab, state, view.stats_site)
    changes = [f"{metric}_change" for metric in metrics] if state.comparison else []
    # The head goes with the first rows: a store that does not answer is known before the first byte.
    head: list[list[object]] = [[*columns, *named, *metrics, *changes]]
    for offset in itertools.count(0, MAX_ROWS):
        found, total = details.found(view.reports, view.stats_site, state, tab, MAX_ROWS, offset, view.now_ms)
        yield lines(
            itertools.chain(
                head if offset == 0 else (),
                (
                    [
                        *row.dimensions,
                        *([name(str(row.dimensions[-1]))] if name else []),
                        *map(_plain, row.metrics),
                        *_changes(metrics, row),
                    ]
                    for row in found
                ),
            )
        )
        if offset + len(found) >= total:
            return


def _plain(value: Value) -> object:
    """A number; amounts as text, each with its currency."""
    if isinstance(value, list):
        return "; ".join(f"{amount['value']} {amount['currency']}" for amount in value)
    return value


def _changes(names: Iterable[str], row: Row) -> list[object]:
    if row.comparison is None:
        return []
    numbers = zip(names, row.metrics, row.comparison.metrics, strict=True)
    return [panels.difference(name, now, then) for name, now, then in numbers]


def totals(view: View) -> Iterator[bytes]:
    """The top numbers as CSV, with those of the period compared with and how they changed: per cent, or points.

    What is a dash on the page is an empty cell.
    """
    comparison = view.state.comparison
    names = tuple(METRICS)
    query = Query(names, view.state.date_range, filters=view.state.filters, include=Include(comparisons=comparison))
    row = view.reports.answer(view.stats_site, query, view.now_ms).rows[0]
    before = row.comparison.metrics if row.comparison else (None,) * len(names)
    yield lines([["metric", "value", "before", "change"]])
    yield lines(
        [name, now, then, panels.difference(name, now, then)]
        for name, now, then in zip(names, row.metrics, before, strict=True)
    )


def time_series(view: View) -> Iterator[bytes]:
    """The top numbers by the interval of the chart as CSV, up to now."""
    names = tuple(METRICS)
    unit = unit_of(view.zone, view.state, view.period())
    query = Query(
        names, view.state.date_range, (f"time:{unit}",), view.state.filters, include=Include(time_labels=True)
    )
    answer = view.reports.answer(view.stats_site, query, view.now_ms)
    found = {str(row.dimensions[0]): row.metrics for row in answer.rows}
    nothing = tuple(metrics.nothing(name) for name in names)
    now = periods.floor(periods.wall(view.zone, view.now_ms), unit)
    yield lines([[unit, *names]])
    yield lines(
        [label, *found.get(label, nothing)]
        for label in answer.labels or []
        if datetime.fromisoformat(label) <= now or label in found
    )


def zipped(view: View) -> Iterator[bytes]:
    """All of it as the bytes of a zip, no file of it held whole."""
    files = {"totals": totals(view), "time_series": time_series(view)}
    state = replace(view.state, compare="none", sort="", search="")
    files |= {tab.name: rows(view, tab, state) for tab in tabs.ALL_TABS}
    moment = periods.wall(view.zone, view.now_ms)
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, pieces in files.items():
            info = zipfile.ZipInfo(f"{name}.csv", moment.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with archive.open(info, "w") as file:
                for piece in pieces:
                    file.write(piece)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Where a zip is written to and taken from, piece by piece; it cannot go back in it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Take some bytes."""
        self._pieces.append(bytes(data))  # type: ignore[call-overload]
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """What was written since the last time."""
        piece = b"".join(self._pieces)
        self._pieces.clear()
        return piece


def _after(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _name(view: View, what: str) -> str:
    period = view.period()
    first, last = (periods.wall(view.zone, at).date() for at in (period.start_ms, period.end_ms - 1))
    return f"{view.site.domain}-{what}-{first}-{last}"
