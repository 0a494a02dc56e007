from __future__ import annotations

from pathlib import Path

import pytest

from haru.settings import BadSetting, read
from haru.store.duckdb.store import DuckStore
from haru.store.opening import event_store


def settings(folder: Path, url: str = ""):  # type: ignore[no-untyped-def]
    return read({"HARU_DATA_DIR": str(folder), "HARU_EVENTS_URL": url, "HARU_EVENTS_MEMORY": "1GB"})


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("", "duckdb"),
        ("duckdb:///tmp/x.duckdb", "duckdb"),
        ("clickhouse://haru:secret@db/haru", "clickhouse"),
        ("clickhouses://db:8443/haru?cluster=c", "clickhouse"),
        ("chdb:///tmp/chdb", "clickhouse"),
    ],
)
def test_the_scheme_of_the_url_names_the_engine(tmp_path: Path, url: str, engine: str) -> None:
    assert event_store(settings(tmp_path, url)).engine == engine


def test_without_a_url_the_events_lie_in_the_data_folder(tmp_path: Path) -> None:
    store = event_store(settings(tmp_path))
    assert isinstance(store, DuckStore)
    store.open()
    assert (tmp_path / "events.duckdb").is_file()
    store.close()


@pytest.mark.parametrize("url", ["mysql://haru:secret@db/x", "clickhouse://haru:secret@db/a-b", "haru:secret@db"])
def test_a_url_that_cannot_be_used_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSetting, match="HARU_EVENTS_URL") as refused:
        event_store(settings(tmp_path, url))
    assert "secret" not in str(refused.value)


def test_an_installation_keeps_its_name_over_restarts(tmp_path: Path) -> None:
    first, second = (event_store(settings(tmp_path, "clickhouse://db/haru")) for _ in range(2))
    (tmp_path / "other").mkdir()
    other = event_store(settings(tmp_path / "other", "clickhouse://db/haru"))
    assert first._lease._holder == second._lease._holder != other._lease._holder  # type: ignore[attr-defined]
