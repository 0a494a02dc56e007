"""Collector: everything that one process needs to collect. The server has one, and so has each worker.

It needs the data folder only: a file of the sites, the salts, a spool of its own. No database, no event store.
"""

from __future__ import annotations

import asyncio

import msgspec

from haru.clock import now_ms
from haru.collect import referrer, useragent
from haru.collect.endpoint import Endpoint
from haru.collect.geo import Geo
from haru.collect.pipeline import Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.ratelimit_storage import RateLimitStorage, SharedStorage
from haru.collect.sites import Sites
from haru.collect.visitor import Salts
from haru.settings import Settings
from haru.spool.spool import Spool, spool_path
from haru.spool.writer import Writer

HOUSEKEEPING_SECONDS = 1.0


class Counts(msgspec.Struct):
    """What a collector counted since it started: for /metrics, and across processes."""

    answers: dict[int, int] = {}
    refusals: dict[str, int] = {}
    accepted: int = 0
    commits: int = 0
    waiting: int = 0  # events that wait for a commit right now
    refusing: bool = False  # whether the disk refused the last commit
    full: bool = False  # whether the spool has grown to its limit
    alive: bool = True  # whether the thread that writes runs
    restarts: int = 0  # how often that thread failed and went on
    seconds: tuple[list[int], float] = ([], 0.0)  # of answers: a histogram's counts and sum
    commit_seconds: tuple[list[int], float] = ([], 0.0)
    batch_events: tuple[list[int], float] = ([], 0.0)


class Collector:
    """Opens what collecting needs, keeps it fresh, closes it in order. Lives on one event loop."""

    def __init__(self, settings: Settings, worker: int = 0, storage: SharedStorage | None = None) -> None:
        """`worker` names the spool; `storage` is the table that several processes limit by.

        Raises `SpoolUnavailable`.
        """
        self.salts = Salts(settings.data_dir)
        self.salts.rotate(now_ms())
        self.sites = Sites(settings.data_dir)
        self.writer = Writer(Spool(spool_path(settings, worker)), asyncio.get_running_loop(), settings.spool_limit)
        self.pipeline = Pipeline(self.salts.ids, Geo(settings.geoip_db))
        limit = RateLimit(settings.rate_limit, RateLimitStorage(storage))
        self.endpoint = Endpoint(settings, self.sites, self.pipeline, limit, self.writer)
        useragent.warm()
        referrer.warm()

    async def housekeep(self) -> None:
        """Follow the file of sites and destroy salts on time: to be called every `HOUSEKEEPING_SECONDS`."""
        self.sites.refresh()
        await asyncio.to_thread(self.salts.rotate, now_ms())

    def counts(self) -> Counts:
        """The counters as they stand."""
        writer, endpoint = self.writer, self.endpoint
        return Counts(
            answers=dict(endpoint.answers),
            refusals=dict(endpoint.refusals),
            accepted=endpoint.accepted,
            commits=writer.commits,
            waiting=writer.waiting(),
            refusing=writer.refusing,
            full=writer.full,
            alive=writer.alive(),
            restarts=writer.restarts,
            seconds=(endpoint.seconds.counts, endpoint.seconds.total),
            commit_seconds=(writer.commit_seconds.counts, writer.commit_seconds.total),
            batch_events=(writer.batch_events.counts, writer.batch_events.total),
        )

    async def close(self) -> None:
        """Write what waits and close the spool."""
        await asyncio.to_thread(self.writer.close)
