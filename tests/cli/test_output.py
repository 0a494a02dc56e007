"""What visitors sent does nothing to a terminal or a spreadsheet, whichever way it gets there."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest

from haru.cli import main, query
from haru.cli.output import columns, echo
from haru.cli.transfer import export
from haru.events.text import one_line, plain
from haru.server import logs
from haru.settings import read
from haru.web.dashboard.csv import lines, safe

HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31mred",
    "a\x08\x7fb",
    "\x9b31m",
    "\u202etxt.exe",
    "\u2066\u2069\u200f\u061c",
    "a\rb",
    "a\u2028b",
]
COMMANDS = {chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F))} - {
    "\n",
    "\t",
}
FORMULAS = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", " =1", "\n\n =1", "＝1+1", "＋1", "－1", "＠x", "\xa0=1"]


def obeyed(text: str) -> set[str]:
    """What in a text a terminal would obey."""
    return COMMANDS & set(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_of_a_command_speaks_to_the_terminal(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert obeyed(text)
    query._as_table(["event:props:" + text, "visitors"], [[text, 1], ["x\ny\tz", 2]])
    query._as_csv(["event:props:" + text, "visitors"], [[text, 1]])
    echo(json.dumps({"rows": [text]}, ensure_ascii=False, indent=2))
    echo(f"haru: {text}", err=True)
    printed = capsys.readouterr()
    assert obeyed(printed.out + printed.err) == set()
    assert "x\\u000ay\\u0009z" in printed.out


def test_cells_stand_below_one_another_and_numbers_end_there() -> None:
    rows = [("site", "events", ""), ("example.com", 1_234, "x"), ("日本語.jp", 7, "y"), ("e\u0301.fr", 12, "")]
    assert columns(rows).splitlines() == [
        "site         events",
        "example.com   1,234  x",
        "日本語.jp         7  y",
        "e\u0301.fr             12",
    ]
    assert columns([("a\tb\nc", 1)]) == "a\\u0009b\\u000ac  1"
    assert columns([]) == ""


def test_what_is_escaped_in_json_is_the_same_json() -> None:
    for text in HOSTILE:
        written = json.dumps({"text": text}, ensure_ascii=False, indent=2)
        assert json.loads(plain(written)) == {"text": text}
    assert plain("two\nlines\twith größe, 日本 and שלום") == "two\nlines\twith größe, 日本 and שלום"
    assert one_line("a\nb\tc") == "a\\u000ab\\u0009c"


def test_raw_events_are_plain_on_a_terminal_and_as_they_are_elsewhere(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(json.dumps({"path": text + "größe"}, ensure_ascii=False) + "\n" for text in HOSTILE)
    pieces = [bytes([byte]) for byte in lines.encode()]
    export.write(iter(pieces), "-", binary=False)
    assert capfdbinary.readouterr().out == lines.encode()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    export.write(iter(pieces), "-", binary=False)
    shown = capfdbinary.readouterr().out.decode()
    assert obeyed(lines)
    assert obeyed(shown) == set()
    assert [json.loads(line) for line in shown.splitlines()] == [json.loads(line) for line in lines.split("\n")[:-1]]


def test_an_error_that_names_what_was_typed_is_plain_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["query", "no\x1b[2J\u202efile.json"])
    assert obeyed(capsys.readouterr().err) == set()


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula_in_either_csv(capsys: pytest.CaptureFixture[str], text: str) -> None:
    query._as_csv(["event:page", "visitors"], [[text, -1]])
    for written in (capsys.readouterr().out, lines([["event:page", "visitors"], [text, -1]]).decode()):
        _, (cell, number) = csv.reader(io.StringIO(written, newline=""))
        assert cell.startswith("'")
        assert number == "-1"


@pytest.mark.parametrize("text", ["a=1", "/page", "1 + 1", "Größe", " text", ""])
def test_other_cells_stand_as_they_are(text: str) -> None:
    assert safe(text) == text


def test_a_log_line_for_people_says_nothing_to_their_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        logs.configure(read({"HARU_LOG_FORMAT": "text", "HARU_DATA_DIR": str(tmp_path)}))
        for text in HOSTILE:
            logging.getLogger("haru.a room").info("refused", extra={"error": text, "reason": text + " with blanks"})
        logging.getLogger("a library").warning("it says %s", HOSTILE[0])
        colours = capsys.readouterr().err
    finally:
        logging.getLogger().setLevel(level)
        logging.getLogger().handlers = handlers
    said = re.sub(r"\x1b\[\d+m", "", colours)  # the line's own
    assert "refused" in said
    assert "it says" in said
    assert obeyed(said) == set()
