from __future__ import annotations

from pathlib import Path

import pytest

from haru.spool.keys import FILE, IdempotencyKeys
from haru.spool.spool import KEY_LIFETIME_MS, SpoolUnavailable

NOW = 1_700_000_000_000


@pytest.fixture
def keys(tmp_path: Path) -> IdempotencyKeys:
    return IdempotencyKeys(tmp_path)


def test_a_key_belongs_to_its_first_owner(keys: IdempotencyKeys) -> None:
    assert keys.duplicates([(1, "order", NOW, "spool/1/0"), (1, "order", NOW, "spool-1/1/0")]) == {"spool-1/1/0"}
    assert keys.duplicates([(1, "order", NOW, "spool-1/9/0")]) == {"spool-1/9/0"}
    keys.close()


def test_an_owner_that_asks_again_still_has_its_key(keys: IdempotencyKeys) -> None:
    assert keys.duplicates([(1, "order", NOW, "spool/1/0")]) == set()
    assert keys.duplicates([(1, "order", NOW, "spool/1/0")]) == set()
    keys.close()


def test_a_key_is_of_one_site_and_of_one_day(keys: IdempotencyKeys) -> None:
    keys.duplicates([(1, "order", NOW, "a")])
    assert keys.duplicates([(2, "order", NOW, "b")]) == set()
    assert keys.duplicates([(1, "order", NOW + KEY_LIFETIME_MS, "c")]) == {"c"}
    assert keys.duplicates([(1, "order", NOW + KEY_LIFETIME_MS + 1, "d")]) == set()
    keys.close()


def test_keys_outlive_the_process_but_not_their_site(keys: IdempotencyKeys, tmp_path: Path) -> None:
    keys.duplicates([(1, "order", NOW, "a"), (2, "order", NOW, "b")])
    keys.close()
    again = IdempotencyKeys(tmp_path)
    again.forget_site(1)
    assert again.duplicates([(1, "order", NOW, "c"), (2, "order", NOW, "d")]) == {"d"}
    again.close()


def test_a_file_that_cannot_be_used_is_named_with_the_remedy(keys: IdempotencyKeys, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    for use in (lambda: keys.duplicates([(1, "order", NOW, "a")]), lambda: keys.forget_site(1)):
        with pytest.raises(SpoolUnavailable, match=r"claims\.sqlite3 cannot be used .* disk has space"):
            use()


def test_a_folder_that_is_gone_makes_the_keys_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnavailable, match="No such file"):
        IdempotencyKeys(tmp_path / "gone").forget_site(1)
