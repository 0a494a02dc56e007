"""The SQL of each engine for what events bring with them; that it is exact is tried on every engine of `ENGINES`."""

from __future__ import annotations

import pytest
from clickhouse_connect.cc_sqlalchemy.dialect import ClickHouseDialect
from sqlalchemy import select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from haru.stats.sql.counters import E
from haru.stats.sql.payload import Amount, Property
from haru.store.duckdb.store import Dialect as DuckDialect

KEY = "a/b~'\"$."
DIALECTS = {
    "duckdb": DuckDialect(paramstyle="numeric_dollar"),
    "postgresql": PGDialect_psycopg(),
    "clickhouse": ClickHouseDialect(paramstyle="pyformat"),
}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_key_is_a_parameter_and_never_written_into_the_statement(dialect: Dialect) -> None:
    compiled = select(Property(E.props, KEY)).compile(dialect=dialect)
    assert KEY not in str(compiled)
    assert "~" not in str(compiled)
    assert {KEY, "/a~1b~0'\"$."} & set(compiled.params.values())


@pytest.mark.parametrize(
    ("engine", "property_sql", "amount_sql"),
    [
        ("duckdb", "json_extract_string(event.props, ", "CAST(nullif(event.revenue_amount, '') AS DECIMAL(38, 9))"),
        ("postgresql", "CAST(event.props AS json) ->> ", "CAST(nullif(event.revenue_amount, '') AS DECIMAL(38, 9))"),
        ("clickhouse", "JSONExtractString(", "toDecimal128OrZero("),
    ],
)
def test_each_engine_has_its_own_words(engine, property_sql, amount_sql) -> None:
    dialect = DIALECTS[engine]
    assert property_sql in str(select(Property(E.props, KEY)).compile(dialect=dialect))
    assert amount_sql in str(select(Amount(E.revenue_amount)).compile(dialect=dialect))
