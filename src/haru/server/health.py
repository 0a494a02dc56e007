"""`/health` and `/health/live`: whether events can be accepted, whether spool, store and accounts answer, each job."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from haru.collect.collector import Counts
from haru.http import Send, respond

if TYPE_CHECKING:
    from haru.server.node import Node

STORE_SECONDS = 2.0  # that the store has to answer
WRITER = "writer"  # the threads that write, of all processes together: no job, but looked after as one


async def answer_live(counts: Sequence[Counts], send: Send) -> None:
    """`/health/live`: 200 as long as events can be accepted, or will be when the store has taken some."""
    live = spool_state(counts) in {"ok", "full"}
    await _answer(live, {"status": "ok" if live else "unready"}, send)


async def answer(node: Node, send: Send) -> None:
    """`/health`: 200 as long as everything answers."""
    parts = {
        "spool": spool_state(node.counts()),
        "store": await _store_state(node),
        "accounts": (node.pages_closed or "ok") if node.accounts_up else "does not answer",
    }
    ready = set(parts.values()) == {"ok"}
    status = {"status": "ok" if ready else "unready", **parts, "tasks": tasks(node), "restarts": restarts(node)}
    await _answer(ready, status, send)


def spool_state(counts: Sequence[Counts]) -> str:
    """Whether the processes with these counts accept events: ok, refusing, full or stopped."""
    if not all(each.alive for each in counts):
        return "stopped"
    if any(each.refusing for each in counts):
        return "refusing"
    return "full" if any(each.full for each in counts) else "ok"


def tasks(node: Node) -> dict[str, str]:
    """How each job is, and the threads that write: ok or stopped."""
    writing = all(each.alive for each in node.counts())
    return {**node.supervisor.states(), WRITER: "ok" if writing else "stopped"}


def restarts(node: Node) -> dict[str, int]:
    """How often each of them failed and was started again, where one did."""
    counts = {**node.supervisor.restarts, WRITER: sum(each.restarts for each in node.counts())}
    return {name: count for name, count in counts.items() if count}


async def _store_state(node: Node) -> str:
    try:
        async with asyncio.timeout(STORE_SECONDS):
            await asyncio.to_thread(node.store.progress)
    except Exception as error:
        return str(error) or "does not answer"
    return f"recovering ({node.store_fault})" if node.store_fault else "ok"


async def _answer(well: bool, status: dict[str, Any], send: Send) -> None:
    await respond(send, 200 if well else 503, msgspec.json.encode(status), b"application/json")
