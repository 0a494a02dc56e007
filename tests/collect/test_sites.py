from __future__ import annotations

import stat
from pathlib import Path

import pytest

from haru.collect.sites import FILE, Site, Sites, write

ONE = Site(id=1, domain="one.example", token="a")
TWO = Site(id=2, domain="two.example", token="b", rate_limit=7)


def test_a_site_is_found_by_token_and_by_domain(tmp_path: Path) -> None:
    write(tmp_path, [TWO, ONE])
    sites = Sites(tmp_path)
    assert sites.by_token("a") == ONE
    assert sites.by_domain("two.example") == TWO
    assert sites.by_token("") is None


def test_a_token_that_was_changed_stops_working_with_the_next_refresh(tmp_path: Path) -> None:
    write(tmp_path, [ONE])
    sites = Sites(tmp_path)
    write(tmp_path, [Site(id=1, domain="one.example", token="new")])
    assert sites.refresh()
    assert sites.by_token("a") is None
    assert sites.by_token("new") is not None
    assert not sites.refresh()


def test_no_file_is_no_site_and_a_damaged_one_keeps_what_was_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sites = Sites(tmp_path)
    assert sites.by_token("a") is None
    write(tmp_path, [ONE])
    assert sites.refresh()
    (tmp_path / FILE).write_text("{")
    for _ in range(3):  # as unknown tokens make it look
        assert not sites.refresh()
    assert sites.by_token("a") == ONE
    assert [record.message for record in caplog.records] == ["sites_unreadable"]
    write(tmp_path, [ONE])
    assert sites.refresh()


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, [ONE])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('[{"id":1,"domain":"one.example","token":"a","timezone":"UTC","rate_limit":null}]')
    site = Sites(tmp_path).by_token("a")
    assert site == ONE
    assert site is not None
    assert not site.excludes


def test_the_rules_of_a_site_come_back_as_they_were_written(tmp_path: Path) -> None:
    site = Site(
        id=3,
        domain="three.example",
        token="c",
        excluded_addresses=("10.0.0.0/8", "2001:db8::/64"),
        excluded_countries=("DE",),
        excluded_pages=("/admin/**",),
        allowed_hostnames=("*.three.example",),
        honour_opt_out=True,
    )
    assert site.excludes
    write(tmp_path, [site])
    assert "exclusions" not in (tmp_path / FILE).read_text()
    found = Sites(tmp_path).by_token("c")
    assert found == site
    assert found is not None
    assert found.exclusions.has_address("10.1.2.3")
