"""Access logs of web servers: one line becomes one `Request`, or None when it cannot be read.

Three formats, each a function from the bytes of a line to a `Request`: Apache's and nginx's `combined`, their `common`
(the same without referrer and user agent), and Caddy's JSON. `Reader` finds out which one a log is written in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

import msgspec


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request as a web server logged it. Text the log does not have is "".

    `agent_known` is false where the format has no user agent at all, so that its absence says nothing of the caller.
    """

    at: int  # milliseconds since 1970 in UTC
    address: str
    method: str  # "" when the request line is not HTTP
    target: str  # path and query as asked for, or whatever stood in the request line
    status: int
    referrer: str = ""
    user_agent: str = ""
    agent_known: bool = True
    host: str = ""  # lower case, without port
    language: str = ""  # Accept-Language

    def canonical(self) -> bytes:
        """What makes this line this line, without the client's address: no digest of it leads back to an address."""
        fields = (self.method, self.target, self.referrer, self.user_agent)
        lengths = " ".join([str(len(field)) for field in fields])
        return f"{self.at} {self.status} {lengths} {''.join(fields)}".encode("utf-8", "surrogatepass")


Parser = Callable[[bytes], Request | None]

# A quoted field may hold \" and \\ ; the possessive quantifiers keep a malformed line from being tried in every way.
_QUOTED = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_COMMON = (
    rb"(\S+) \S+ .*?"  # address, identity, user (which may hold spaces)
    rb"\[(\d\d/[A-Z][a-z]{2}/\d{4}):([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60) ([+-]\d{4})\] "
    + _QUOTED
    + rb" (\d{3}) (?:\d+|-)"
)
_COMMON_LINE = re.compile(_COMMON + rb"\s*")
# Servers are often told to write more after the user agent (a duration, a forwarded address): it is not read.
_COMBINED_LINE = re.compile(_COMMON + rb" " + _QUOTED + rb" " + _QUOTED + rb"(?:\s.*)?", re.DOTALL)

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"v": b"\v", b"f": b"\f"}
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}


def combined(line: bytes) -> Request | None:
    """A line of Apache's or nginx's combined format."""
    match = _COMBINED_LINE.fullmatch(line)
    if match is None:
        return None
    *common, referrer, user_agent = match.groups()
    return _request(*common, referrer=_field(referrer), user_agent=_field(user_agent), agent_known=True)


def common(line: bytes) -> Request | None:
    """A line of the common log format: nothing is known of the referrer and of the user agent."""
    match = _COMMON_LINE.fullmatch(line)
    return None if match is None else _request(*match.groups(), referrer="", user_agent="", agent_known=False)


def _request(
    address: bytes,
    date: bytes,
    hour: bytes,
    minute: bytes,
    second: bytes,
    zone: bytes,
    request: bytes,
    status: bytes,
    *,
    referrer: str,
    user_agent: str,
    agent_known: bool,
) -> Request | None:
    midnight = _midnight(date, zone)
    if midnight is None:
        return None
    method, target = _request_line(_text(request))
    return Request(
        at=midnight + (int(hour) * 3600 + int(minute) * 60 + int(second)) * 1000,
        address=address.decode("ascii", "replace"),
        method=method,
        target=target,
        status=int(status),
        referrer=referrer,
        user_agent=user_agent,
        agent_known=agent_known,
    )


@lru_cache(maxsize=1024)
def _midnight(date: bytes, zone: bytes) -> int | None:
    """Milliseconds UTC of the local midnight that began a day such as 17/May/2015 in an offset such as +0200."""
    day, month, year = date.split(b"/")
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    try:
        midnight = datetime(
            int(year), _MONTHS[month], int(day), tzinfo=timezone(-offset if zone.startswith(b"-") else offset)
        )
    except (KeyError, ValueError):
        return None
    return int(midnight.timestamp()) * 1000


def _request_line(text: str) -> tuple[str, str]:
    """Method and target of `GET /a HTTP/1.1`; ("", text) for what is no HTTP request, such as a TLS greeting."""
    method, _, rest = text.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        target = rest  # HTTP/0.9 has no version
    if not (method.isascii() and method.isalpha() and target):
        return "", text
    return method, target


@lru_cache(maxsize=16_384)
def _field(raw: bytes) -> str:
    """A quoted field as text; servers write "-" for one that was not sent."""
    return "" if raw == b"-" else _text(raw)


def _text(raw: bytes) -> str:
    r"""Bytes of a quoted field as text: \" and \xHH undone, then UTF-8, else Latin-1 (which can read any byte)."""
    if b"\\" in raw:
        raw = _ESCAPE.sub(_unescape, raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unescape(match: re.Match[bytes]) -> bytes:
    digits, single = match.groups()
    if digits is not None:
        return bytes([int(digits, 16)])
    return _CONTROLS.get(single, single)


class _CaddyHeaders(msgspec.Struct, gc=False):
    agent: list[str] = msgspec.field(name="User-Agent", default_factory=list)
    referrer: list[str] = msgspec.field(name="Referer", default_factory=list)
    language: list[str] = msgspec.field(name="Accept-Language", default_factory=list)


class _CaddyRequest(msgspec.Struct, gc=False):
    method: str
    uri: str
    host: str = ""
    client_ip: str = ""  # since Caddy 2.7: with trusted proxies taken into account
    remote_ip: str = ""
    remote_addr: str = ""  # before Caddy 2.5: with the port
    headers: _CaddyHeaders = msgspec.field(default_factory=_CaddyHeaders)


class _CaddyLine(msgspec.Struct, gc=False):
    ts: float | str
    status: int
    request: _CaddyRequest


_caddy_decoder = msgspec.json.Decoder(_CaddyLine)


def caddy(line: bytes) -> Request | None:
    """A line of Caddy's JSON access log. Other lines of the same log (starts, errors) are None."""
    try:
        entry = _caddy_decoder.decode(line)
    except UnicodeDecodeError:
        return caddy(line.decode("utf-8", "replace").encode())
    except msgspec.MsgspecError:
        return None
    at = _instant(entry.ts)
    if at is None:
        return None
    request, headers = entry.request, entry.request.headers
    return Request(
        at=at,
        address=request.client_ip or request.remote_ip or request.remote_addr.rpartition(":")[0].strip("[]"),
        method=request.method,
        target=request.uri,
        status=entry.status,
        referrer=_first(headers.referrer),
        user_agent=_first(headers.agent),
        host=_host(request.host),
        language=_first(headers.language),
    )


def _first(values: list[str]) -> str:
    return values[0] if values else ""


def _host(text: str) -> str:
    """`Example.com:8443` → `example.com`; an IPv6 address keeps its colons."""
    name, _, port = text.rpartition(":")
    return (name if port.isdigit() and name else text).lower().rstrip(".")


def _instant(ts: float | str) -> int | None:
    """Milliseconds UTC of Caddy's `ts`: seconds as a number (its default), or an ISO time with its offset."""
    try:
        if isinstance(ts, str):
            moment = datetime.fromisoformat(ts)
            return round(moment.timestamp() * 1000) if moment.tzinfo else None
        datetime.fromtimestamp(ts, UTC)  # refuses what no calendar has
        return round(ts * 1000)
    except (ValueError, OverflowError, OSError):
        return None


FORMATS: dict[str, Parser] = {"combined": combined, "common": common, "caddy": caddy}


class Reader:
    """Reads the lines of one log. With the format "auto" the first line that any format can read decides for all."""

    def __init__(self, format: str = "auto") -> None:
        self.format = format
        self._parser = FORMATS.get(format)

    def read(self, line: bytes) -> Request | None:
        """The request of a line without its line end, or None."""
        if self._parser is not None:
            return self._parser(line)
        for name, parser in FORMATS.items():
            if (request := parser(line)) is not None:
                self.format, self._parser = name, parser
                return request
        return None
