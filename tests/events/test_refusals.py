from __future__ import annotations

import ast
from pathlib import Path

import haru
from haru.events.refusals import Refusal, Refused

SOURCE = Path(haru.__file__).parent


def test_a_refusal_without_a_sentence_says_its_reason() -> None:
    refused = Refused(Refusal.BOT, detail="GPTBot")
    assert (str(refused), refused.sentence, refused.detail) == ("bot", "", "GPTBot")
    assert str(Refused(Refusal.INVALID, "p: is missing")) == "p: is missing"


def test_a_reason_is_written_out_in_the_closed_list_alone() -> None:
    names = {reason.value for reason in Refusal if "_" in reason.value}  # the others are common words
    assert len(names) > 5
    written = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if path != SOURCE / "events" / "refusals.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert written == []
