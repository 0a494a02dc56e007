"""The panels of a dashboard and their tabs: everything that questions can be broken down by, in one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from haru.events.event import ENGAGEMENT, PAGEVIEW
from haru.stats.vocabulary.dimensions import GOAL, PROPERTY

GOALS = "goals"  # the name of the panel that depends on what the site has
PROPERTIES = "properties"


@dataclass(frozen=True, slots=True)
class Tab:
    """One breakdown of a panel."""

    name: str  # unique among all panels: addresses and files have it
    label: str
    head: str  # of its column
    dimension: str
    mark: str = ""  # what stands before the text: brand, flag, region, city, device or nothing
    of: str = ""  # the dimension that a value belongs to: a version says nothing without its browser
    known_only: bool = False  # a row of what is not known says nothing here
    hidden: tuple[str, ...] = ()  # other values that have no row
    opens: str = ""  # the tab of the panel that a row leads to, with what is inside of it
    columns: tuple[tuple[str, str], ...] = (("visitors", "Visitors"),)  # metrics and heads, in the panel

    @property
    def key(self) -> str:
        """Of the property, where it is one."""
        return self.dimension.removeprefix(PROPERTY) if self.name == PROPERTIES else ""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What is asked for; the last is the tab's own."""
        return (self.of, self.dimension) if self.of else (self.dimension,)


@dataclass(frozen=True, slots=True)
class Menu:
    """Several tabs in the place of one."""

    label: str  # while none of them is open
    tabs: tuple[Tab, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A panel."""

    title: str
    entries: tuple[Tab | Menu, ...]

    @property
    def tabs(self) -> tuple[Tab, ...]:
        """All of them, the one first that is open at first."""
        return tuple(chain(*(entry.tabs if isinstance(entry, Menu) else (entry,) for entry in self.entries)))


PANELS: dict[str, Group] = {
    "sources": Group(
        "Sources",
        (
            Tab("sources", "Sources", "Source", "visit:source", "brand", opens="referrers"),
            Tab("channels", "Channels", "Channel", "visit:channel", opens="sources"),
            Tab("referrers", "Referrers", "Referrer", "visit:referrer", known_only=True),
            Menu(
                "Campaigns",
                (
                    Tab("campaigns", "Campaigns", "Campaign", "visit:utm_campaign", known_only=True),
                    Tab("utm_sources", "UTM sources", "UTM source", "visit:utm_source", known_only=True),
                    Tab("utm_mediums", "UTM mediums", "UTM medium", "visit:utm_medium", known_only=True),
                    Tab("utm_contents", "UTM contents", "UTM content", "visit:utm_content", known_only=True),
                    Tab("utm_terms", "UTM terms", "UTM term", "visit:utm_term", known_only=True),
                ),
            ),
        ),
    ),
    "pages": Group(
        "Pages",
        (
            Tab("pages", "Pages", "Page", "event:page"),
            Tab("entry", "Entry", "Entry page", "visit:entry_page", known_only=True),
            Tab("exit", "Exit", "Exit page", "visit:exit_page", known_only=True),
            Menu(
                "Hosts",
                (
                    Tab("hosts", "Host names", "Host name", "event:hostname"),
                    Tab("entry_hosts", "Entry hosts", "Entry host name", "visit:entry_page_hostname", known_only=True),
                    Tab("exit_hosts", "Exit hosts", "Exit host name", "visit:exit_page_hostname", known_only=True),
                ),
            ),
        ),
    ),
    "locations": Group(
        "Locations",
        (
            Tab("countries", "Countries", "Country", "visit:country", "flag", opens="regions"),
            Tab("regions", "Regions", "Region", "visit:region", "region", opens="cities"),
            Tab("cities", "Cities", "City", "visit:city", "city", of="visit:country"),
            Tab("languages", "Languages", "Language", "visit:language"),
        ),
    ),
    "devices": Group(
        "Devices",
        (
            Menu(
                "Browsers",
                (
                    Tab("browsers", "Browsers", "Browser", "visit:browser", "brand", opens="browser_versions"),
                    Tab(
                        "browser_versions",
                        "Browser versions",
                        "Browser version",
                        "visit:browser_version",
                        "brand",
                        of="visit:browser",
                    ),
                ),
            ),
            Menu(
                "OS",
                (
                    Tab("os", "OS", "Operating system", "visit:os", "brand", opens="os_versions"),
                    Tab("os_versions", "OS versions", "OS version", "visit:os_version", "brand", of="visit:os"),
                ),
            ),
            Tab("devices", "Devices", "Device", "visit:device", "device"),
            Tab("screens", "Screens", "Screen size", "visit:screen"),
        ),
    ),
}
GOAL_TAB = Tab(
    "goals",
    "Goals",
    "Goal",
    GOAL,
    columns=(("visitors", "Uniques"), ("events", "Total"), ("conversion_rate", "Conv. rate")),
)
EVENT_TAB = Tab(
    "events",
    "Events",
    "Event",
    "event:name",
    hidden=(PAGEVIEW, ENGAGEMENT),
    columns=(("visitors", "Visitors"), ("events", "Total")),
)
ALL_TABS = (*chain(*(group.tabs for group in PANELS.values())), GOAL_TAB, EVENT_TAB)


def property_tab(key: str) -> Tab:
    """The values of a property."""
    columns = (("visitors", "Visitors"), ("events", "Events"), ("percentage", "Share"))
    return Tab(PROPERTIES, key, key, PROPERTY + key, known_only=True, columns=columns)


def goals_group(goals: bool, keys: Iterable[str]) -> Group:
    """The panel of a site that has goals, or not, and properties of these keys."""
    properties = tuple(map(property_tab, keys))
    entries = (*((GOAL_TAB,) if goals else ()), *((Menu("Properties", properties),) if properties else ()), EVENT_TAB)
    return Group("Goals" if goals else "Events", entries)


def named(name: str, key: str = "") -> Tab | None:
    """The tab of this name, of whichever panel; `key` is that of the property, of whose values there is one too."""
    if name == PROPERTIES:
        return property_tab(key) if key else None
    return next((tab for tab in ALL_TABS if tab.name == name), None)
