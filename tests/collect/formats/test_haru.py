from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.formats import haru
from haru.collect.formats.haru import InvalidBody


def parsed(**body: object) -> haru.EventBody:
    return haru.parse(json.dumps(body).encode())


def test_the_example_of_the_readme_is_read() -> None:
    body = haru.parse(b'{"p":"/home","r":"https://google.com","sw":1920,"sh":1080}')
    assert (body.p, body.r, body.sw, body.sh) == ("/home", "https://google.com", 1920, 1080)
    assert body.name == "pageview"
    assert haru.props(body) == {}


def test_every_key_of_the_wire_format_is_read() -> None:
    body = parsed(
        p="https://example.com/a?b=c",
        n="Purchase",
        d={"plan": "pro", "seats": 3, "trial": False, "price": 1.5, "none": None},
        **{"$": {"currency": "eur", "amount": "12.50"}},
        i=False,
        h="example.com",
        tz="Europe/Berlin",
        id="order-7",
        unknown={"ignored": [1, 2]},
    )
    assert body.name == "Purchase"
    assert haru.props(body) == {"plan": "pro", "seats": "3", "trial": "false", "price": "1.5"}
    assert body.revenue is not None
    assert body.revenue.currency == "eur"
    assert haru.revenue_amount(body) == "12.50"
    assert (body.i, body.h, body.tz, body.id) == (False, "example.com", "Europe/Berlin", "order-7")


def test_null_is_the_same_as_absent() -> None:
    keys = ("r", "sw", "sh", "n", "d", "$", "e", "sd", "i", "h", "tz", "id")
    assert parsed(p="/", **dict.fromkeys(keys)) == parsed(p="/")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "body: is not JSON"),
        (b"{", "body: is not JSON"),
        (b"\xff\xfe{}", "body: is not UTF-8"),
        (b'{"p":"/\xff"}', "body: is not UTF-8"),
        (b"[]", "body: expected object, got array"),
        (b'"text"', "body: expected object, got str"),
        (b"null", "body: expected object, got null"),
        (b"{}", "p: is required"),
        (b'{"p":null}', "p: expected str, got null"),
        (b'{"p":7}', "p: expected str, got int"),
        (b'{"p":""}', "p: is empty"),
        (b'{"p":"  "}', "p: is empty"),
        (json.dumps({"p": "/" + "x" * 2000}).encode(), "p: is longer than 2,000 bytes"),
        (json.dumps({"p": "/" + "é" * 1000}).encode(), "p: is longer than 2,000 bytes"),
        (b'{"p":"/","sw":"wide"}', "sw: expected int"),
        (b'{"p":"/","sw":-1}', "sw: expected int >= 0"),
        (b'{"p":"/","sw":32768}', "sw: expected int <= 32767"),
        (b'{"p":"/","sw":1e400}', "sw: number out of range"),
        (b'{"p":"/","sh":99999999999999999999999999}', "sh: "),
        (b'{"p":"/","sw":1.5}', "sw: expected int, got float"),
        (b'{"p":"/","n":""}', "n: "),
        (json.dumps({"p": "/", "n": "x" * 121}).encode(), "n: expected str of length <= 120"),
        (b'{"p":"/","d":[]}', "d: expected object"),
        (b'{"p":"/","d":{"a":{}}}', "d: "),
        (b'{"p":"/","d":{"":"x"}}', "d: a key must have"),
        (json.dumps({"p": "/", "d": {str(n): 1 for n in range(31)}}).encode(), "d: expected object of length <= 30"),
        (json.dumps({"p": "/", "d": {"k" * 301: 1}}).encode(), "d: a key must have"),
        (json.dumps({"p": "/", "d": {"k": "v" * 2001}}).encode(), 'd: the value of "k" is longer'),
        (b'{"p":"/","$":{"currency":"EURO","amount":1}}', "$: "),
        (b'{"p":"/","$":{"currency":"EUR"}}', "amount: is required"),
        (b'{"p":"/","$":{"currency":"EUR","amount":"much"}}', "$: amount is not a decimal number"),
        (b'{"p":"/","$":{"currency":"EUR","amount":"NaN"}}', "$: amount must be below"),
        (b'{"p":"/","$":{"currency":"EUR","amount":"1e999"}}', "$: amount must be below"),
        (b'{"p":"/","n":"engagement"}', "e: an engagement event needs"),
        (b'{"p":"/","n":"engagement","e":-5}', "e: expected int >= 0"),
        (b'{"p":"/","n":"engagement","sd":101}', "sd: expected int <= 100"),
        (b'{"p":"/","i":"no"}', "i: expected bool"),
        (json.dumps({"p": "/", "id": "x" * 65}).encode(), "id: expected str of length <= 64"),
        (b"[" * 100_000, "body: "),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_with_its_field(body: bytes, sentence: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        haru.parse(body)
    assert str(refused.value).startswith(sentence)


def test_half_a_surrogate_pair_loses_no_pageview() -> None:
    body = haru.parse(b'{"p":"/a\\ud800b","d":{"k\\udc00":"v\\ud800"}}')
    assert haru.props(body) == {"k\ufffd": "v\ufffd"}
    assert body.p == "/a\ufffdb"


@given(
    st.binary(max_size=300) | st.text(max_size=200).map(lambda text: json.dumps({"p": text, "d": {"k": text}}).encode())
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read = haru.parse(body)
    except InvalidBody as refused:
        field, _, words = str(refused).partition(": ")
        assert field
        assert words
    else:
        assert read.p
        assert all(isinstance(value, str) for value in haru.props(read).values())
