from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.address import parsed
from haru.collect.exclusions import (
    MAX_PAGES,
    BadRules,
    Exclusions,
    hostname,
    network_of,
    read_address,
    read_country,
    read_hostname,
    read_page,
    read_rules,
)


def test_without_a_rule_there_is_nothing_to_ask() -> None:
    none = Exclusions()
    assert not none
    assert not none.has_address("203.0.113.9")
    assert not none.has_page("/")
    assert not none.has_hostname("copy.example")
    for one in (
        Exclusions(addresses=["203.0.113.9"]),
        Exclusions(countries=["DE"]),
        Exclusions(pages=["/admin"]),
        Exclusions(hostnames=["example.com"]),
        Exclusions(honour_opt_out=True),
    ):
        assert one


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("203.0.113.9", ["203.0.113.9", "::ffff:203.0.113.9"], ["203.0.113.8", "203.0.113.10", "2001:db8::1"]),
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
        ("192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127"]),
        ("2001:db8:1:2::/64", ["2001:db8:1:2::1", "2001:DB8:1:2:ffff::9"], ["2001:db8:1:3::1", "203.0.113.9"]),
        ("::1", ["::1", "[::1]:4000"], ["::2", "0.0.0.1"]),
        ("::ffff:198.51.100.0/120", ["198.51.100.7"], ["198.51.101.7"]),
    ],
)
def test_an_address_is_inside_a_network_or_outside(rule: str, inside: list[str], outside: list[str]) -> None:
    rules = Exclusions(addresses=[read_address(rule), "172.16.0.0/12"])
    assert [address for address in inside if not rules.has_address(address)] == []
    assert [address for address in [*outside, "", "unknown"] if rules.has_address(address)] == []


@given(st.lists(st.ip_addresses(v=4), min_size=1, max_size=20), st.integers(1, 32), st.ip_addresses(v=4))
def test_the_quick_answer_is_that_of_the_standard_library(networks: list, prefix: int, address) -> None:  # type: ignore[type-arg, no-untyped-def]
    import ipaddress

    written = [ipaddress.ip_network((network, prefix), strict=False) for network in networks]
    rules = Exclusions(addresses=map(str, written))
    assert rules.has_address(str(address)) is any(address in network for network in written)
    assert rules.has_address(str(networks[0]))


def test_a_rule_that_another_version_wrote_leaves_the_others_in_force() -> None:
    rules = Exclusions(addresses=["office", "203.0.113.9"])
    assert rules.has_address("203.0.113.9")


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/admin", ["/admin"], ["/admin/", "/Admin", "/x/admin", "/admin2", "/"]),
        ("/admin/*", ["/admin/users", "/admin/"], ["/admin", "/admin/users/1"]),
        ("/admin/**", ["/admin/", "/admin/users/1", "/admin/a\nb"], ["/admin", "/administration/x"]),
        ("/*/preview", ["/post/preview", "//preview"], ["/a/b/preview", "/post/preview/"]),
        ("/**/preview", ["/a/b/preview", "/post/preview"], ["/preview", "/a/preview.html"]),
        ("/blog/*-draft.html", ["/blog/one-draft.html"], ["/blog/a/one-draft.html", "/blog/one-draftXhtml"]),
        ("/a(b)[c].*", ["/a(b)[c].d"], ["/ab", "/a(b)[c]xd"]),
        ("/#/inbox/**", ["/#/inbox/1"], ["/#/outbox/1"]),
        ("/日本*", ["/日本語"], ["/日本語/ページ"]),
        ("/", ["/"], ["/a"]),
        ("/**", ["/", "/a/b"], []),
    ],
)
def test_a_pattern_is_for_the_whole_path(pattern: str, inside: list[str], outside: list[str]) -> None:
    rules = Exclusions(pages=[read_page(pattern), "/never|/asked"])
    assert [path for path in inside if not rules.has_page(path)] == []
    assert [path for path in outside if rules.has_page(path)] == []


@pytest.mark.parametrize(
    ("allowed", "counted", "refused"),
    [
        (["example.com"], ["example.com", "EXAMPLE.com", "example.com.", "example.com:8080", ""], ["www.example.com"]),
        (["*.example.com"], ["www.example.com", "a.b.example.com"], ["example.com", "notexample.com"]),
        (["example.com", "*.example.com"], ["example.com", "a.example.com"], ["example.org", "example.com.evil.test"]),
        (["*.bücher.example"], ["shop.bücher.example", "shop.xn--bcher-kva.example"], ["bücher.example"]),
        (["localhost"], ["localhost:3000"], ["127.0.0.1"]),
        ([], ["example.com", "anything"], []),
    ],
)
def test_where_host_names_are_listed_others_are_not_counted(
    allowed: list[str], counted: list[str], refused: list[str]
) -> None:
    rules = Exclusions(hostnames=map(read_hostname, allowed))
    assert [host for host in counted if rules.has_hostname(host)] == []
    assert [host for host in refused if not rules.has_hostname(host)] == []


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (read_address, "10.0.0.0/99", '"10.0.0.0/99" is neither an address nor a network'),
        (read_address, "office", '"office" is neither an address nor a network'),
        (read_address, "fe80::1%eth0", "neither an address nor a network"),
        (read_address, "0.0.0.0/0", "every address there is"),
        (read_address, "::/0", "every address there is"),
        (read_country, "XX", '"XX" is not the code of a country'),
        (read_country, "germany", "write DE"),
        (read_page, "admin/*", "begin it with a slash"),
        (read_page, "https://example.com/admin", "begin it with a slash"),
        (read_page, "/a/***", "more than two stars in a row"),
        (read_page, "/" + "x" * 500, "longer than 500 characters"),
        (read_page, "/*a*a*a*a*a*a*", "more than 6 places with stars"),
        (read_hostname, "https://example.com", "is no host name"),
        (read_hostname, "*", "is no host name"),
        (read_hostname, "www.*.com", "is no host name"),
        (read_hostname, "exa mple.com", "is no host name"),
    ],
)
def test_a_rule_that_cannot_be_is_named_in_a_sentence(read, text: str, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadRules) as bad:
        read(text)
    (sentence,) = bad.value.sentences
    assert says in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("read", "text", "kept"),
    [
        (read_address, "192.0.2.9/24", "192.0.2.0/24"),
        (read_address, "192.0.2.9/32", "192.0.2.9"),
        (read_address, "2001:DB8:0:0::1", "2001:db8::1"),
        (read_country, "de", "DE"),
        (read_hostname, "WWW.Example.com", "www.example.com"),
        (read_hostname, "*.Bücher.example", "*.xn--bcher-kva.example"),
        (read_page, "/Blog/*", "/Blog/*"),
    ],
)
def test_a_rule_is_kept_in_one_form(read, text: str, kept: str) -> None:  # type: ignore[no-untyped-def]
    assert read(text) == kept


def test_rules_are_read_once_each_and_every_bad_one_is_named() -> None:
    assert read_rules("excluded_addresses", ["", " 10.1.0.0/8 ", "10.0.0.0/8", "::1"]) == ["10.0.0.0/8", "::1"]
    with pytest.raises(BadRules) as bad:
        read_rules("excluded_addresses", ["10.0.0.1", "one", "two"])
    assert [sentence.split(" ")[0] for sentence in bad.value.sentences] == ['"one"', '"two"']
    with pytest.raises(BadRules, match=r"^These are 101: at most 100 are possible\.$"):
        read_rules("excluded_pages", [f"/{n}" for n in range(MAX_PAGES + 1)])


@given(st.text(max_size=80))
def test_no_text_does_harm(text: str) -> None:
    for read in (read_address, read_country, read_page, read_hostname):
        try:
            kept = read(text)
        except BadRules:
            continue
        assert read(kept) == kept
    hostname(text)
    rules = Exclusions(addresses=["10.0.0.0/8"], pages=["/x/**"], hostnames=["example.com"])
    rules.has_address(text)
    assert rules.has_hostname(text) or not text or hostname(text) in {"example.com", ""}


def test_a_persons_own_address_is_one_of_ipv4_or_a_network_of_ipv6() -> None:
    for address, rule in [("203.0.113.9", "203.0.113.9"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]:
        found = parsed(address)
        assert found is not None
        assert network_of(found) == rule == read_address(rule)
        assert Exclusions(addresses=[rule]).has_address(address)
