from __future__ import annotations

import pytest

from haru.sites.domain import DomainError, normalise


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("example.com", "example.com"),
        ("  Example.COM ", "example.com"),
        ("https://www.example.com/about?x=1#top", "example.com"),
        ("//example.com/", "example.com"),
        ("http://someone:secret@shop.example.com:8080/", "shop.example.com"),
        ("example.com:4000", "example.com"),
        ("example.com.", "example.com"),
        ("www.example.com", "example.com"),
        ("www2.example.com", "www2.example.com"),
        ("www.com", "www.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("localhost", "localhost"),
        ("localhost:3000", "localhost"),
        ("192.168.1.5:8000", "192.168.1.5"),
    ],
)
def test_a_domain_is_kept_in_one_form(typed, kept):
    assert normalise(typed) == kept


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "such as example.com"),
        ("   ", "such as example.com"),
        ("https://", "no domain in that"),
        ("intranet", "write the whole domain"),
        ("exa mple.com", "letters, digits, hyphens"),
        ("under_score.com", "letters, digits, hyphens"),
        ("-example.com", "letters, digits, hyphens"),
        ("example..com", "letters, digits, hyphens"),
        ("a" * 64 + ".com", "letters, digits, hyphens"),
        (".".join(["abcdefgh"] * 40), "letters, digits, hyphens"),
        ("http://[::1]:4000/", "IPv6"),
        ("1.2.3.400", "neither a domain nor an IPv4 address"),
        ("<script>.com", "letters, digits, hyphens"),
        ("\x00.com", "letters, digits, hyphens"),
    ],
)
def test_what_is_no_domain_gets_a_sentence(typed, says):
    with pytest.raises(DomainError, match=says):
        normalise(typed)


@pytest.mark.parametrize("typed", ["https://www.Example.com/x", "bücher.example", "localhost:1", "www.com"])
def test_a_kept_domain_stays_as_it_is(typed):
    assert normalise(normalise(typed)) == normalise(typed)
