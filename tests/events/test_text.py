from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.events.text import is_storable, one_line, plain, storable


@pytest.mark.parametrize("code", [0, 0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_a_sign_that_no_store_takes_is_replaced(code: int) -> None:
    sign = chr(code)
    assert not is_storable(f"/a{sign}b")
    assert storable(f"/a{sign}b") == "/a\ufffdb"


@pytest.mark.parametrize("sign", ["\x01", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff"])
def test_every_other_sign_stays(sign: str) -> None:
    assert is_storable(sign)
    assert storable(sign) == sign


@given(st.text(st.characters()))
def test_what_was_mended_is_storable_and_as_long(text: str) -> None:
    assert is_storable(storable(text))
    assert len(storable(text)) == len(text)
    storable(text).encode()


@pytest.mark.parametrize("sign", ["\x1b", "\x7f", "\u202e", "\u2028", "\ufeff"])
def test_a_command_to_a_terminal_is_written_as_an_escape(sign: str) -> None:
    assert plain(f"a{sign}b") == one_line(f"a{sign}b") == f"a\\u{ord(sign):04x}b"


def test_only_a_text_of_one_line_loses_its_ends_of_lines() -> None:
    assert plain("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb") == "a\\u000a\\u0009b"
