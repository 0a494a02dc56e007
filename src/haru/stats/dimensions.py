"""What numbers can be broken down and filtered by: one entry each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NOT_SET = "(not set)"


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


_E, _S, _F, _T = Level.EVENT, Level.STAMP, Level.FACT, Level.TIME

_TABLE = (
    Dimension("event:page", "path of the page", _E, "path"),
    Dimension("event:hostname", "host name of the page", _E, "hostname"),
    Dimension("event:name", "`pageview`, `engagement` or the name of a custom event", _E, "name"),
    Dimension("visit:entry_page", "path of the visit's first pageview", _F, "entry_page"),
    Dimension("visit:exit_page", "path of the visit's last pageview", _F, "exit_page"),
    Dimension("visit:entry_page_hostname", "host name of the visit's first pageview", _F, "entry_hostname"),
    Dimension("visit:exit_page_hostname", "host name of the visit's last pageview", _F, "exit_hostname"),
    Dimension("visit:source", "named source, or host of the referrer", _S, "source", "Direct / None"),
    Dimension("visit:channel", "channel of the source", _S, "channel", "Direct"),
    Dimension("visit:referrer", "host and path of the referrer", _S, "referrer", "Direct / None"),
    Dimension("visit:utm_source", "utm_source of the first page", _S, "utm_source"),
    Dimension("visit:utm_medium", "utm_medium of the first page", _S, "utm_medium"),
    Dimension("visit:utm_campaign", "utm_campaign of the first page", _S, "utm_campaign"),
    Dimension("visit:utm_content", "utm_content of the first page", _S, "utm_content"),
    Dimension("visit:utm_term", "utm_term of the first page", _S, "utm_term"),
    Dimension("visit:country", "country, ISO 3166-1 alpha-2", _S, "country"),
    Dimension("visit:region", "region, ISO 3166-2", _S, "region"),
    Dimension("visit:city", "city, number of GeoNames", _S, "city"),
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

# Names that belong to the query's vocabulary and that no answer can be given for: refused by name.
UNBUILT = {"event:goal", "visit:country_name", "visit:region_name", "visit:city_name"}
UNBUILT_PREFIX = "event:props:"


def shown(dimension: Dimension, value: str) -> str | int:
    """A value as answers hold it: the label when it is not known, a number for a city."""
    if value == "":
        return dimension.empty
    return int(value) if dimension.name == "visit:city" else value
