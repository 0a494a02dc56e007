from __future__ import annotations

from importlib import resources

import pycountry

from haru.events.countries import COUNTRIES, country_name


def test_the_countries_are_those_of_the_standard_and_kosovo() -> None:
    assert {country.alpha_2 for country in pycountry.countries} | {"XK"} == set(COUNTRIES)


def test_every_country_that_a_time_zone_lies_in_is_among_them() -> None:
    table = (resources.files("tzdata.zoneinfo") / "zone.tab").read_text("utf-8")
    assert {line[:2] for line in table.splitlines() if line and not line.startswith("#")} <= set(COUNTRIES)


def test_a_country_has_a_name_and_a_code_without_one_is_shown() -> None:
    assert country_name("DE") == "Germany"
    assert country_name("ZZ") == "ZZ"


def test_no_two_countries_have_one_name_and_none_is_called_as_a_code() -> None:
    assert len(set(COUNTRIES.values())) == len(COUNTRIES)
    assert not set(COUNTRIES.values()) & set(COUNTRIES)
