"""ClickHouse's SQL: a value that was written as a literal is read by the engine as the same value."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import bindparam, func, literal_column, select

from haru.store.clickhouse.sql import literal, moment, text
from haru.store.clickhouse.store import ClickHouseStore

AT = datetime(2026, 1, 1, 12, 0, 0, 7000)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -(2**63),
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        0.1,
        "",
        "it's",
        "\\' OR 1=1 --",
        "a\\nb\\",
        "%s %(x)s {x:String} \n\t😀",
        Decimal("-12.340"),
        AT,
    ],
    ids=repr,
)
def test_the_engine_reads_a_literal_as_the_value_it_was(store: ClickHouseStore, value: Any) -> None:
    ((found,),) = store._client.query(f"SELECT {literal(value)}")
    assert found == value
    assert type(found) in {type(value), int}  # a boolean may come as 0 or 1, and equals it


def test_a_list_is_what_in_looks_into(store: ClickHouseStore) -> None:
    texts = ["a", "it's", "\\"]
    found, missing = literal(texts[2]), literal("b")
    question = f"SELECT {found} IN {literal(texts)}, {missing} IN {literal(tuple(texts))}"
    assert store._client.query(question) == [(True, False)]


def test_a_span_of_time_moves_a_moment_by_as_much(store: ClickHouseStore) -> None:
    by = timedelta(hours=-5, milliseconds=3)
    assert store._client.query(f"SELECT {moment(AT)} + {literal(by)}") == [(AT + by,)]


def test_what_has_no_literal_is_refused() -> None:
    with pytest.raises(TypeError, match="no literal for bytes"):
        literal(b"x")


def test_parameters_are_written_into_the_statement_beside_its_own_values(store: ClickHouseStore) -> None:
    statement = select(bindparam("a"), func.upper("100%'s"), literal_column("'%'"))
    assert store._client.query(text(statement, {"a": "it's %s"})) == [("it's %s", "100%'S", "%")]


def test_a_place_in_a_text_is_found_by_the_name_the_engine_has_for_it(store: ClickHouseStore) -> None:
    assert store._client.query(text(select(func.strpos("haru", "ru"), func.strpos("haru", "x")))) == [(3, 0)]
