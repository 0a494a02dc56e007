"""Where a request came from: by a database of addresses that the operator names, by a header, by the time zone."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from haru.events.countries import COUNTRIES
from haru.settings import BadSetting

if TYPE_CHECKING:
    from maxminddb import Reader


class Place(msgspec.Struct, frozen=True, gc=False):
    """A place as far as it is known."""

    country: str = ""  # ISO 3166-1 alpha-2
    region: str = ""  # ISO 3166-2, such as DE-BY
    city: int = 0  # GeoNames id


NOWHERE = Place()


class Geo:
    """Places of addresses. Without a database it knows none."""

    def __init__(self, db: Path | None) -> None:
        """Open an .mmdb file, with nested records (country.iso_code) or flat ones. Raises `BadSetting`."""
        self._reader: Reader | None = None
        if db is not None:
            import maxminddb  # 4 MB, and few name a file

            try:
                self._reader = maxminddb.open_database(str(db), maxminddb.MODE_AUTO)
            except (OSError, maxminddb.InvalidDatabaseError) as error:
                raise BadSetting(f"HARU_GEOIP_DB: {db} is no .mmdb file that can be read ({error}).") from None

    def locate(self, address: str) -> Place:
        """The place of an address; `NOWHERE` when the database has none or there is no database."""
        if self._reader is None:
            return NOWHERE
        try:
            record = self._reader.get(address)
        except (ValueError, RuntimeError):  # the latter is maxminddb's InvalidDatabaseError
            return NOWHERE
        return place(record) if isinstance(record, dict) else NOWHERE


def place(record: dict[str, Any]) -> Place:
    """The place in a database's record, whichever of the known shapes it has."""
    country = _text(record, "country", "iso_code") or _text(record, "country_code") or _text(record, "country")
    country = valid_country(country)
    if not country:
        return NOWHERE
    subdivisions = record.get("subdivisions")
    region = ""
    if isinstance(subdivisions, list) and subdivisions and isinstance(subdivisions[0], dict):
        code = _text(subdivisions[0], "iso_code")
        region = f"{country}-{code}" if code else ""
    region = region or _region(country, _text(record, "region_code"))
    city = record.get("city")
    geoname = city.get("geoname_id") if isinstance(city, dict) else record.get("geoname_id")
    return Place(country=country, region=region, city=geoname if isinstance(geoname, int) else 0)


def _region(country: str, code: str) -> str:
    if not code:
        return ""
    return code if code.startswith(f"{country}-") else f"{country}-{code}"


def _text(record: dict[str, Any], *path: str) -> str:
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=1024)
def valid_country(text: str) -> str:
    """The country code in a text, in capitals; "" for what is no country (XX, T1 and the like in a CDN's header)."""
    code = text.strip().upper()
    return code if code in COUNTRIES else ""


@lru_cache(maxsize=1024)
def country_of_timezone(timezone: str) -> str:
    """The country most of whose people use a time zone: `Europe/Berlin` → DE; "" when it names no country's."""
    zones = _countries_of_zones()
    return zones.get(timezone) or zones.get(_links().get(timezone, ""), "")


@cache
def _countries_of_zones() -> dict[str, str]:
    # zone.tab has one country for each zone, also for zones that have agreed with a neighbour's since 1970.
    found = {}
    for line in _table("zone.tab"):
        country, _, zone = line.split("\t")[:3]
        found[zone] = country
    return found


@cache
def _links() -> dict[str, str]:
    """Old and alternative names of zones: Asia/Calcutta → Asia/Kolkata."""
    found = {}
    for line in _table("tzdata.zi"):
        if line.startswith("L "):
            _, zone, name = line.split()
            found[name] = zone
    return found


def _table(name: str) -> list[str]:
    text = (resources.files("tzdata.zoneinfo") / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
