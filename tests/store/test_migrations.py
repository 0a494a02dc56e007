from __future__ import annotations

from pathlib import Path

import pytest

from haru.store.migrations import Migration, migrate, noted, pending, read
from haru.store.protocol import StoreTooNew

STEPS = tuple(Migration(number, f"step {number}", (f"SELECT {number}",)) for number in (5, 6, 7))


def test_a_migration_is_the_statements_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "0002_more.sql").write_text("ALTER TABLE `{database}`.a ADD b text DEFAULT ';';\n")
    (tmp_path / "0001_first_tables.sql").write_text(
        "-- What it is for;\n\nCREATE TABLE a (\n    -- a column;\n    a text DEFAULT '{shard}'\n);\n\nINSERT INTO a VALUES ('--');\n"
    )
    assert read(tmp_path, {"database": "haru"}) == (
        Migration(
            1, "first tables", ("CREATE TABLE a (\n    a text DEFAULT '{shard}'\n)", "INSERT INTO a VALUES ('--')")
        ),
        Migration(2, "more", ("ALTER TABLE `haru`.a ADD b text DEFAULT ';'",)),
    )


def test_a_store_gets_what_it_lacks_in_order() -> None:
    applied: list[Migration] = []
    with noted() as seen:
        migrate(STEPS, 0, applied.append)
        migrate(STEPS, 6, applied.append)
        migrate(STEPS, 7, applied.append)
    assert applied == seen == [*STEPS, STEPS[-1]]


def test_a_store_of_a_newer_program_is_refused() -> None:
    with pytest.raises(StoreTooNew, match="at version 8, made by a newer Haru; this one knows 7: start the newer"):
        pending(STEPS, 8)


def test_a_number_that_is_missing_is_a_fault_of_the_program() -> None:
    with pytest.raises(AssertionError):
        pending((STEPS[0], STEPS[2]), 0)
