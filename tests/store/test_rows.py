from __future__ import annotations

import numpy as np

from haru.events.columns import COLUMNS, NAMES, row_of
from haru.events.event import Arrival, Origin
from haru.events.visits import Visit
from haru.store.rows import arrays_of, visit_of
from tests.events.made import NOON, event

ORIGIN = Origin(source="Google", country="DE", city=5, language="de")
VISIT = Visit(7, 1, -3, NOON, NOON + 1, ORIGIN)
ROWS = [
    row_of(Arrival(9, event(path="/größe", props={"a": "1"}, scroll_depth=40)), VISIT),
    row_of(Arrival(1 << 62, event(at=NOON + 1, visitor=-(1 << 63), interactive=False)), VISIT),
]


def test_an_array_holds_one_column_of_all_rows_as_they_are() -> None:
    arrays = arrays_of(ROWS)
    assert tuple(arrays) == NAMES
    assert list(zip(*(array.tolist() for array in arrays.values()), strict=True)) == ROWS


def test_numbers_are_as_wide_as_their_column_and_texts_are_objects() -> None:
    widths = {"BIGINT": np.int64, "TIMESTAMP": np.int64, "SMALLINT": np.int16, "BOOLEAN": np.bool_, "VARCHAR": object}
    assert {name: array.dtype for name, array in arrays_of(ROWS).items()} == {
        name: np.dtype(widths[kind]) for name, kind in COLUMNS
    }


def test_a_visit_is_that_of_its_row_with_its_origin_field_by_field() -> None:
    origin = [getattr(ORIGIN, name) for name in Origin.__struct_fields__]
    assert visit_of((7, 1, -3, NOON, NOON + 1, *origin)) == VISIT
