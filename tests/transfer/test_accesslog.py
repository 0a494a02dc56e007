from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.transfer.accesslog import Reader

COMBINED = b'203.0.113.9 - mara [17/May/2015:10:05:03 +0200] "GET /a?b=c HTTP/1.1" 200 5120 "https://example.org/" "Mozilla/5.0"'
COMMON = b'203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.0" 304 -'
CADDY = json.dumps(
    {
        "ts": 1431857103.25,
        "request": {
            "remote_ip": "203.0.113.9",
            "method": "GET",
            "host": "example.com",
            "uri": "/a?b=c",
            "headers": {"User-Agent": ["Mozilla/5.0"], "Referer": ["https://example.org/"]},
        },
        "status": 200,
    }
).encode()


def test_a_combined_line_is_read_with_its_zone() -> None:
    request = Reader("combined").read(COMBINED)
    assert request is not None
    assert (request.address, request.method, request.target, request.status) == ("203.0.113.9", "GET", "/a?b=c", 200)
    assert (request.referrer, request.user_agent) == ("https://example.org/", "Mozilla/5.0")
    assert request.at == 1_431_849_903_000


def test_a_common_line_has_no_user_agent_and_says_so() -> None:
    request = Reader("common").read(COMMON)
    assert request is not None
    assert (request.target, request.status, request.user_agent, request.agent_known) == ("/a", 304, "", False)


def test_a_line_of_caddy_is_read() -> None:
    request = Reader("caddy").read(CADDY)
    assert request is not None
    assert (request.at, request.host, request.target) == (1_431_857_103_250, "example.com", "/a?b=c")
    assert (request.referrer, request.user_agent) == ("https://example.org/", "Mozilla/5.0")


@pytest.mark.parametrize(("line", "format"), [(COMBINED, "combined"), (COMMON, "common"), (CADDY, "caddy")])
def test_the_format_is_found_out(line: bytes, format: str) -> None:
    reader = Reader("auto")
    assert reader.read(line) is not None
    assert reader.format == format


@pytest.mark.parametrize("line", [COMBINED, COMMON, CADDY])
def test_the_canonical_form_holds_no_address(line: bytes) -> None:
    other = line.replace(b"203.0.113.9", b"198.51.100.77")
    first, second = Reader("auto").read(line), Reader("auto").read(other)
    assert first is not None
    assert second is not None
    assert first.canonical() == second.canonical()
    assert b"203.0.113.9" not in first.canonical()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"rubbish",
        b"{",
        b'{"ts": "x"}',
        COMBINED[:60],
        COMBINED.replace(b"17/May", b"99/Moo"),
        COMBINED.replace(b" 200 ", b" twohundred "),
    ],
)
def test_a_line_that_is_none_is_refused_and_does_not_raise(line: bytes) -> None:
    assert Reader("auto").read(line) is None


@given(st.binary(max_size=300))
def test_no_bytes_raise(line: bytes) -> None:
    Reader("auto").read(line)
    Reader("combined").read(COMBINED[:50] + line)
