"""How numbers are written: filters of templates, one by one."""

import re
from datetime import date

import pytest

from haru.events.countries import COUNTRIES
from haru.web.templatetags.icons import BUILD, brand, flag
from haru.web.templatetags.numbers import day, days, duration, exact_value_of, short, value_of


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (8_240, "8,240"),
        (9_999, "9,999"),
        (10_000, "10.0k"),
        (15_312, "15.3k"),
        (999_940, "999.9k"),
        (999_960, "1.0M"),
        (1_234_567, "1.2M"),
        (999_960_000, "1.0G"),
        (5_000_000_000_000, "5,000.0G"),
    ],
)
def test_a_count_is_exact_below_ten_thousand_and_short_above(number, text):
    assert short(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m 00s"), (154, "2m 34s"), (3_599, "59m 59s"), (3_720, "1h 02m")],
)
def test_a_duration_names_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_each_metric_is_written_as_its_kind():
    assert value_of(52_711, "visitors") == "52.7k"
    assert exact_value_of(52_711, "visitors") == "52,711"
    assert value_of(2.06, "views_per_visit") == "2.06"
    assert value_of(41, "bounce_rate") == "41%"
    assert value_of(36.5, "percentage") == "36.5%"
    assert value_of(154, "visit_duration") == exact_value_of(154, "visit_duration") == "2m 34s"


def test_a_day_names_its_year_only_when_it_is_another():
    today = date(2026, 11, 24)
    assert day(date(2026, 11, 11), today=today) == "Nov 11"
    assert day(date(2025, 11, 1), today=today) == "Nov 1, 2025"
    assert days(date(2026, 10, 25), date(2026, 11, 23), today=today) == "Oct 25 – Nov 23"
    assert days(today, today, today=today) == "Nov 24"


def test_a_brand_that_is_not_known_gets_a_tile_with_its_letter():
    assert ">Ä</text>" in brand("älter.example")
    assert "tile-" in brand("...")


def test_a_name_from_outside_is_escaped_in_its_mark():
    assert "<script" not in brand("<script>")
    assert "<b" not in flag("<b>")


def test_every_country_has_its_flag_and_what_is_none_a_globe():
    assert [code for code in COUNTRIES if not (BUILD / "flags" / f"{code.lower()}.svg").exists()] == []
    assert f"flags/{'XK'.lower()}.svg" in flag("XK")
    assert "i-globe" in flag("ZQ")


def test_every_icon_that_a_template_names_is_in_the_sprite():
    sprite = (BUILD / "icons.svg").read_text("utf-8")
    named = set()
    for template in (BUILD.parents[1] / "templates").rglob("*.html"):
        named |= set(re.findall(r'{% icon "([^"]+)"', template.read_text("utf-8")))
    assert named
    assert [name for name in named if f'id="i-{name}"' not in sprite] == []
