"""Statements as an engine's text, each compiled once."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler


class Compiling:
    """Compiles for one engine, and remembers what it made as long as the statement is there."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[ClauseElement, SQLCompiler] = WeakKeyDictionary()

    def compiled(self, statement: ClauseElement) -> SQLCompiler:
        """The statement's text and its parameters, with lists of values written out as parameters."""
        known = self._known.get(statement)
        if known is None:
            made = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
            assert isinstance(made, SQLCompiler)
            known = self._known[statement] = made
        return known
