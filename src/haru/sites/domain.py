"""What a person types as the domain of a site → the one form in which it is kept and compared."""

from __future__ import annotations

import ipaddress

import idna

MAX_TEXT = 2_000  # characters: an address that was pasted whole is shorter


class DomainError(ValueError):
    """The text names no domain; the message is a sentence that says what to write."""


def normalise(text: str) -> str:
    """`https://WWW.Bücher.example:8080/about` → `xn--bcher-kva.example`. Raises `DomainError`.

    Lower case, IDNA (UTS 46), without scheme, user, port, path, final dot and `www.`.
    """
    if len(text) > MAX_TEXT:
        raise DomainError(f"That has more than {MAX_TEXT:,} characters: write the domain alone, such as example.com.")
    host = text.strip()
    if not host:
        raise DomainError("Write the domain of the site, such as example.com.")
    host = _host(host)
    if host == "localhost" or _is_ipv4(host):
        return host
    try:
        domain = idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise DomainError(
            f'"{host}" is not a domain: it has letters, digits, hyphens and dots only, such as shop.example.com.'
        ) from None
    if "." not in domain:
        raise DomainError(f'"{host}" is one word: write the whole domain, such as {domain}.com.')
    if domain.rpartition(".")[2].isdigit():
        raise DomainError(f'"{host}" is neither a domain nor an IPv4 address.')
    bare = domain.removeprefix("www.")
    return bare if "." in bare else domain


def _host(text: str) -> str:
    scheme, slashes, rest = text.partition("//")
    if slashes and scheme in {"", "http:", "https:", "HTTP:", "HTTPS:"}:
        text = rest
    for end in "/?#\\":
        text = text.partition(end)[0]
    text = text.rpartition("@")[2]
    name, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        text = name
    host = text.removesuffix(".").lower()
    if not host:
        raise DomainError("There is no domain in that: write it as example.com.")
    if host.startswith("["):
        raise DomainError("A site cannot be an IPv6 address: write its domain, such as example.com.")
    return host


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
