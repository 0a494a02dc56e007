from __future__ import annotations

import gc
import weakref

from sqlalchemy import bindparam, column, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from haru.store.compiled import Compiling


def test_a_statement_is_compiled_once_with_its_own_values() -> None:
    compiling = Compiling(PGDialect_psycopg())  # type: ignore[no-untyped-call]
    statement = select(column("id")).where(column("id") == bindparam("id", 7), column("site").in_([1, 2]))
    text = compiling.compiled(statement)
    assert text.params == {"id": 7, "site_1_1": 1, "site_1_2": 2}
    assert "%(site_1_2)s" in text.string
    assert compiling.compiled(statement) is text


def test_what_was_compiled_goes_with_its_statement() -> None:
    compiling = Compiling(PGDialect_psycopg())  # type: ignore[no-untyped-call]
    statement = select(column("id")).where(column("id") == 7)
    text, gone = weakref.ref(statement), compiling.compiled(statement)
    del statement
    gc.collect()
    assert gone.params == {"id_1": 7}
    assert text() is None
    assert len(compiling._known) == 0
