"""Statements as an engine's text, each compiled once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler


@dataclass(frozen=True, slots=True)
class Text:
    """A statement in SQL, with lists of values written out as parameters. It holds nothing of what it was made from."""

    string: str
    params: dict[str, Any]  # the statement's own values of its parameters, as far as it has them
    positiontup: list[str] | None  # the names of the parameters by place, where they go by place


class Compiling:
    """Compiles for one engine, and remembers what it made as long as the statement is there."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[ClauseElement, Text] = WeakKeyDictionary()

    def compiled(self, statement: ClauseElement) -> Text:
        """The statement as text."""
        known = self._known.get(statement)
        if known is None:
            made = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
            assert isinstance(made, SQLCompiler)
            known = self._known[statement] = Text(made.string, dict(made.params), made.positiontup)
        return known
