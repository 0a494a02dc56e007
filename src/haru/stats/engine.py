"""What engines say differently: each function here is compiled for the engine that answers.

The default is what DuckDB understands. ClickHouse goes by the name of clickhouse-connect's dialect, clickhousedb.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement, GenericFunction


class AnyOf(GenericFunction[Any]):
    """Any one of a group's values, all being the same."""

    name = "any_value"
    inherit_cache = True


class Bucket(FunctionElement[Any]):
    """The start of the bucket of a wall-clock time. The unit is written out: it is part of the plan, not a value."""

    type = DateTime()
    inherit_cache = False

    def __init__(self, unit: str, local: ColumnElement[Any]) -> None:
        self.unit = unit
        super().__init__(local)


@compiles(Bucket)
def _bucket(element: Bucket, compiler: Any, **kw: Any) -> str:
    return f"date_trunc('{element.unit}', {compiler.process(element.clauses, **kw)})"


@compiles(Bucket, "clickhousedb")
def _bucket_clickhouse(element: Bucket, compiler: Any, **kw: Any) -> str:
    # A bucket of days or more is a date there.
    return f"toDateTime64({_bucket(element, compiler, **kw)}, 3, 'UTC')"


class FirstBy(FunctionElement[Any]):
    """The text in the row of a group where (time, id) is least; null without rows."""

    type = String()
    inherit_cache = True
    function = "arg_min"


class LastBy(FirstBy):
    """The text in the row of a group where (time, id) is greatest; null without rows."""

    inherit_cache = True
    function = "arg_max"
    function = "arg_max"


@compiles(FirstBy)
@compiles(LastBy)
def _by(element: FirstBy, compiler: Any, **kw: Any) -> str:
    text, at, id = (compiler.process(clause, **kw) for clause in element.clauses)
    # One 128-bit number for the pair is compared faster than a pair.
    return f"{element.function}({text}, epoch_ms({at})::HUGEINT * 9223372036854775808 + {id})"


@compiles(FirstBy, "clickhousedb")
@compiles(LastBy, "clickhousedb")
def _by_clickhouse(element: FirstBy, compiler: Any, **kw: Any) -> str:
    text, at, id = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{element.function.replace('_m', 'M')}({text}, ({at}, {id}))"


class Milliseconds(FunctionElement[Any]):
    """The milliseconds from one moment to another."""

    type = BigInteger()
    inherit_cache = True


@compiles(Milliseconds)
def _milliseconds(element: Milliseconds, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(epoch_ms({end}) - epoch_ms({start}))"


@compiles(Milliseconds, "clickhousedb")
def _milliseconds_clickhouse(element: Milliseconds, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(toUnixTimestamp64Milli({end}) - toUnixTimestamp64Milli({start}))"
