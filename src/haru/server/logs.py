"""Log lines: one structured line each, from Haru and from its libraries alike. None holds an address or a token.

A module writes `log.info("what_happened", extra={"name": value})`: each name of `extra` is one of the line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from haru.events.text import one_line, plain
from haru.settings import Settings


def configure(settings: Settings) -> None:
    """Send every log line to standard error, as text on a terminal and as JSON elsewhere."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text() if as_text else Json())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    # uvicorn writes the peer's address of each request at INFO; its errors say nothing of it.
    logging.getLogger("uvicorn.access").disabled = True
    for chatty in ("asyncio", "httptools", "httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Django names each page that was not found: the path of a visitor's request is nobody's business.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    logging.getLogger("django.security.DisallowedHost").setLevel(logging.CRITICAL)


_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__)


def _values(record: logging.LogRecord) -> dict[str, Any]:
    """What Haru's own line says beside its event. What libraries add is left out: Django adds the request itself."""
    if not record.name.startswith("haru."):
        return {}
    return {
        name: one_line(value) if isinstance(value, str) else value
        for name, value in record.__dict__.items()
        if name not in _OF_EVERY_RECORD
    }


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Line(logging.Formatter):
    """Nothing that was sent to the server speaks to the terminal from a line, or looks like a line of its own."""

    def event(self, record: logging.LogRecord) -> str:
        """What the line is about."""
        return one_line(record.getMessage())

    def exception(self, record: logging.LogRecord) -> str:
        """The traceback, empty when there is none."""
        return plain(self.formatException(record.exc_info)) if record.exc_info else ""


class Json(_Line):
    """For programs: an object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = _values(record)
        line |= {"event": self.event(record), "level": record.levelname.lower(), "timestamp": _moment(record)}
        if exception := self.exception(record):
            line["exception"] = exception
        return json.dumps(line, default=repr)


_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_RED, _GREEN, _YELLOW, _MAGENTA, _CYAN = (f"\x1b[{number}m" for number in (31, 32, 33, 35, 36))
_COLOURS = {logging.CRITICAL: _RED, logging.ERROR: _RED, logging.WARNING: _YELLOW}


class Text(_Line):
    """For people: moment, level, event and values in columns and colours; a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        colour = _COLOURS.get(record.levelno, _GREEN)
        line = [
            f"{_DIM}{_moment(record)}{_PLAIN}",
            f"[{colour}{_BOLD}{record.levelname.lower():<9}{_PLAIN}]",
            f"{_BOLD}{self.event(record):<30}{_PLAIN}",
            *(
                f"{_CYAN}{name}{_PLAIN}={_MAGENTA}{_quoted(value)}{_PLAIN}"
                for name, value in sorted(_values(record).items())
            ),
        ]
        return "\n".join(filter(None, (" ".join(line), self.exception(record))))


def _quoted(value: object) -> str:
    """A text stands as it is when one sees where it ends."""
    return value if isinstance(value, str) and not set(value) & set(" =\"'") else repr(value)
