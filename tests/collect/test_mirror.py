from __future__ import annotations

import stat
from pathlib import Path

from haru.collect.mirror import FILE, Mirror, Site, write

ONE = Site(id=1, domain="one.example", token="a")
TWO = Site(id=2, domain="two.example", token="b", rate_limit=7)


def test_a_site_is_found_by_token_and_by_domain(tmp_path: Path) -> None:
    write(tmp_path, [TWO, ONE])
    mirror = Mirror(tmp_path)
    assert mirror.by_token("a") == ONE
    assert mirror.by_domain("two.example") == TWO
    assert mirror.by_token("") is None


def test_a_token_that_was_changed_stops_working_with_the_next_refresh(tmp_path: Path) -> None:
    write(tmp_path, [ONE])
    mirror = Mirror(tmp_path)
    write(tmp_path, [Site(id=1, domain="one.example", token="new")])
    assert mirror.refresh()
    assert mirror.by_token("a") is None
    assert mirror.by_token("new") is not None
    assert not mirror.refresh()


def test_no_file_is_no_site_and_a_damaged_one_keeps_what_was_known(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    assert mirror.by_token("a") is None
    write(tmp_path, [ONE])
    assert mirror.refresh()
    (tmp_path / FILE).write_text("{")
    assert not mirror.refresh()
    assert mirror.by_token("a") == ONE


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, [ONE])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
