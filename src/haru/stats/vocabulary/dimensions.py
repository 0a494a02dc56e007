"""What numbers can be broken down and filtered by: one entry each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from haru.events.countries import country_name
from haru.events.event import NO_CHANNEL, NO_SOURCE, NOT_SET
from haru.stats.vocabulary import places

GOAL = "event:goal"
REFERRER = "visit:referrer"
PROPERTY = "event:props:"  # with the property's key after it
MAX_KEY_BYTES = 300  # of a property: collect takes none that is longer


class Level(Enum):
    """What has the value."""

    EVENT = "each event has its own"
    STAMP = "all events of a visit have the same"
    FACT = "it is known from all events of the visit together"
    TIME = "the moment of the event"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension."""

    name: str
    meaning: str
    level: Level
    # Of the table `event`; for FACT of the facts of a visit; for TIME the unit, "" for the one that suits the period.
    column: str
    empty: str = NOT_SET  # what stands for a value that is not known
    key: str = ""  # of a property
    optional: bool = False  # what is missing neither contains nor matches anything, nor does it not
    named: Callable[[str], str] | None = None  # the name that is shown for a stored value
    operators: tuple[str, ...] = ()  # the only ones that it can be filtered with; empty: all of them

    def text(self, stored: str) -> str:
        """A stored value as it is shown and filtered by."""
        if stored == "":
            return self.empty
        return self.named(stored) if self.named is not None else stored


_E, _S, _F, _T = Level.EVENT, Level.STAMP, Level.FACT, Level.TIME

_TABLE = (
    Dimension("event:page", "path of the page", _E, "path"),
    Dimension("event:hostname", "host name of the page", _E, "hostname"),
    Dimension("event:name", "`pageview`, `engagement` or the name of a custom event", _E, "name"),
    Dimension(GOAL, "goal that the event reaches; of several goals one row each", _E, "", operators=("is", "contains")),
    Dimension("visit:entry_page", "path of the visit's first pageview", _F, "entry_page"),
    Dimension("visit:exit_page", "path of the visit's last pageview", _F, "exit_page"),
    Dimension("visit:entry_page_hostname", "host name of the visit's first pageview", _F, "entry_hostname"),
    Dimension("visit:exit_page_hostname", "host name of the visit's last pageview", _F, "exit_hostname"),
    Dimension("visit:source", "named source, or host of the referrer", _S, "source", NO_SOURCE),
    Dimension("visit:channel", "channel of the source", _S, "channel", NO_CHANNEL),
    Dimension(REFERRER, "host and path of the referrer", _S, "referrer", NO_SOURCE),
    Dimension("visit:utm_source", "utm_source of the first page", _S, "utm_source"),
    Dimension("visit:utm_medium", "utm_medium of the first page", _S, "utm_medium"),
    Dimension("visit:utm_campaign", "utm_campaign of the first page", _S, "utm_campaign"),
    Dimension("visit:utm_content", "utm_content of the first page", _S, "utm_content"),
    Dimension("visit:utm_term", "utm_term of the first page", _S, "utm_term"),
    Dimension("visit:country", "country, ISO 3166-1 alpha-2", _S, "country"),
    Dimension("visit:country_name", "name of the country, in English", _S, "country", named=country_name),
    Dimension("visit:region", "region, ISO 3166-2", _S, "region"),
    Dimension(
        "visit:region_name",
        "name of the region, in English or its own language",
        _S,
        "region",
        named=places.region_name,
    ),
    Dimension("visit:city", "city, number of GeoNames", _S, "city"),
    Dimension("visit:city_name", "name of the city, its number where it has none", _S, "city", named=places.city_name),
    Dimension("visit:device", "`Desktop`, `Mobile` or `Tablet`", _S, "device"),
    Dimension("visit:browser", "browser", _S, "browser"),
    Dimension("visit:browser_version", "version of the browser", _S, "browser_version"),
    Dimension("visit:os", "operating system", _S, "os"),
    Dimension("visit:os_version", "version of the operating system", _S, "os_version"),
    Dimension("visit:screen", "size of the screen, such as `1920x1080`", _S, "screen"),
    Dimension("visit:language", "primary language of the browser, such as `de`", _S, "language"),
    Dimension("time", "bucket of time, of the unit that suits the period", _T, ""),
    Dimension("time:minute", "minute", _T, "minute"),
    Dimension("time:hour", "hour", _T, "hour"),
    Dimension("time:day", "day", _T, "day"),
    Dimension("time:week", "week, from Monday", _T, "week"),
    Dimension("time:month", "month", _T, "month"),
)
DIMENSIONS = {dimension.name: dimension for dimension in _TABLE}

# Any property of an event. It is missing where the event has none of that key, or an empty one.
PROPERTIES = Dimension("event:props:<key>", "value of the property <key>", _E, "props", "(none)", optional=True)
# What queries of our own are broken down by, and nobody else's.
CURRENCY = Dimension("event:revenue_currency", "currency of the event's revenue", _E, "revenue_currency", "(none)")
KEYS = Dimension("event:props", "key of a property of the event; of several keys one row each", _E, "props")
_OWN = {dimension.name: dimension for dimension in (CURRENCY, KEYS)}


def known(name: str) -> bool:
    """Whether a query may name this dimension."""
    if name.startswith(PROPERTY):
        return 0 < len(name.removeprefix(PROPERTY).encode()) <= MAX_KEY_BYTES
    return name in DIMENSIONS


def of(name: str) -> Dimension:
    """The dimension of this name. Raises `KeyError`."""
    if name.startswith(PROPERTY):
        key = name.removeprefix(PROPERTY)
        return replace(PROPERTIES, name=name, key=key, meaning=PROPERTIES.meaning.replace("<key>", key))
    return _OWN[name] if name in _OWN else DIMENSIONS[name]


def labelled(dimension: Dimension) -> Dimension:
    """The dimension that shows the name for a value of this one, when there is another that does."""
    return DIMENSIONS.get(f"{dimension.name}_name", dimension)


def shown(dimension: Dimension, value: str) -> str | int:
    """A value as answers hold it: the label when it is not known, a number for a city."""
    text = dimension.text(value)
    return int(text) if value and dimension.name == "visit:city" else text
