"""Demo traffic: made-up visits to a made-up site, so that a fresh installation has something to show.

The same seed and moment give the same visits. They take the way of real ones (pipeline, spool, loader), but their
visitors are numbers drawn at random: there is no address in them, not even an invented one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from haru.clock import DAY_MS, HOUR_MS, MINUTE_MS
from haru.collect.geo import Geo
from haru.collect.hit import Hit
from haru.collect.pipeline import Pipeline
from haru.collect.sites import Site
from haru.events.event import ENGAGEMENT, PAGEVIEW, Event
from haru.settings import Settings
from haru.spool.spool import Spool

DOMAIN = "demo.haru.local"
TIMEZONE = "Europe/Berlin"
VISITS_PER_DAY = 250
CHECKPOINT = b"demo traffic"  # kept in the spool beside the checkpoints of imports: a site is filled once

T = TypeVar("T")


class AlreadyFilled(Exception):
    """The site holds demo traffic; a second helping would blur the first. Nothing was written."""


class Weighted(Generic[T]):
    """Things to draw from, each as often as its weight says."""

    def __init__(self, *rows: tuple[float, T]) -> None:
        self._things = [thing for _, thing in rows]
        self._sums = list(accumulate(weight for weight, _ in rows))

    def draw(self, dice: random.Random) -> T:
        """One of them."""
        return dice.choices(self._things, cum_weights=self._sums)[0]


@dataclass(frozen=True, slots=True)
class Came:
    """How a visit comes in: what its first request carries."""

    referrer: str = ""
    query: str = ""
    entries: Weighted[str] | None = None  # its own entry pages, where they differ from everyone's


@dataclass(frozen=True, slots=True)
class Machine:
    """What a visitor browses with."""

    user_agent: str
    screen: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Home:
    """Where a visitor lives."""

    timezone: str
    language: str


STORY = "/blog/counting-without-cookies"  # what the day of the rush is about

ENTRIES = Weighted(
    (34, "/"),
    (14, STORY),
    (9, "/docs/install"),
    (8, "/blog/what-a-visit-is"),
    (7, "/docs"),
    (7, "/pricing"),
    (6, "/blog/moving-from-logs"),
    (5, "/docs/api"),
    (4, "/blog/slow-pages"),
    (3, "/blog"),
    (2, "/about"),
    (1, "/changelog"),
)
_POSTS = Weighted((5, STORY), (3, "/blog/what-a-visit-is"), (2, "/blog/moving-from-logs"), (2, "/blog/slow-pages"))
_ANYWHERE = Weighted((30, "/pricing"), (25, "/docs"), (18, "/"), (12, "/blog"), (8, "/about"), (7, "/contact"))
NEXT: dict[str, Weighted[str]] = {
    "/": Weighted((34, "/pricing"), (26, "/docs"), (16, "/blog"), (10, "/about"), (8, "/docs/install"), (6, STORY)),
    "/pricing": Weighted((45, "/signup"), (20, "/docs"), (20, "/"), (15, "/contact")),
    "/docs": Weighted((50, "/docs/install"), (35, "/docs/api"), (15, "/")),
    "/docs/install": Weighted((45, "/docs/api"), (25, "/docs"), (20, "/pricing"), (10, "/changelog")),
    "/docs/api": Weighted((45, "/docs"), (30, "/docs/install"), (25, "/changelog")),
    "/blog": Weighted((40, STORY), (25, "/blog/what-a-visit-is"), (20, "/blog/moving-from-logs"), (15, "/")),
    "/signup": Weighted((70, "/welcome"), (30, "/pricing")),
}

CAME = Weighted(
    (30, Came()),
    (25, Came("https://www.google.com/")),
    (3, Came("https://www.bing.com/")),
    (4, Came("https://duckduckgo.com/")),
    (1.5, Came("https://www.ecosia.org/")),
    (5, Came("https://news.ycombinator.com/item?id=40000000", entries=_POSTS)),
    (3, Came("https://www.reddit.com/r/selfhosted/", entries=_POSTS)),
    (4, Came("https://github.com/")),
    (2, Came("https://mastodon.social/", entries=_POSTS)),
    (1.5, Came("https://www.linkedin.com/", entries=_POSTS)),
    (1.5, Came("https://t.co/abc", entries=_POSTS)),
    (1, Came("https://www.youtube.com/watch?v=demo")),
    (4, Came("https://chatgpt.com/", entries=Weighted((5, "/docs/install"), (3, "/docs/api"), (2, "/")))),
    (1.5, Came("https://www.perplexity.ai/", entries=_POSTS)),
    (1, Came("https://claude.ai/", entries=Weighted((3, "/docs/api"), (1, "/docs/install")))),
    (0.5, Came("https://gemini.google.com/")),
    (3, Came("", "utm_source=newsletter&utm_medium=email&utm_campaign=monthly-letter", _POSTS)),
    (2, Came("", "utm_source=newsletter&utm_medium=email&utm_campaign=welcome")),
    (
        3,
        Came(
            "https://www.google.com/",
            "utm_source=google&utm_medium=cpc&utm_campaign=self-hosted&utm_term=web+analytics&gclid=demo",
            Weighted((3, "/"), (2, "/pricing")),
        ),
    ),
    (1, Came("https://partner.example/", "utm_source=partner&utm_medium=affiliate&utm_campaign=autumn")),
    (1.5, Came("https://blog.example/tools")),
    (1, Came("https://forum.example/t/analytics")),
)
RUSH = Came("https://news.ycombinator.com/item?id=40000001", entries=Weighted((1, STORY)))

_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_LINUX = "Mozilla/5.0 (X11; Linux x86_64"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
MACHINES = Weighted(
    (17, Machine(f"{_WINDOWS} {_BLINK} Chrome/142.0.0.0 Safari/537.36", (1920, 1080))),
    (5, Machine(f"{_WINDOWS} {_BLINK} Chrome/141.0.0.0 Safari/537.36", (1536, 864))),
    (6, Machine(f"{_WINDOWS} {_BLINK} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", (1920, 1080))),
    (5, Machine("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", (1920, 1080))),
    (9, Machine(f"{_MAC} {_BLINK} Chrome/142.0.0.0 Safari/537.36", (1728, 1117))),
    (8, Machine(f"{_MAC} {_WEBKIT} Version/26.1 Safari/605.1.15", (1512, 982))),
    (2, Machine("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", (1440, 900))),
    (4, Machine(f"{_LINUX}; rv:145.0) Gecko/20100101 Firefox/145.0", (2560, 1440))),
    (4, Machine(f"{_LINUX}) {_BLINK} Chrome/142.0.0.0 Safari/537.36", (1920, 1080))),
    (14, Machine(f"{_IPHONE} 18_7 like Mac OS X) {_WEBKIT} Version/26.1 Mobile/15E148 Safari/604.1", (393, 852))),
    (5, Machine(f"{_IPHONE} 17_6 like Mac OS X) {_WEBKIT} Version/17.6 Mobile/15E148 Safari/604.1", (390, 844))),
    (13, Machine(f"Mozilla/5.0 (Linux; Android 10; K) {_BLINK} Chrome/142.0.0.0 Mobile Safari/537.36", (412, 915))),
    (
        3,
        Machine(
            f"Mozilla/5.0 (Linux; Android 10; K) {_BLINK} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            (360, 780),
        ),
    ),
    (2, Machine("Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", (412, 915))),
    (3, Machine(f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {_WEBKIT} Version/17.6 Safari/604.1", (820, 1180))),
)

HOMES = Weighted(
    (24, Home("Europe/Berlin", "de-DE,de;q=0.9,en;q=0.6")),
    (14, Home("America/New_York", "en-US,en;q=0.9")),
    (8, Home("America/Los_Angeles", "en-US,en;q=0.9")),
    (9, Home("Europe/London", "en-GB,en;q=0.9")),
    (7, Home("Europe/Paris", "fr-FR,fr;q=0.9")),
    (5, Home("Europe/Vienna", "de-AT,de;q=0.9")),
    (5, Home("Europe/Zurich", "de-CH,de;q=0.9,fr;q=0.5")),
    (5, Home("Europe/Amsterdam", "nl-NL,nl;q=0.9,en;q=0.8")),
    (4, Home("Asia/Kolkata", "en-IN,en;q=0.9,hi;q=0.7")),
    (4, Home("America/Sao_Paulo", "pt-BR,pt;q=0.9")),
    (3, Home("Europe/Madrid", "es-ES,es;q=0.9")),
    (3, Home("Asia/Tokyo", "ja-JP,ja;q=0.9")),
    (3, Home("America/Toronto", "en-CA,en;q=0.9")),
    (2, Home("Europe/Warsaw", "pl-PL,pl;q=0.9")),
    (2, Home("Australia/Sydney", "en-AU,en;q=0.9")),
    (2, Home("Europe/Stockholm", "sv-SE,sv;q=0.9")),
)

_HOURS = Weighted(
    *zip(
        (1.2, 0.8, 0.6, 0.5, 0.6, 1, 2, 3.5, 5.5, 7, 7.5, 7.2, 6, 6.4, 7, 7, 6.6, 6, 5.5, 5.6, 5.8, 5, 3.6, 2.2),
        range(24),
        strict=True,
    )
)
_WEEKDAYS = (1.12, 1.16, 1.15, 1.1, 1.0, 0.68, 0.74)  # Monday first
_GROWTH = 0.6  # from the first day to the last
_RUSH_SHARE = 3.5  # visits of the day of the rush, in ordinary days
_BOUNCES = 0.46
_GOES_ON = 0.62  # chance of a further page after the second
_MAX_GAP_MS = 25 * MINUTE_MS  # well inside the 30 minutes of a visit
_RETURNS = 0.18  # chance of a further visit on the same day
_AWAY_MS = (45 * MINUTE_MS, 6 * HOUR_MS)  # how long whoever returns was away
_ONLINE_SECONDS = (15, 50, 95, 160, 240)  # how long ago those came who are on the site right now


def traffic(
    settings: Settings,
    site: Site,
    now_ms: int,
    *,
    days: int = 90,
    visits_per_day: int = VISITS_PER_DAY,
    seed: int = 1,
) -> list[Event]:
    """The events of so many days up to `now_ms` (ms UTC), in the order of time; none is newer than `now_ms`."""
    dice = random.Random(seed)  # noqa: S311 - nothing here is a secret
    writer = _Writer(settings, site, now_ms, dice)
    for moment, came in _arrivals(ZoneInfo(site.timezone), now_ms, days, visits_per_day, dice):
        writer.visitor(moment, came)
    for seconds in _ONLINE_SECONDS:
        writer.visitor(now_ms - seconds * 1000, CAME.draw(dice))
    return sorted(writer.events, key=lambda event: event.at)


def fill(
    settings: Settings,
    spool: Spool,
    site: Site,
    now_ms: int,
    days: int = 90,
    seed: int = 1,
    visits_per_day: int = VISITS_PER_DAY,
) -> int:
    """Write demo traffic for a site to the spool, all of it or nothing; how many events that is.

    Raises `AlreadyFilled` for a site that has some, and `SpoolUnavailable` when the disk refuses.
    """
    if CHECKPOINT in spool.import_checkpoints(site.id).get(0, ()):
        raise AlreadyFilled(f"{site.domain} holds demo traffic already.")
    events = traffic(settings, site, now_ms, days=days, visits_per_day=visits_per_day, seed=seed)
    with spool.transaction() as transaction:
        transaction.append(events)
        transaction.add_import_checkpoint(site.id, CHECKPOINT, 0)
    return len(events)


def _arrivals(
    zone: ZoneInfo, now_ms: int, days: int, visits_per_day: int, dice: random.Random
) -> Iterator[tuple[int, Came]]:
    """When a visitor comes (ms UTC) and from where, day by day in the site's zone."""
    start = now_ms - days * DAY_MS
    first = datetime.fromtimestamp(start / 1000, zone).date()
    last = datetime.fromtimestamp(now_ms / 1000, zone).date()
    length = (last - first).days + 1
    rush = round(length * 0.7)
    for number in range(length):
        day = first + timedelta(days=number)
        # Grows about a mean of one, so that the number asked for is the number per day over the whole period.
        growth = 1 + _GROWTH * (number / max(length - 1, 1) - 0.5)
        usual = visits_per_day * (1 - _RETURNS) * _WEEKDAYS[day.weekday()] * growth
        moments = [
            (_moment(day, _HOURS.draw(dice), zone, dice), CAME.draw(dice))
            for _ in range(round(usual * dice.uniform(0.9, 1.1)))
        ]
        if number == rush and length > 7:
            # It begins in the afternoon and dies away.
            moments += [
                (_moment(day, 15, zone, dice) + round(dice.expovariate(1 / (3 * HOUR_MS))), RUSH)
                for _ in range(round(usual * (_RUSH_SHARE - 1)))
            ]
        yield from ((moment, came) for moment, came in moments if start <= moment <= now_ms)


def _moment(day: date, hour: int, zone: ZoneInfo, dice: random.Random) -> int:
    hour_begin = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return round(hour_begin.astimezone(UTC).timestamp()) * 1000 + dice.randrange(HOUR_MS)


class _Writer:
    """Writes visits: a visitor, what they see, for how long."""

    def __init__(self, settings: Settings, site: Site, now_ms: int, dice: random.Random) -> None:
        self.events: list[Event] = []
        self._site = site
        self._now_ms = now_ms
        self._dice = dice
        self._visitor = 0
        self._pipeline = Pipeline(lambda *_: (self._visitor, self._visitor), Geo(settings.geoip_db))

    def visitor(self, at: int, came: Came) -> None:
        """A visitor who comes at `at`, and some again on the same day, as long as an id lives."""
        dice = self._dice
        self._visitor = dice.getrandbits(64) - 2**63
        machine, home = MACHINES.draw(dice), HOMES.draw(dice)
        day = at // DAY_MS
        while at // DAY_MS == day:
            left = self._visit(at, came, machine, home)
            if dice.random() >= _RETURNS:
                return
            at = left + dice.randrange(*_AWAY_MS)
            came = dice.choice((came, Came()))

    def _visit(self, at: int, came: Came, machine: Machine, home: Home) -> int:
        """One visit that begins at `at`; when it ends."""
        dice = self._dice
        path = (came.entries or ENTRIES).draw(dice)
        query, referrer = came.query, came.referrer
        leaves = dice.random() < _BOUNCES
        while True:
            url = f"https://{self._site.domain}{path}{'?' + query if query else ''}"
            self._write(at, url, machine, home, referrer=referrer)
            stay = min(round(dice.lognormvariate(10.6, 0.95)), _MAX_GAP_MS)  # median 40 s
            self._act(at, stay, path, url, machine, home)
            self._write(
                at + stay,
                url,
                machine,
                home,
                name=ENGAGEMENT,
                engaged_ms=round(stay * dice.uniform(0.4, 0.95)),
                scroll_depth=dice.choice((15, 25, 40, 50, 60, 75, 85, 100, 100)),
            )
            if leaves:
                return at + stay
            at += stay + dice.randrange(200, 1500)
            referrer, query = url, ""
            path = NEXT.get(path, _ANYWHERE).draw(dice)
            leaves = dice.random() > _GOES_ON

    def _act(self, at: int, stay: int, path: str, url: str, machine: Machine, home: Home) -> None:
        """What visitors do besides looking."""
        dice = self._dice
        when = at + round(stay * dice.uniform(0.3, 0.9))
        if path == "/welcome":
            plan = dice.choice(("free", "free", "team", "business"))
            self._write(when, url, machine, home, name="Signup", props={"plan": plan})
            if plan != "free":
                amount = "19.00" if plan == "team" else "49.00"
                self._write(
                    when + 1000,
                    url,
                    machine,
                    home,
                    name="Purchase",
                    props={"plan": plan},
                    revenue_currency="EUR",
                    revenue_amount=amount,
                )
        elif path == "/docs/install" and dice.random() < 0.2:
            archive = dice.choice(("container", "wheel", "wheel"))
            self._write(when, url, machine, home, name="Download", props={"archive": archive})

    def _write(
        self,
        at: int,
        url: str,
        machine: Machine,
        home: Home,
        *,
        name: str = PAGEVIEW,
        referrer: str = "",
        props: dict[str, str] | None = None,
        revenue_currency: str = "",
        revenue_amount: str = "",
        engaged_ms: int = 0,
        scroll_depth: int = -1,
    ) -> None:
        if at > self._now_ms:
            return
        hit = Hit(
            site=self._site,
            at=at,
            address="",
            user_agent=machine.user_agent,
            url=url,
            name=name,
            hostname=self._site.domain,
            referrer=referrer,
            screen_width=machine.screen[0],
            screen_height=machine.screen[1],
            props=props or {},
            revenue_currency=revenue_currency,
            revenue_amount=revenue_amount,
            engaged_ms=engaged_ms,
            scroll_depth=scroll_depth,
            timezone=home.timezone,
            language=home.language,
        )
        self.events.append(self._pipeline.run(hit))
