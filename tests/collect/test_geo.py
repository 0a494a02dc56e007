from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from haru.collect.geo import NOWHERE, Geo, Place, country_of_timezone, place, valid_country
from haru.settings import BadSetting


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BY"}], "city": {"geoname_id": 2867714}},
            Place("DE", "DE-BY", 2867714),
        ),
        ({"country": {"iso_code": "FR"}}, Place("FR")),
        ({"country_code": "US", "region_code": "CA", "geoname_id": 5391959}, Place("US", "US-CA", 5391959)),
        ({"country": "JP"}, Place("JP")),
        ({"country": {"iso_code": "XX"}}, NOWHERE),
        ({"country": ["DE"], "city": "Bonn"}, NOWHERE),
        ({}, NOWHERE),
    ],
)
def test_nested_and_flat_records_tell_a_place(record: dict[str, Any], expected: Place) -> None:
    assert place(record) == expected


def metadata_of(records: bytes, tree: bytes, nodes: int) -> bytes:
    def text(value: str) -> bytes:
        return bytes([0x40 | len(value)]) + value.encode()

    def number(value: int) -> bytes:
        return b"\xc4" + value.to_bytes(4, "big")

    fields = {
        "binary_format_major_version": b"\xa1\x02",
        "binary_format_minor_version": b"\xa1\x00",
        "build_epoch": b"\x04\x02\x60\x00\x00\x00",
        "database_type": text("Test"),
        "description": b"\xe0",
        "ip_version": b"\xa1\x04",
        "languages": b"\x00\x04",
        "node_count": number(nodes),
        "record_size": b"\xa1\x18",
    }
    body = bytes([0xE0 | len(fields)]) + b"".join(
        (bytes([0x40 | len(k)]) + k.encode() if len(k) < 29 else b"\x5d" + bytes([len(k) - 29]) + k.encode()) + v
        for k, v in fields.items()
    )
    return tree + b"\0" * 16 + records + b"\xab\xcd\xefMaxMind.com" + body


def test_a_database_of_addresses_is_asked(tmp_path: Path) -> None:
    # One node of the search tree: addresses that begin with a 0 bit have the record, the others have none.
    record = b"\xe1\x47country\xe1\x48iso_code\x42SE"
    tree = (1 + 16).to_bytes(3, "big") + (1).to_bytes(3, "big")
    path = tmp_path / "places.mmdb"
    path.write_bytes(metadata_of(record, tree, 1))
    geo = Geo(path)
    assert geo.locate("81.2.69.142") == Place("SE")
    assert geo.locate("203.0.113.9") == NOWHERE
    assert geo.locate("no address") == NOWHERE
    assert geo.locate("2001:db8::1") == NOWHERE


def test_a_file_that_is_no_database_is_refused_with_the_settings_name(tmp_path: Path) -> None:
    path = tmp_path / "places.mmdb"
    path.write_text("nothing of the kind")
    with pytest.raises(BadSetting, match="HARU_GEOIP_DB"):
        Geo(path)


def test_without_a_database_no_address_has_a_place() -> None:
    assert Geo(None).locate("81.2.69.142") == NOWHERE


def test_a_time_zone_names_a_country() -> None:
    expected = {
        "Europe/Berlin": "DE", "Europe/Oslo": "NO", "Asia/Calcutta": "IN", "Europe/Kiev": "UA", "America/New_York": "US",
        "Asia/Kathmandu": "NP", "UTC": "", "Etc/GMT+5": "", "Mars/Olympus": "", "": "",
    }  # fmt: skip
    assert {zone: country_of_timezone(zone) for zone in expected} == expected


def test_a_country_is_two_letters_of_the_list() -> None:
    assert [valid_country(text) for text in ("de", " US ", "xk", "XX", "T1", "", "Germany")] == [
        "DE", "US", "XK", "", "", "", ""
    ]  # fmt: skip
