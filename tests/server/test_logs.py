from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import haru
from haru.server.logs import Json, Text

SOURCES = Path(haru.__file__).parent


def record(name: str = "haru.a room", *, fault: Exception | None = None, **values: object) -> logging.LogRecord:
    return logging.getLogger(name).makeRecord(
        name, logging.ERROR, "", 1, "store_%s", ("gone",), fault and (type(fault), fault, None), extra=values
    )


def test_a_line_is_an_object_of_its_values_and_what_happened() -> None:
    line = json.loads(Json().format(record(error="no room", waiting=3, kind=Path)))
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "store_gone", "level": "error", "error": "no room", "waiting": 3, "kind": repr(Path)}


def test_a_fault_comes_with_its_traceback() -> None:
    assert json.loads(Json().format(record(fault=OSError("no"))))["exception"] == "OSError: no"
    assert Text().format(record(fault=OSError("no"))).splitlines()[1:] == ["OSError: no"]


def test_for_people_values_stand_in_order_and_one_with_blanks_is_quoted() -> None:
    line = Text().format(record(url="http://host", outcome="all is on disk", error="", waiting=3))
    for colour in (2, 1, 0, 31, 35, 36):
        line = line.replace(f"\x1b[{colour}m", "")
    moment, _, rest = line.partition(" ")
    assert moment.endswith("Z")
    assert (
        rest == "[error    ] store_gone                     error= outcome='all is on disk' url=http://host waiting=3"
    )


def test_what_a_library_adds_to_its_lines_is_not_written() -> None:
    """Django adds the request, whose path is nobody's business."""
    line = record("django.request", request="/secret", status_code=500)
    assert set(json.loads(Json().format(line))) == {"event", "level", "timestamp"}
    assert "secret" not in Text().format(line)


def names() -> Iterator[tuple[str, str]]:
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "extra":
                assert isinstance(node.value, ast.Dict), f"{path}: extra is not written out"
                yield from ((str(path), key.value) for key in node.value.keys if isinstance(key, ast.Constant))


def test_no_line_of_ours_takes_a_name_that_is_logging_s_own() -> None:
    """It would raise KeyError in the place of the line."""
    found = list(names())
    taken = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "event", "level", "timestamp", "exception"}
    assert len(found) > 20
    assert [each for each in found if each[1] in taken] == []
