"""What engines say differently: each function here is compiled for the engine that answers.

The default is what DuckDB understands; what PostgreSQL and ClickHouse say instead stands below it. ClickHouse goes by
the name of clickhouse-connect's dialect, clickhousedb.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FunctionFilter,
    String,
    bindparam,
    case,
    func,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement, GenericFunction
from sqlalchemy.types import UserDefinedType


class AnyOf(GenericFunction[Any]):
    """Any one of a group's values, all being the same."""

    name = "any_value"
    inherit_cache = True


@compiles(AnyOf, "postgresql")
def _any_of(element: AnyOf, compiler: Any, **kw: Any) -> str:
    # any_value is new in 16. Of values that are all the same the least is any.
    return f"min{compiler.process(element.clause_expr, **kw)}"


class ByCodePoint(FunctionElement[Any]):
    """A text to sort by: by code point, whatever language the database speaks."""

    type = String()
    inherit_cache = True


@compiles(ByCodePoint)
def _by_code_point(element: ByCodePoint, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(ByCodePoint, "postgresql")
def _by_code_point_here(element: ByCodePoint, compiler: Any, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)}) COLLATE "C"'


class Local(FunctionElement[Any]):
    """The wall-clock time of a moment, so much later by the zone's offset just then."""

    type = DateTime()
    inherit_cache = False

    def __init__(self, at: ColumnElement[Any], offsets: Sequence[tuple[Any, timedelta]], last: timedelta) -> None:
        """`offsets` of moments before each of some instants; `last` of those after."""

        def offset(written: Callable[[timedelta], Any]) -> ColumnElement[Any]:
            ends = [(at < end, literal(written(by))) for end, by in offsets]
            return case(*ends, else_=literal(written(last))) if ends else literal(written(last))

        by, in_us = offset(lambda by: by), offset(lambda by: by // timedelta(microseconds=1))
        super().__init__(at + by, func.make_timestamp(func.epoch_us(at) + in_us))


@compiles(Local)
def _local(element: Local, compiler: Any, **kw: Any) -> str:
    # Numbers are added several times as fast as intervals, which may have months and days.
    return str(compiler.process(list(element.clauses)[1], **kw))


@compiles(Local, "postgresql")
@compiles(Local, "clickhousedb")
def _local_by_interval(element: Local, compiler: Any, **kw: Any) -> str:
    return str(compiler.process(next(iter(element.clauses)), **kw))


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


@compiles(FirstBy)
@compiles(LastBy)
def _by(element: FirstBy, compiler: Any, **kw: Any) -> str:
    text, at, id = (compiler.process(clause, **kw) for clause in element.clauses)
    # One 128-bit number for the pair is compared faster than a pair.
    return f"{element.function}({text}, epoch_ms({at})::HUGEINT * 9223372036854775808 + {id})"


@compiles(FirstBy, "postgresql")
@compiles(LastBy, "postgresql")
def _by_here(element: FirstBy, compiler: Any, where: str = "", **kw: Any) -> str:
    text, at, id = (compiler.process(clause, **kw) for clause in element.clauses)
    way = "ASC" if element.function == "arg_min" else "DESC"
    return f"(array_agg({text} ORDER BY {at} {way}, {id} {way}){where})[1]"


@compiles(FunctionFilter, "postgresql")
def _filtered(element: FunctionFilter[Any], compiler: Any, **kw: Any) -> str:
    """What a filter stands behind is an aggregate: with the first of an array it belongs inside."""
    if isinstance(element.func, FirstBy):
        where = f" FILTER (WHERE {compiler.process(element.criterion, **kw)})"
        return _by_here(element.func, compiler, where=where, **kw)
    return str(compiler.visit_funcfilter(element, **kw))


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


@compiles(Milliseconds, "postgresql")
def _milliseconds_here(element: Milliseconds, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(extract(epoch FROM {end} - {start}) * 1000)::bigint"


@compiles(Milliseconds, "clickhousedb")
def _milliseconds_clickhouse(element: Milliseconds, compiler: Any, **kw: Any) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(toUnixTimestamp64Milli({end}) - toUnixTimestamp64Milli({start}))"


class Texts(UserDefinedType[list[str]]):
    """A list of texts as one parameter."""

    cache_ok = True

    def literal_processor(self, dialect: Any) -> Callable[[list[str]], str]:
        """Written out, for people; ClickHouse's values are always, by `haru.store.clickhouse.sql`."""
        return lambda texts: f"ARRAY[{', '.join(quoted(text) for text in texts)}]"


def quoted(text: str) -> str:
    """A text as a literal of DuckDB and PostgreSQL."""
    return "'" + text.replace("'", "''") + "'"


class Among(FunctionElement[bool]):
    """Whether a text is one of very many, which go as one parameter: engines take minutes for one each."""

    type = Boolean()
    inherit_cache = False

    def __init__(self, column: ColumnElement[str], texts: Sequence[str]) -> None:
        super().__init__(column, bindparam(None, list(texts), Texts(), unique=True))


@compiles(Among)
def _among(element: Among, compiler: Any, **kw: Any) -> str:
    column, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} IN (SELECT unnest(CAST({texts} AS VARCHAR[]))))"


@compiles(Among, "postgresql")
def _among_here(element: Among, compiler: Any, **kw: Any) -> str:
    column, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} = ANY(CAST({texts} AS text[])))"


@compiles(Among, "clickhousedb")
def _among_clickhouse(element: Among, compiler: Any, **kw: Any) -> str:
    column, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} IN {texts})"
