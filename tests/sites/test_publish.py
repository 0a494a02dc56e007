from __future__ import annotations

import json
import stat

import pytest

from haru.collect.sites import Sites
from haru.sites import publish, registry, signals


@pytest.fixture
def heard():
    """What the sites told the process, in order."""
    told: list[tuple] = []

    def changed(**_):
        told.append(("changed",))

    def deleted(*, site_id, **_):
        told.append(("deleted", site_id))

    signals.changed.connect(changed)
    signals.deleted.connect(deleted)
    yield told
    signals.changed.disconnect(changed)
    signals.deleted.disconnect(deleted)


def test_a_new_site_is_known_to_collect_once_committed(owner, data_dir, heard, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        site = registry.create_site("example.com", "Asia/Tokyo", owner)
        assert heard == []
    kept = Sites(data_dir).by_token(site.token)
    assert (kept.id, kept.domain, kept.timezone, kept.rate_limit) == (site.pk, "example.com", "Asia/Tokyo", None)
    assert heard == [("changed",)]


def test_a_rotated_token_stops_working_at_once(site, data_dir, heard, django_capture_on_commit_callbacks):
    publish.rewrite()
    old = site.token
    with django_capture_on_commit_callbacks(execute=True):
        new = registry.rotate_token(site)
    assert Sites(data_dir).by_token(old) is None
    assert Sites(data_dir).by_token(new).id == site.pk
    assert heard == [("changed",)]


def test_a_deleted_site_leaves_collect_and_its_events_are_asked_to_go(
    site, data_dir, heard, django_capture_on_commit_callbacks
):
    publish.rewrite()
    site_id, token = site.pk, site.token
    with django_capture_on_commit_callbacks(execute=True):
        registry.delete_site(site)
    assert Sites(data_dir).by_token(token) is None
    assert heard == [("changed",), ("deleted", site_id)]


def test_events_of_a_deleted_site_are_asked_to_go_though_the_file_of_sites_cannot_be_written(
    site, monkeypatch, heard, django_capture_on_commit_callbacks
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish.sites, "write", full)
    site_id = site.pk
    with pytest.raises(OSError, match="No space"), django_capture_on_commit_callbacks(execute=True):
        registry.delete_site(site)
    assert heard == [("deleted", site_id)]


def test_another_zone_reaches_collect(site, data_dir, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        registry.set_timezone(site, "America/New_York")
    assert Sites(data_dir).by_domain("example.com").timezone == "America/New_York"


def test_a_change_that_is_rolled_back_is_not_told(site, heard, django_capture_on_commit_callbacks):
    from django.db import transaction

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError), transaction.atomic():
        registry.rotate_token(site)
        raise RuntimeError
    assert heard == []


def test_the_file_of_sites_is_for_this_user_alone_and_holds_no_people(site, owner, data_dir):
    publish.rewrite()
    file = data_dir / "sites.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert owner.email not in file.read_text()
    assert [row["domain"] for row in json.loads(file.read_text())] == ["example.com"]
