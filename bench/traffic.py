"""Made-up traffic of many sites, the same for the same seed: fast enough for a hundred million events.

It comes day by day in the order of arrival, with all sites mixed, as the loader stores what visitors send. Half of it
is that of site 1. Times, sizes of visits, how often pages and sources occur, and visitors who come again follow what
such sites have: few of most things are most of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from haru.events.columns import COLUMNS, Row
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress

DAYS = 90
SITES = 20
START = 1_767_225_600_000  # 2026-01-01
DAY_MS = 86_400_000
EVENTS_A_VISIT = 3.03  # the mean; most visits have one
MAX_GAP_MS = 29 * 60_000

Array = Any  # of numpy


@dataclass(frozen=True, slots=True)
class Words:
    """A column of text: the place of each value among the words."""

    codes: Array
    words: Sequence[str]


Columns = dict[str, "Array | Words"]


def _named(pattern: str, count: int) -> list[str]:
    return [pattern.format(n) for n in range(count)]


# Each list goes from what is frequent to what is rare.
_STAMPS: dict[str, list[str]] = {
    "source": ["", "Google", "Hacker News", "X", "ChatGPT", "Bing", *_named("blog{}.example", 400)],
    "channel": ["", "Organic Search", "Referral", "Organic Social", "Email", "Paid Search", "AI Assistants"],
    "referrer": ["", "google.com", "news.ycombinator.com", "x.com", *_named("blog{}.example/post", 2_000)],
    "utm_source": ["", "", "", "", "newsletter", "google", "partner"],
    "utm_campaign": ["", "", "", "", *_named("campaign-{}", 60)],
    "country": ["US", "DE", "IN", "FR", "GB", "", "BR", "JP", *(a + b for a in "ACEHKNPST" for b in "AEGIKLMNORZ")],
    "region": ["", *_named("US-{}", 50), *_named("DE-{}", 16), *_named("FR-{}", 100)],
    "device": ["Mobile", "Desktop", "Tablet"],
    "browser": ["Chrome", "Safari", "Firefox", "Edge", "Samsung Internet", "Opera", "", "DuckDuckGo"],
    "browser_version": [*_named("{}.0", 60), ""],
    "os": ["Windows", "iOS", "Android", "macOS", "Linux", "ChromeOS", ""],
    "os_version": ["", "10", "26.1", "16", "15.7", "26.0", "18.6", "14", "13"],
    "screen": ["1920x1080", "390x844", "1536x864", "393x852", "1440x900", *_named("{}x800", 300)],
    "language": ["en", "de", "fr", "es", "ja", "pt", "", "nl", "it", "pl"],
}
_PAGES = ["/", "/pricing", "/docs", "/blog", *_named("/blog/a-post-with-a-title-of-its-own-{}", 3_000)]
_HOSTS = _named("site{}.example", SITES + 1)
_NAMES = ["pageview", "engagement", "signup", "purchase"]
_PROPS = ["{}", '{"plan":"free"}', '{"plan":"pro"}', '{"plan":"team","seats":"5"}']
_AMOUNTS = ["", "9", "19", "49.50", "199"]
_ALL_DAY = np.array([3, 2, 2, 2, 2, 3, 4, 6, 8, 9, 9, 9, 9, 9, 9, 9, 8, 8, 8, 8, 7, 6, 5, 4], float)


class Traffic:
    """A given number of events, about: whole visits are made."""

    def __init__(self, events: int, days: int = DAYS, sites: int = SITES, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._visits = round(events / days / EVENTS_A_VISIT)  # of a day
        self._days = days
        self._shares = np.array([0.5, *(0.5 / n for n in range(1, sites))]) if sites > 1 else np.ones(1)
        self._shares[1:] *= 0.5 / self._shares[1:].sum() if sites > 1 else 1
        self._next_id = 1

    def days(self) -> Iterator[Columns]:
        """The columns of the events of each day; what a visit does after midnight comes on the day after."""
        left: Columns = {}
        for day in range(self._days):
            made = self._day(day)
            if left:
                made = {name: _joined(left[name], made[name]) for name in made}
            order = np.argsort(made["occurred_at"], kind="stable")  # type: ignore[arg-type]
            made = {name: _taken(column, order) for name, column in made.items()}
            now = made["occurred_at"] < START + (day + 1) * DAY_MS  # type: ignore[operator]
            done = {name: _taken(column, now) for name, column in made.items()}
            left = {name: _taken(column, ~now) for name, column in made.items()}
            self._number(done, left)
            yield {name: done[name] for name, _ in COLUMNS}

    def _number(self, done: Columns, left: Columns) -> None:
        """Give ids in the order of arrival; a visit has that of the event that opened it."""
        size = len(done["id"])  # type: ignore[arg-type]
        done["id"] = np.arange(self._next_id, self._next_id + size)
        self._next_id += size
        # Until it is opened a visit has a negative number.
        visit, place = done["visit_id"], done.pop("place")
        fresh = np.zeros(self._visits + 1, np.int64)
        opens = place == 0
        fresh[-visit[opens]] = done["id"][opens]  # type: ignore[index]
        for part in (done, left):
            ids = part["visit_id"]
            part["visit_id"] = np.where(ids < 0, fresh[np.maximum(-ids, 0)], ids)  # type: ignore[operator]

    def _day(self, day: int) -> Columns:
        random, visits = self._random, self._visits
        hours = random.choice(24, visits, p=_ALL_DAY / _ALL_DAY.sum())
        start = START + day * DAY_MS + hours * 3_600_000 + random.integers(0, 3_600_000, visits)
        # None opens so late that its first event would be of the next day.
        sizes = np.minimum(random.geometric(1 / EVENTS_A_VISIT, visits), 80)
        visit = np.repeat(np.arange(visits), sizes)
        ends = np.cumsum(sizes)
        place = np.arange(len(visit)) - np.repeat(ends - sizes, sizes)
        size = len(visit)
        gaps = np.minimum(random.exponential(70_000, size), MAX_GAP_MS).astype(np.int64) + 1
        gaps[place == 0] = 0
        since = np.cumsum(gaps)
        at = start[visit] + since - np.repeat(since[ends - sizes], sizes)
        chance = random.random(size)
        name = np.select([place == 0, chance < 0.4, chance > 0.97, chance > 0.92], [0, 1, 3, 2], 0).astype(np.int8)
        engaged = name == 1
        # What is read is the page seen before.
        pages = self._popular(len(_PAGES), size)
        pages = pages[np.maximum.accumulate(np.where(engaged, 0, np.arange(size)))]
        site = random.choice(len(self._shares), visits, p=self._shares) + 1
        person = np.minimum(random.zipf(1.35, visits), 1_000_000) + random.integers(0, visits, visits)
        mixed = (person.astype(np.uint64) * np.uint64(SITES + 1) + site.astype(np.uint64)) << np.uint64(12)
        visitor = ((mixed + np.uint64(day)) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(0x5851F42D4C957F2D)
        columns: Columns = {
            "id": np.zeros(size, np.int64),
            "place": place,
            "site_id": site[visit],
            "occurred_at": at,
            "visitor_id": visitor.view(np.int64)[visit],
            "visit_id": -1 - visit,
            "name": Words(name, _NAMES),
            "hostname": Words(site[visit], _HOSTS),
            "path": Words(pages, _PAGES),
            "props": Words(np.where(name >= 2, random.integers(0, len(_PROPS), size), 0), _PROPS),
            "revenue_currency": Words((name == 3).astype(np.int8), ["", "EUR"]),
            "revenue_amount": Words(np.where(name == 3, random.integers(1, len(_AMOUNTS), size), 0), _AMOUNTS),
            "engaged_ms": np.where(engaged, random.exponential(25_000, size).astype(np.int64), 0),
            "scroll_depth": np.where(engaged, random.integers(5, 101, size), -1).astype(np.int16),
            "interactive": np.ones(size, np.bool_),
            "city": (self._popular(2_000, visits) * 1000)[visit],
        }
        for column, words in _STAMPS.items():
            columns[column] = Words(self._popular(len(words), visits)[visit], words)
        for column, kind in COLUMNS:
            if column not in columns:
                assert kind == "VARCHAR"
                columns[column] = Words(np.zeros(size, np.int8), [""])
        return columns

    def _popular(self, count: int, size: int) -> Array:
        """Places in a list, the first most often: Zipf's law."""
        sums = np.cumsum(1 / np.arange(1, count + 1))
        return np.searchsorted(sums, self._random.random(size) * sums[-1]).astype(np.int16)


def _taken(column: Array | Words, which: Array) -> Array | Words:
    return Words(column.codes[which], column.words) if isinstance(column, Words) else column[which]


def _joined(first: Array | Words, second: Array | Words) -> Array | Words:
    if isinstance(first, Words):
        assert isinstance(second, Words)
        return Words(np.concatenate([first.codes, second.codes]), first.words)
    return np.concatenate([first, second])


def rows(columns: Columns) -> list[Row]:
    """The rows, as a store's `load` takes them."""
    lists = []
    for name, _ in COLUMNS:
        column = columns[name]
        if isinstance(column, Words):
            lists.append([column.words[code] for code in column.codes])
        else:
            lists.append(column.tolist())
    return list(zip(*lists, strict=True))


def fill_duckdb(path: Path, traffic: Traffic) -> int:
    """Write a day at a time into the table itself, past `Store.load`; returns how many events there are."""
    store = DuckStore(path)
    store.open()  # makes the tables
    store.close()
    select = ", ".join(f"make_timestamp_ms({n})" if kind == "TIMESTAMP" else f"{n}::{kind}" for n, kind in COLUMNS)
    size = 0
    with duckdb.connect(str(path), config={"memory_limit": "4GB", "threads": 2}) as connection:
        for columns in traffic.days():
            batch = pa.table({name: _arrow(columns[name]) for name, _ in COLUMNS})
            size += batch.num_rows
            connection.register("batch", batch)
            connection.execute(f"INSERT INTO event SELECT {select} FROM batch")
            connection.unregister("batch")
        connection.execute("INSERT INTO progress VALUES ('', $1)", [size])
    return size


def _arrow(column: Array | Words) -> Any:
    if isinstance(column, Words):
        return pa.DictionaryArray.from_arrays(pa.array(column.codes.astype(np.int32)), pa.array(list(column.words)))
    return pa.array(column)


def batches(days: Iterator[Columns], size: int) -> Iterator[tuple[list[Row], Progress]]:
    """What `Store.load` takes, at most `size` rows at a time."""
    for columns in days:
        found = rows(columns)
        for start in range(0, len(found), size):
            batch = found[start : start + size]
            yield batch, Progress(batch[-1][0])


def first(days: Iterator[Columns], count: int) -> Iterator[Columns]:
    """The first days."""
    return itertools.islice(days, count)
