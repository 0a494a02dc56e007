"""The description of the collect endpoint says each limit that the format keeps."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from haru.collect.formats import haru
from haru.collect.openapi import document

DAY_MS = 24 * 60 * 60 * 1000

DOCUMENT = document()
CONTENT = DOCUMENT["paths"]["/api/collect"]["post"]["requestBody"]["content"]
COMPONENTS = {"components": DOCUMENT["components"]}
BODY = DOCUMENT["components"]["schemas"]["EventBody"]


def is_taken(body: dict[str, Any]) -> bool:
    try:
        haru.parse(json.dumps(body).encode())
    except haru.InvalidBody:
        return False
    return True


def revenue(**of: object) -> dict[str, Any]:
    return {"$": {"currency": "EUR", "amount": 1, **of}}


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ({}, {"p": None}),
        ({}, {"p": 7}),
        ({}, {"p": ""}),
        ({"p": "/" + "x" * 1999}, {"p": "/" + "x" * 2000}),
        ({"n": "x"}, {"n": ""}),
        ({"n": "x" * 120}, {"n": "x" * 121}),
        ({"r": "x" * 5000}, {"r": 1}),
        ({"sw": 0, "sh": 0}, {"sw": -1}),
        ({"sw": 32_767, "sh": 32_767}, {"sh": 32_768}),
        ({"sw": 1}, {"sw": 1.5}),
        ({"h": "x" * 253}, {"h": "x" * 254}),
        ({"tz": "x" * 5000}, {"tz": ["x"]}),
        ({"id": "x" * 64}, {"id": "x" * 65}),
        ({"i": False}, {"i": 0}),
        ({"e": 0}, {"e": -1}),
        ({"e": DAY_MS}, {"e": DAY_MS + 1}),
        ({"sd": 0}, {"sd": -1}),
        ({"sd": 100}, {"sd": 101}),
        ({"d": {str(n): n for n in range(30)}}, {"d": {str(n): n for n in range(31)}}),
        ({"d": {"k": "a", "l": 1, "m": 1.5, "n": True, "o": None}}, {"d": {"k": {}}}),
        ({"d": {"k": 1}}, {"d": {"": 1}}),
        ({"d": {"k" * 300: 1}}, {"d": {"k" * 301: 1}}),
        ({"d": {"k": "v" * 2000}}, {"d": {"k": "v" * 2001}}),
        (revenue(), revenue(currency="EURO")),
        (revenue(currency="eur"), revenue(currency="E1R")),
        (revenue(amount="12.50"), revenue(amount=True)),
        (revenue(), {"$": {"currency": "EUR"}}),
        ({"unknown": [1]}, {"d": []}),
        (dict.fromkeys(["r", "sw", "sh", "n", "d", "$", "e", "sd", "i", "h", "tz", "id"]), {"$": 1}),
    ],
)
def test_each_limit_of_a_body_is_described(within: dict[str, Any], beyond: dict[str, Any]) -> None:
    described = jsonschema_rs.Draft202012Validator({**CONTENT["application/json"]["schema"], **COMPONENTS})
    for body, taken in (({"p": "/", **within}, True), ({"p": "/", **beyond}, False)):
        assert is_taken(body) is taken
        assert described.is_valid(body) is taken, f"{'refuses' if taken else 'takes'} {body}"


def test_each_key_is_described_in_words() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(haru.EventBody)}
    assert set(BODY["properties"]) == keys
    assert all(key["description"].endswith(".") for key in BODY["properties"].values())
    assert BODY["required"] == ["p"]
