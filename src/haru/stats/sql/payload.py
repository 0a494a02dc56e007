"""What engines say differently about what an event brought with it: its properties and its revenue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Numeric, String, cast, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Property(FunctionElement[Any]):
    """The text at a key of a JSON object of texts, "" when it has none. Any key is taken as it is, dots and all."""

    type = String()
    inherit_cache = True

    def __init__(self, props: ColumnElement[Any], key: str) -> None:
        # DuckDB takes no key but a path; a JSON pointer can name every key.
        pointer = "/" + key.replace("~", "~0").replace("/", "~1")
        super().__init__(props, cast(literal(key), String), cast(literal(pointer), String))


@compiles(Property)
def _property(element: Property, compiler: Any, **kw: Any) -> str:
    props, _, pointer = element.clauses
    return f"coalesce(json_extract_string({_of(compiler, props, kw)}, {_of(compiler, pointer, kw)}), '')"


@compiles(Property, "postgresql")
def _property_of_postgresql(element: Property, compiler: Any, **kw: Any) -> str:
    props, key, _ = element.clauses
    return f"coalesce(CAST({_of(compiler, props, kw)} AS json) ->> {_of(compiler, key, kw)}, '')"


@compiles(Property, "clickhousedb")
def _property_of_clickhouse(element: Property, compiler: Any, **kw: Any) -> str:
    props, key, _ = element.clauses
    return f"JSONExtractString({_of(compiler, props, kw)}, {_of(compiler, key, kw)})"


class Keys(FunctionElement[Any]):
    """The keys of a JSON object, a row each: what is selected beside them is there once for each key."""

    type = String()
    inherit_cache = True


@compiles(Keys)
def _keys(element: Keys, compiler: Any, **kw: Any) -> str:
    return f"unnest(json_keys({compiler.process(element.clauses, **kw)}))"


@compiles(Keys, "postgresql")
def _keys_of_postgresql(element: Keys, compiler: Any, **kw: Any) -> str:
    return f"json_object_keys(CAST({compiler.process(element.clauses, **kw)} AS json))"


@compiles(Keys, "clickhousedb")
def _keys_of_clickhouse(element: Keys, compiler: Any, **kw: Any) -> str:
    return f"arrayJoin(JSONExtractKeys({compiler.process(element.clauses, **kw)}))"


class Amount(FunctionElement[Any]):
    """An amount written as text, exact to nine decimals; 0 or null for the empty text."""

    type = Numeric(38, 9)
    inherit_cache = True


@compiles(Amount)
def _amount(element: Amount, compiler: Any, **kw: Any) -> str:
    return f"CAST(nullif({compiler.process(element.clauses, **kw)}, '') AS DECIMAL(38, 9))"


@compiles(Amount, "clickhousedb")
def _amount_of_clickhouse(element: Amount, compiler: Any, **kw: Any) -> str:
    return f"toDecimal128OrZero({compiler.process(element.clauses, **kw)}, 9)"


def _of(compiler: Any, clause: Any, kw: dict[str, Any]) -> str:
    text: str = compiler.process(clause, **kw)
    return text
