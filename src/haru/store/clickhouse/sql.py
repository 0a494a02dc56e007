"""ClickHouse's SQL: the dialect of statements, and values as literals.

A value never becomes SQL but through `literal`. ClickHouse's own parameters are not used: those of its HTTP interface
are bounded in size, and a filter may hold thousands of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from clickhouse_connect.cc_sqlalchemy.dialect import ClickHouseDialect
from clickhouse_connect.cc_sqlalchemy.sql.compiler import ChStatementCompiler
from sqlalchemy.sql import ClauseElement

from haru.store.compiled import Compiling

# What a statement of `haru.stats` means in every engine: nothing of nothing is null, a column goes before an alias.
MEANING: dict[str, Any] = {
    "aggregate_functions_null_for_empty": 1,
    "join_use_nulls": 1,
    "prefer_column_name_to_alias": 1,
    "transform_null_in": 0,
    "count_distinct_implementation": "uniqExact",
    "enable_extended_results_for_datetime_functions": 1,
    # Of a cluster: a subquery is worked out once, over all shards, and none may be missing.
    "distributed_product_mode": "global",
    "skip_unavailable_shards": 0,
}


class Compiler(ChStatementCompiler):
    """Functions that go by another name in ClickHouse."""

    def visit_strpos_func(self, function: Any, **kw: Any) -> str:
        """Places are counted in bytes there; they are only compared with 0."""
        return f"position{self.process(function.clause_expr, **kw)}"


class Dialect(ClickHouseDialect):
    """clickhouse-connect's dialect; functions of `haru.stats.sql.functions` go by its name, clickhousedb."""

    supports_statement_cache = False
    statement_compiler = Compiler


_DIALECT = Dialect(paramstyle="pyformat")
_COMPILING = Compiling(_DIALECT)


def quoted(text: str) -> str:
    """A text as a literal. Only backslash and quote mean anything inside one."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literal(value: Any) -> str:
    """A value as a literal; a list or a tuple as a list in brackets, for IN. Raises `TypeError` for what is unknown."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Beyond 64 bits a literal would quietly become a floating point number.
        return str(value) if -(2**63) <= value < 2**63 else f"toInt128({quoted(str(value))})"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        digits = max(0, -int(value.as_tuple().exponent))
        return f"toDecimal128({quoted(format(value, 'f'))}, {digits})"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return f"toIntervalMillisecond({value // timedelta(milliseconds=1)})"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(literal, value)) + ")"
    raise TypeError(f"no literal for {type(value).__name__}")


def moment(at: datetime) -> str:
    """A moment of UTC, without a zone of its own."""
    return f"toDateTime64({quoted(at.isoformat(' ', 'milliseconds'))}, 3, 'UTC')"


def text(statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> str:
    """A statement as SQL, its values written as literals."""
    compiled = _COMPILING.compiled(statement)
    values = {**compiled.params, **(parameters or {})}
    return compiled.string % {name: literal(value) for name, value in values.items()}
