from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from haru.http import Receive, disconnected, peer_of, read_body, respond

Message = dict[str, Any]


def receiving(*messages: Message) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0)

    return receive


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_a_body_is_all_of_its_parts() -> None:
    assert await read_body(receiving(part(b"ab"), part(b""), part(b"c", more=False))) == b"abc"
    assert await read_body(receiving({"type": "http.request"})) == b""


async def test_a_body_may_be_as_large_as_it_may_and_no_larger() -> None:
    assert await read_body(receiving(part(b"ab"), part(b"c", more=False)), 3) == b"abc"
    assert await read_body(receiving(part(b"ab"), part(b"cd")), 3) is None  # what would come further is not read


async def test_a_body_that_was_cut_off_raises() -> None:
    with pytest.raises(ConnectionError, match="left before the end"):
        await read_body(receiving(part(b"ab"), GONE))


async def test_the_other_side_has_gone_when_it_says_so() -> None:
    async with asyncio.timeout(10):
        await disconnected(receiving(part(b"", more=False), GONE))


async def sent(*given: Any, **named: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await respond(send, *given, **named)
    start, body = messages
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    return start["status"], start["headers"], body["body"]


async def test_an_answer_says_its_kind_and_its_length() -> None:
    headers = [(b"retry-after", b"5")]
    assert await sent(503, b"Later.", b"text/plain", headers) == (
        503,
        [(b"retry-after", b"5"), (b"content-type", b"text/plain"), (b"content-length", b"6")],
        b"Later.",
    )
    assert headers == [(b"retry-after", b"5")]


@pytest.mark.parametrize(
    ("body", "headers"), [(b"", []), (b"", [(b"content-length", b"900")]), (b"abc", [(b"content-length", b"3")])]
)
async def test_a_length_that_is_said_or_of_no_body_is_not_said_again(
    body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    assert await sent(200, body, headers=list(headers)) == (200, headers, body)


def test_the_peer_is_the_address_at_the_other_end() -> None:
    assert peer_of({"client": ("203.0.113.9", 4000)}) == "203.0.113.9"
    assert peer_of({"client": None}) == peer_of({}) == ""
