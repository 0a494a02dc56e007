"""What the owner of a site does not want counted: how it is written, checked once, and compiled for fast answers.

A rule is kept as text, in its one canonical form. `read_*` gives that form of what a person wrote; the pages, the
command line and the steps of the pipeline thus agree on what a rule means.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import idna

from haru import patterns
from haru.collect.address import Address, parsed
from haru.events.countries import COUNTRIES
from haru.settings import Network

log = logging.getLogger(__name__)

MAX_ADDRESSES = 500
MAX_COUNTRIES = 300  # more than there are
MAX_PAGES = 100
MAX_HOSTNAMES = 100
MAX_PATTERN = 500  # characters
# The time to match a path grows with the stars: 100 patterns of 6 stars, as badly chosen as can be, take 10 ms a page,
# usual ones 2 µs.
MAX_STARS = 6

_HOSTNAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


class BadRules(ValueError):
    """Rules that cannot be used. `sentences` has one for each, which names it and says what to write."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = list(sentences)


def read_address(text: str) -> str:
    """An address or network: `192.0.2.9/24` → `192.0.2.0/24`. Raises `BadRules`."""
    try:
        network = _network(text)
    except ValueError:
        raise BadRules([f'"{text}" is neither an address nor a network: write 203.0.113.9 or 10.0.0.0/8.']) from None
    if network.prefixlen == 0:
        raise BadRules([f'"{text}" is every address there is: nothing would be counted any more.'])
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def read_country(text: str) -> str:
    """A country's ISO 3166-1 code in capitals. Raises `BadRules`."""
    if text.upper() not in COUNTRIES:
        code = next((code for code, name in COUNTRIES.items() if name.lower() == text.lower()), "")
        raise BadRules([f'"{text}" is not the code of a country: write {code or "two letters such as DE"}.'])
    return text.upper()


def read_page(text: str) -> str:
    """A pattern for the whole path of a page, as `haru.patterns` has it. Raises `BadRules`."""
    if not text.startswith("/"):
        raise BadRules([f'"{_short(text)}" is no path: begin it with a slash, such as /admin/**.'])
    if "***" in text:
        raise BadRules([f'"{_short(text)}" has more than two stars in a row: write * or **.'])
    if len(text) > MAX_PATTERN:
        raise BadRules([f'"{_short(text)}" is longer than {MAX_PATTERN} characters.'])
    if patterns.stars(text) > MAX_STARS:
        raise BadRules([f'"{_short(text)}" has more than {MAX_STARS} places with stars: use ** for the rest.'])
    return text


def read_hostname(text: str) -> str:
    """A host name, or `*.` and one for all below it: `*.Bücher.example` → `*.xn--bcher-kva.example`. `BadRules`."""
    star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    host = star + hostname(name)
    if not _HOSTNAME.fullmatch(host) or len(host) > 253:
        raise BadRules([f'"{_short(text)}" is no host name: write www.example.com, or *.example.com for all below it.'])
    return host


# For each list of rules, by its name as a field of a site: how one is read, and how many there may be.
RULES: dict[str, tuple[Callable[[str], str], int]] = {
    "excluded_addresses": (read_address, MAX_ADDRESSES),
    "excluded_countries": (read_country, MAX_COUNTRIES),
    "excluded_pages": (read_page, MAX_PAGES),
    "allowed_hostnames": (read_hostname, MAX_HOSTNAMES),
}


def read_rules(name: str, rules: Iterable[str]) -> list[str]:
    """A list of `RULES` in canonical form, each once, in the order given, without empty ones. Raises `BadRules`."""
    read, most = RULES[name]
    found: dict[str, None] = {}
    sentences: list[str] = []
    for text in filter(None, map(str.strip, rules)):
        try:
            found[read(text)] = None
        except BadRules as error:
            sentences += error.sentences
    if len(found) + len(sentences) > most:
        sentences = [f"These are {len(found) + len(sentences):,}: at most {most} are possible."]
    if sentences:
        raise BadRules(sentences[:5])
    return list(found)


@lru_cache(maxsize=4096)
def hostname(text: str) -> str:
    """A host name as it is compared: lower case, IDNA, without port and final dot. What is none stays as it is."""
    name, colon, port = text.strip().lower().rpartition(":")
    host = (name if colon and port.isdigit() else text.strip().lower()).rstrip(".")
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host


class Exclusions:
    """The rules of one site, compiled. Made once for each state of the site's settings, never for each hit."""

    def __init__(
        self,
        addresses: Iterable[str] = (),
        countries: Iterable[str] = (),
        pages: Iterable[str] = (),
        hostnames: Iterable[str] = (),
        honour_opt_out: bool = False,
    ) -> None:
        self.countries = frozenset(countries)
        self.honour_opt_out = honour_opt_out
        self._networks = _by_prefix(addresses)
        pages = tuple(pages)
        self._is_page = patterns.pages(pages) if pages else None
        hostnames = tuple(hostnames)
        self._hosts = frozenset(name for name in hostnames if not name.startswith("*."))
        self._above = tuple(name[1:] for name in hostnames if name.startswith("*."))
        self._limits_hosts = bool(hostnames)

    def __bool__(self) -> bool:
        """Whether there is any rule at all."""
        return bool(
            self.countries or self.honour_opt_out or self._networks or self._is_page is not None or self._limits_hosts
        )

    def has_address(self, address: str) -> bool:
        """Whether an address is excluded. What is no address is not."""
        if not self._networks:
            return False
        found = parsed(address)
        if found is None:
            return False
        number, version = int(found), found.version
        return any(number >> shift in starts for of, shift, starts in self._networks if of == version)

    def has_page(self, path: str) -> bool:
        """Whether a page is excluded by its path."""
        return self._is_page is not None and self._is_page(path)

    def has_hostname(self, host: str) -> bool:
        """Whether hits of a host are excluded, as it is not among those that are allowed. A hit without one is not."""
        if not self._limits_hosts or not host:
            return False
        host = hostname(host)
        return host not in self._hosts and not host.endswith(self._above)


def _network(text: str) -> Network:
    """The network in a text; IPv6 that wraps IPv4 becomes IPv4, as `address.parsed` has it. Raises ValueError."""
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network):
        if getattr(network.network_address, "scope_id", None):
            raise ValueError("an address with a zone means nothing on another machine")
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _by_prefix(addresses: Iterable[str]) -> tuple[tuple[int, int, frozenset[int]], ...]:
    """(version, bits to shift an address by, what is left of those excluded): one look-up for each prefix length."""
    found: dict[tuple[int, int], set[int]] = {}
    for text in addresses:
        try:
            network = _network(text)
        except ValueError:  # the file is written by a Haru of another version, or by hand: the other rules still hold
            log.error("exclusion_unreadable", extra={"remedy": "save the site's settings again"})
            continue
        shift = network.max_prefixlen - network.prefixlen
        found.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    return tuple((version, shift, frozenset(starts)) for (version, shift), starts in found.items())


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def network_of(address: Address) -> str:
    """What to exclude so that a person's own visits are not counted: the IPv4 address, or the /64 network of an IPv6.

    Devices change the other half of an IPv6 address by themselves, daily or faster.
    """
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
