"""Who visits in this proof: addresses that are known, so that they can be looked for, and as many that never visit."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CHOSEN_V4 = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "100.100.200.0/22", "172.23.187.0/24"]
CHOSEN_V6 = ["2001:db8::/32", "2a02:8109::/32", "2600:1f18::/32", "fd5a:b1c7::/32"]


def visitors(seed: int) -> Iterator[tuple[ipaddress.IPv4Address, ipaddress.IPv6Address]]:
    """Endless pairs. No two share an IPv4 address or a /64 network, those of an even and of an odd seed included."""
    chance = random.Random(seed)
    chosen = [
        network[host] for network in map(ipaddress.IPv4Network, CHOSEN_V4) for host in range(1 + seed % 2, 250, 2)
    ]
    chance.shuffle(chosen)
    taken: set[Address] = set()
    for number in range(2**31):
        v4 = chosen.pop() if chosen and number % 4 == 0 else _anywhere(chance, seed)
        network = ipaddress.IPv6Network(CHOSEN_V6[number % len(CHOSEN_V6)])
        subnet = chance.getrandbits(32) & ~1 | (seed % 2)
        v6 = ipaddress.IPv6Address(int(network[0]) | subnet << 64 | chance.getrandbits(64))
        if v4 not in taken and network_of(v6) not in taken:
            taken |= {v4, network_of(v6)}
            yield v4, v6


def _anywhere(chance: random.Random, seed: int) -> ipaddress.IPv4Address:
    """An address of the whole space whose four bytes are neither plain text nor a small number: those are everywhere."""
    while True:
        packed = bytes([chance.randint(1, 223), chance.randint(1, 255), chance.randint(1, 255), 0])
        packed = packed[:3] + bytes([2 * chance.randint(1, 126) + seed % 2])
        if sum(byte >= 0x80 for byte in packed) >= 2:
            return ipaddress.IPv4Address(packed)


def network_of(address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """The first address of the /64 network, by which Haru groups."""
    return ipaddress.IPv6Address(address.packed[:8] + bytes(8))
