"""Log lines: one structured line each, from Haru and from its libraries alike. None holds an address or a token."""

from __future__ import annotations

import logging
import sys

import structlog

from haru.events.text import one_line, plain
from haru.settings import Settings


def configure(settings: Settings) -> None:
    """Send every log line to standard error, as text on a terminal and as JSON elsewhere."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _readable,
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # uvicorn writes the peer's address of each request at INFO; its errors say nothing of it.
    logging.getLogger("uvicorn.access").disabled = True
    for chatty in ("asyncio", "httptools", "httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Django names each page that was not found: the path of a visitor's request is nobody's business.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    logging.getLogger("django.security.DisallowedHost").setLevel(logging.CRITICAL)


def _readable(_: object, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """A line in which nothing that was sent to the server speaks to the terminal, or looks like a line of its own."""
    for key, value in line.items():
        if isinstance(value, str):
            line[key] = plain(value) if key == "exception" else one_line(value)
    return line
