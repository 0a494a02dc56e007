"""The baseline: the same server with the same options, answering 204 from an empty handler."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

ANSWER = {"type": "http.response.start", "status": 204, "headers": [(b"access-control-allow-origin", b"*")]}
END = {"type": "http.response.body", "body": b""}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send(ANSWER)
    await send(END)


if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
