"""The built tracker: its size and what it may not do."""

from pathlib import Path

import pytest

from haru.web.templatetags.icons import BUILD

LIMIT = 2000


@pytest.fixture
def tracker() -> bytes:
    file = Path(BUILD) / "haru.js"
    if not file.exists():
        pytest.fail("the front end is not built: npm ci && npm run build in frontend/")
    return file.read_bytes()


def test_it_stays_under_two_thousand_bytes_uncompressed(tracker):
    assert 500 < len(tracker) < LIMIT


def test_it_sets_no_cookie_and_writes_nothing_to_storage(tracker):
    assert b"cookie" not in tracker
    assert b"setItem" not in tracker
    assert b"sessionStorage" not in tracker


def test_it_has_one_global(tracker):
    assert tracker.count(b"window.") == 1
    assert b"window.haru=" in tracker
