from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.address import asker, client_address, grouped, is_loopback

TRUSTED = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "::1/128", "2001:db8:ffff::/48")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's word
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the left is the client's own word
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),  # two proxies
        ("10.0.0.1", "rubbish", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:ffff::1", "2001:db8::2", "2001:db8::2"),
        ("::1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_right_most_entry_that_no_trusted_proxy_added(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


def test_without_trusted_proxies_the_client_is_the_peer() -> None:
    assert client_address("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"


def test_ipv6_is_grouped_by_its_network_and_ipv4_is_not() -> None:
    assert grouped("203.0.113.9") == socket.inet_aton("203.0.113.9")
    assert grouped("2001:db8:1:2:3:4:5:6") == grouped("2001:db8:1:2::1")
    assert grouped("2001:db8:1:2::1") != grouped("2001:db8:1:3::1")
    assert grouped("::ffff:203.0.113.9") == grouped("203.0.113.9")
    assert grouped("fe80::1%eth0") == grouped("fe80::2")
    assert grouped("no address") == b""


@given(st.text(max_size=40), st.text(max_size=80))
def test_no_header_raises(peer: str, forwarded: str) -> None:
    client_address(peer, forwarded, TRUSTED)
    grouped(forwarded)


def test_who_asks_for_a_page_is_found_by_the_same_rule() -> None:
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1, 198.51.100.1"}
    assert asker(meta, TRUSTED) == client_address("10.0.0.1", "192.0.2.1, 198.51.100.1", TRUSTED) == "198.51.100.1"
    assert asker(meta, ()) == "10.0.0.1"
    assert asker({}, TRUSTED) == ""


@pytest.mark.parametrize(
    "host", ["localhost", "haru.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_a_loopback_host_is_this_machine_to_itself(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "mylocalhost", "1.0.0.127"])
def test_every_other_host_can_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)
