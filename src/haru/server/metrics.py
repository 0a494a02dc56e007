"""`/metrics`: what the operator's Prometheus reads. Counters are kept where things happen; here they get names."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector as Source

from haru.clock import now_ms
from haru.collect.address import is_loopback
from haru.collect.collector import Counts
from haru.histogram import Histogram
from haru.http import Headers, Scope, Send, peer_of, respond
from haru.server import health

if TYPE_CHECKING:
    from haru.server.node import Node

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


async def answer(node: Node, scope: Scope, send: Send) -> None:
    """`/metrics`, for whoever may read it; nothing is here for anyone else."""
    if not _may_read(scope, node.settings.metrics_token):
        await respond(send, 404, b"There is nothing at this address.\n", b"text/plain; charset=utf-8")
        return
    await respond(send, 200, page(await snapshot(node)), CONTENT_TYPE)


def _may_read(scope: Scope, token: str) -> bool:
    headers: Headers = scope["headers"]
    if token:
        authorization = next((value for name, value in headers if name == b"authorization"), b"")
        return hmac.compare_digest(authorization, b"Bearer " + token.encode())
    by_proxy = any(name in {b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"} for name, _ in headers)
    return not by_proxy and is_loopback(peer_of(scope))


@dataclass(slots=True)
class Snapshot:
    """The figures of one moment."""

    counts: list[Counts]  # of every process that collects
    bounds: dict[str, tuple[float, ...]]  # of the histograms in `counts`
    spool_rows: int = 0
    spool_age_seconds: float = 0.0
    loaded_events: int = 0
    load_seconds: Histogram = field(default_factory=lambda: Histogram(()))
    query_seconds: Histogram = field(default_factory=lambda: Histogram(()))
    queries_running: int = 0
    queries_stopped: dict[str, int] = field(default_factory=dict)
    cache_hits: int = 0
    cache_misses: int = 0
    subscribers: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    store_up: bool = True
    accounts_up: bool = True


async def snapshot(node: Node) -> Snapshot:
    """The figures of this moment."""
    rows, oldest = await node.on_loader(node.spools.waiting)
    writer = node.collector.writer
    return Snapshot(
        counts=node.counts(),
        bounds={
            "seconds": node.collector.endpoint.seconds.bounds,
            "commit_seconds": writer.commit_seconds.bounds,
            "batch_events": writer.batch_events.bounds,
        },
        spool_rows=rows,
        spool_age_seconds=max(0, now_ms() - oldest) / 1000 if oldest else 0,
        loaded_events=node.loaded_events,
        load_seconds=node.load_seconds,
        query_seconds=node.reports.asking.query_seconds,
        queries_running=node.reports.asking.running,
        queries_stopped=dict(node.reports.asking.stopped),
        cache_hits=node.reports.asking.cache.hits,
        cache_misses=node.reports.asking.cache.misses,
        subscribers=node.live.bus.watchers(),
        restarts=dict.fromkeys(health.tasks(node), 0) | health.restarts(node),
        store_up=not node.store_fault,
        accounts_up=node.accounts_up,
    )


def page(snapshot: Snapshot) -> bytes:
    """The figures as Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(snapshot))
    return generate_latest(registry)


class _Figures(Source):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        s = self._snapshot
        yield _counter("haru_collect_requests", "Requests to collect, by the status of the answer.", "status",
                       _added(count.answers for count in s.counts))  # fmt: skip
        yield _counter("haru_collect_refused", "Requests that were not counted, by reason.", "reason",
                       _added(count.refusals for count in s.counts))  # fmt: skip
        yield _counter("haru_task_restarts", "Background tasks that failed and were started again.", "task", s.restarts)
        yield _counter("haru_queries_stopped", "Queries ended before their answer: limit, or left by whoever waited.",
                       "reason", {"left": 0, "limit": 0} | s.queries_stopped)  # fmt: skip
        yield CounterMetricFamily("haru_collect_accepted", "Events on disk.", sum(c.accepted for c in s.counts))
        yield CounterMetricFamily("haru_spool_commits", "Commits of the spools.", sum(c.commits for c in s.counts))
        yield CounterMetricFamily("haru_loaded_events", "Events in the event store.", s.loaded_events)
        yield CounterMetricFamily("haru_cache_hits", "Questions answered from the cache.", s.cache_hits)
        yield CounterMetricFamily("haru_cache_misses", "Questions that were computed.", s.cache_misses)
        for name, help in (
            ("seconds", "From the whole request until its answer."),
            ("commit_seconds", "Time of a spool's commit."),
            ("batch_events", "Events of a spool's commit."),
        ):
            added = Histogram(s.bounds[name])
            for count in s.counts:
                counts, total = getattr(count, name)
                if counts:
                    added.add(counts, total)
            yield _histogram(f"haru_{'collect' if name == 'seconds' else 'spool'}_{name}", help, added)
        yield _histogram("haru_load_seconds", "Time of a batch from the spools into the event store.", s.load_seconds)
        yield _histogram("haru_query_seconds", "Time of a question to the event store.", s.query_seconds)
        yield GaugeMetricFamily("haru_spool_waiting_commits", "Commits that the store has not taken yet.", s.spool_rows)
        yield GaugeMetricFamily("haru_spool_age_seconds", "Age of the oldest of them.", s.spool_age_seconds)
        yield GaugeMetricFamily("haru_spool_full", "Spools at their limit.", sum(c.full for c in s.counts))
        yield GaugeMetricFamily("haru_spool_refusing", "Spools the disk refuses.", sum(c.refusing for c in s.counts))
        waiting = sum(c.waiting for c in s.counts)
        yield GaugeMetricFamily("haru_collect_waiting", "Events that wait for a commit.", waiting)
        yield GaugeMetricFamily("haru_queries_running", "Queries of the event store under way.", s.queries_running)
        yield GaugeMetricFamily("haru_live_subscribers", "Open dashboards that hear of news.", s.subscribers)
        yield GaugeMetricFamily("haru_store_up", "Whether the event store answers.", s.store_up)
        yield GaugeMetricFamily("haru_accounts_up", "Whether the database of accounts answers.", s.accounts_up)


def _added(counts: Iterable[dict[int, int]] | Iterable[dict[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for each in counts:
        for key, count in each.items():
            added[str(key)] = added.get(str(key), 0) + count
    return added


def _counter(name: str, help: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _histogram(name: str, help: str, histogram: Histogram) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help)
    family.add_metric([], [(bound, float(count)) for bound, count in histogram.buckets()], histogram.total)
    return family
