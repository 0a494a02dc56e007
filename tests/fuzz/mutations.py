"""Faulty requests without end: whole ones with odd values, and ones whose bytes are broken. The same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.server import FIREFOX

Dice = random.Random


@dataclass(frozen=True)
class Attack:
    """What is sent over one connection."""

    kind: str
    sent: bytes
    answers: int | None  # how many must come; None when the bytes may be no request at all


ODD_TEXTS = (
    "", " ", "/", "//", "\0", "\u0000/a", "/\u202e", "\ud800", "/" + "a" * 1_999, "/" + "a" * 2_000, "é" * 1_000,
    "https://", "https://[", "https://[::1", "http://a:b:c/", "https://example.com:99999/", "javascript:alert(1)",
    "/%", "/%00", "/%ff%fe", "/?utm_source=%F0%28%8C%28", "/?" + "&" * 500, "?", "#", "../../etc/passwd", "'; DROP TABLE event; --",
    "<script>", "\r\nX-Injected: 1", "\U0001f600" * 60, "NaN", "null", "data:text/html,x", "https://EXAMPLE.com/ä?ref=ö#ü",
    "https://user:secret@example.com/", "https://xn--/", "https://" + "a" * 300 + ".com/", "\\\\unc\\path", "/a\tb\nc",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 32_767, 32_768, 2**31, 2**63, 2**64, -(2**63), 10**40, 1.5, -0.0, 1e308, [], {}, [[]], {"": ""},
    {"a": {"b": 1}}, [1, "2"], "1", "-1",
)  # fmt: skip
KEYS = ("p", "r", "sw", "sh", "n", "d", "$", "e", "sd", "i", "h", "tz", "id", "unknown", "", "P")
HEADERS = (
    "User-Agent", "Content-Type", "Origin", "Referer", "Accept-Language", "X-Forwarded-For", "DNT", "Sec-GPC", "Cookie",
    "Sec-Purpose", "Authorization", "Forwarded", "Content-Encoding", "Accept", "CF-IPCountry", "X-" + "a" * 200,
)  # fmt: skip
TOKENS = "!#$%&'*+-.^_`|~abcXYZ019"


def text(dice: Dice) -> str:
    if dice.random() < 0.6:
        return dice.choice(ODD_TEXTS)
    length = dice.choice((1, 3, 20, 64, 65, 120, 121, 300, 301, 2_000, 2_001))
    return "".join(chr(dice.choice((dice.randrange(32, 127), dice.randrange(0xD7FF), 0x1F600))) for _ in range(length))


def value(dice: Dice) -> Any:
    chance = dice.random()
    if chance < 0.4:
        return text(dice)
    if chance < 0.8:
        return dice.choice(ODD_VALUES)
    if chance < 0.9:
        return {text(dice): dice.choice((text(dice), dice.choice(ODD_VALUES))) for _ in range(dice.randrange(35))}
    return {
        "currency": dice.choice(("EUR", "eur", "", "EURO", text(dice))),
        "amount": dice.choice(("12.50", "1e400", "NaN", "x", -1, 0.1, 10**16)),
    }


def body(dice: Dice) -> bytes:
    """A body: often right, often odd in a value or two, now and then no JSON."""
    made: dict[str, Any] = {"p": f"/fuzz/{dice.randrange(100)}"}
    chance = dice.random()
    if chance < 0.15:
        pass
    elif chance < 0.85:
        for _ in range(dice.randrange(1, 4)):
            made[dice.choice(KEYS)] = value(dice)
    elif chance < 0.9:
        made = value(dice)
    written = json.dumps(made, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance >= 0.9:
        written = _broken_text(dice, written)
    return written


def _broken_text(dice: Dice, content: bytes) -> bytes:
    how = dice.randrange(7)
    if how == 0:
        return content[: dice.randrange(len(content) + 1)]
    if how == 1:
        return dice.randbytes(dice.randrange(300))
    if how == 2:
        return b"[" * dice.choice((10, 1_000, 100_000))
    if how == 3:
        return b'{"p":"/","d":' + b'{"a":' * 20_000
    if how == 4:
        return content.replace(b'"', b"'")
    if how == 5:
        return b"\xef\xbb\xbf" + content
    return flipped(dice, content)


def flipped(dice: Dice, content: bytes, times: int = 0) -> bytes:
    """Some bytes changed, left out or doubled."""
    made = bytearray(content)
    for _ in range(times or dice.randrange(1, 6)):
        if not made:
            break
        place = dice.randrange(len(made))
        how = dice.randrange(4)
        if how == 0:
            made[place] = dice.randrange(256)
        elif how == 1:
            del made[place]
        elif how == 2:
            made.insert(place, dice.randrange(256))
        else:
            made[place:place] = made[place : place + dice.randrange(40)]
    return bytes(made)


def header_value(dice: Dice) -> bytes:
    """A header's value of bytes that HTTP allows there."""
    chance = dice.random()
    if chance < 0.3:
        return bytes(
            dice.choice((9, *range(32, 127), *range(128, 256))) for _ in range(dice.choice((0, 1, 30, 400, 6_000)))
        )
    if chance < 0.6:
        return text(dice).encode("utf-8", "replace").translate(None, bytes(range(32)) + b"\x7f")
    return dice.choice(
        (FIREFOX, "1", "prefetch", "de-DE,de;q=0.9", "203.0.113.7, 10.0.0.1", "[::1]:80", "null", "gzip", "Bearer ")
    ).encode()


def request(dice: Dice, token: str, content: bytes, *, length: bytes | None = None, method: str = "POST") -> bytes:
    """A whole request; most carry the token, so that they come as far as the body."""
    target = "/api/collect"
    lines: list[bytes] = [b"Host: 127.0.0.1"]
    where = dice.random()
    if where < 0.5:
        target += f"?t={token}"
    elif where < 0.9:
        lines.append(f"Authorization: Bearer {token}".encode())
    else:
        target += "?" + dice.choice(("", "t=", "t=%ff", f"t={token}&t=x", f"x=1&t={token}", "t=" + "a" * 3_000))
    if dice.random() < 0.8:
        lines.append(b"User-Agent: " + FIREFOX.encode())
    odd = dice.choice((0, 0, 1, 2, 20))
    lines += [dice.choice(HEADERS).encode() + b": " + header_value(dice) for _ in range(odd)]
    lines.append(b"Content-Length: " + (str(len(content)).encode() if length is None else length))
    dice.shuffle(lines)
    return b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), *lines, b"", b""]) + content


def chunked(dice: Dice, token: str, content: bytes) -> bytes:
    pieces = []
    while content:
        size = dice.randrange(1, 200)
        piece, content = content[:size], content[size:]
        pieces.append(b"%x\r\n%s\r\n" % (len(piece), piece))
    head = f"POST /api/collect?t={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {FIREFOX}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(pieces) + b"0\r\n\r\n"


def _odd_value(dice: Dice, token: str) -> Attack:
    return Attack("odd value", request(dice, token, body(dice)), 1)


def _in_chunks(dice: Dice, token: str) -> Attack:
    return Attack("in chunks", chunked(dice, token, body(dice)), 1)


def _pipelined(dice: Dice, token: str) -> Attack:
    count = dice.randrange(2, 9)
    small = [b'{"p":"/fuzz/pipelined"}', b'{"p":5}', b"", b"{"]  # none of which closes the connection
    sent = b"".join(
        f"POST /api/collect?t={token} HTTP/1.1\r\nHost: a\r\nUser-Agent: {FIREFOX}\r\nContent-Length: {len(each)}\r\n\r\n".encode()
        + each
        for each in dice.choices(small, k=count)
    )
    return Attack("pipelined", sent, count)


def _other_method(dice: Dice, token: str) -> Attack:
    method = dice.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"))
    return Attack("other method", request(dice, token, body(dice), method=method), 1)


def _too_large(dice: Dice, token: str) -> Attack:
    size = dice.choice((128 * 1024 - 30, 128 * 1024, 128 * 1024 + 1, 300_000))
    content = b'{"p":"/fuzz/large","d":{"k":"' + b"x" * size + b'"}}'
    return Attack(
        "too large", chunked(dice, token, content) if dice.random() < 0.1 else request(dice, token, content), 1
    )


def _wrong_length(dice: Dice, token: str) -> Attack:
    length = dice.choice((b"0", b"5", b"99999", b"-1", b"1e3", b"x", b"", b"18446744073709551616", b"4, 4"))
    return Attack("wrong length", request(dice, token, body(dice), length=length), None)


def _cut_off(dice: Dice, token: str) -> Attack:
    whole = request(dice, token, body(dice) + b" ")
    return Attack("cut off", whole[: dice.randrange(1, len(whole))], None)


def _broken_bytes(dice: Dice, token: str) -> Attack:
    return Attack("broken bytes", flipped(dice, request(dice, token, body(dice))), None)


def _no_http(dice: Dice, token: str) -> Attack:
    return Attack("no HTTP", dice.randbytes(dice.randrange(1, 400)), None)


KINDS: tuple[tuple[Callable[[Dice, str], Attack], int], ...] = (
    (_odd_value, 68), (_in_chunks, 8), (_pipelined, 5), (_other_method, 4), (_too_large, 2), (_wrong_length, 3), (_cut_off, 4),
    (_broken_bytes, 5), (_no_http, 1),
)  # fmt: skip


def attack(dice: Dice, token: str) -> Attack:
    """The next one."""
    (make,) = dice.choices([make for make, _ in KINDS], [weight for _, weight in KINDS])
    return make(dice, token)
