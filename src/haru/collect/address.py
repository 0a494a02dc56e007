"""Whose address a request has, and which part of it tells visitors apart."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from haru.settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=16_384)
def parsed(text: str) -> Address | None:
    """The address in a text, with brackets, port or zone id taken off; IPv6 that wraps IPv4 becomes IPv4."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=16_384)
def _plain(text: str) -> str:
    address = parsed(text)
    return text if address is None else str(address)


@lru_cache(maxsize=16_384)
def grouped(address: str) -> bytes:
    """What visitors are told apart and limited by: a packed IPv4 address, or the /64 network of an IPv6 one.

    Privacy extensions change the other half of an IPv6 address daily or faster. b"" when the text is no address.
    """
    found = parsed(address)
    if found is None:
        return b""
    return found.packed if found.version == 4 else found.packed[:8]


def client_address(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """The address of the client: the right-most entry of X-Forwarded-For that no trusted proxy added, else the peer's.

    Everything left of that entry is the client's own word. An entry that is no address ends the chain of belief: the
    last proxy that was believed is then the client.
    """
    if not trusted:
        return _plain(peer)
    believed = parsed(peer)
    if believed is None:
        return peer
    entries = forwarded_for.split(",") if forwarded_for else []
    while entries and is_trusted(believed, trusted):
        entry = parsed(entries.pop())
        if entry is None:
            break
        believed = entry
    return str(believed)


def asker(meta: Mapping[str, Any], trusted: tuple[Network, ...]) -> str:
    """The address of the client of a page, whose headers are as WSGI has them; "" when it is not known."""
    return client_address(str(meta.get("REMOTE_ADDR", "")), str(meta.get("HTTP_X_FORWARDED_FOR", "")), trusted)


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address, is this machine to itself: `localhost` and all below it too (RFC 6761)."""
    address = parsed(host)
    return host == "localhost" or host.endswith(".localhost") if address is None else address.is_loopback


def is_trusted(address: Address, trusted: tuple[Network, ...]) -> bool:
    """Whether the address is one of the trusted proxies'."""
    return any(address.version == network.version and address in network for network in trusted)
