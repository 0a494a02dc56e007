from __future__ import annotations

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from haru.settings import (
    BadSetting,
    Settings,
    doubts,
    environment_name,
    kept_secret,
    read,
    reference,
    unknown_names,
)

ROOT = Path(__file__).parent.parent


def test_the_environment_comes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    file = tmp_path / "haru.toml"
    file.write_text('port = 4100\nrate_limit = 7\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n')
    settings = read({"HARU_PORT": "4200"}, file)
    assert settings.port == 4200
    assert settings.rate_limit == 7
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("HARU_PORT", "http", "give a number from 1 to 65535"),
        ("HARU_PORT", "0", "give a number from 1 to 65535"),
        ("HARU_BASE_URL", "stats.example.com", "write it with its scheme"),
        ("HARU_BASE_URL", "https://example.com/stats", "leave off"),
        ("HARU_SECRET_KEY", "short", "shorter than 32 characters"),
        ("HARU_DATABASE_URL", "mysql://localhost/haru", "write sqlite:///path or postgresql://"),
        ("HARU_EVENTS_URL", "mongodb://localhost", "write duckdb:///path"),
        ("HARU_EVENTS_URL", "postgresql://me@host/haru?colour=red", "only what libpq knows"),
        ("HARU_EVENTS_URL", "postgresql://me:100%secret@host/haru", "as %40 for @"),
        ("HARU_EVENTS_MEMORY", "lots", "such as 512MB"),
        ("HARU_EVENTS_THREADS", "0", "at least 1"),
        ("HARU_TRUSTED_PROXIES", "10.0.0.0/8, proxy.example", '"proxy.example" is neither an address nor a network'),
        ("HARU_GEOIP_DB", "/no/such/file.mmdb", "name an existing .mmdb file"),
        ("HARU_RATE_LIMIT", "-1", "0 switches the limit off"),
        ("HARU_REGISTRATION", "maybe", "not one of first, open, closed"),
        ("HARU_LOG_LEVEL", "loud", "not one of debug"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_the_remedy(name: str, value: str, remedy: str) -> None:
    with pytest.raises(BadSetting) as refused:
        read({name: value})
    assert str(refused.value).startswith(f"{name}: ")
    assert remedy in str(refused.value)


def test_an_event_store_is_known_by_its_scheme_and_no_password_is_shown() -> None:
    for url in ("duckdb:///srv/events.duckdb", "postgresql://me@host/haru?sslmode=require", "postgres://me@host/haru"):
        assert read({"HARU_EVENTS_URL": url}).events_url == url
    for url in ("mysql://me:hush@host/haru", "postgresql://me:%hush@host/haru"):
        with pytest.raises(BadSetting) as refused:
            read({"HARU_EVENTS_URL": url})
        assert "hush" not in str(refused.value)


def test_a_file_with_an_unknown_name_or_bad_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "haru.toml"
    file.write_text("prot = 4000")
    with pytest.raises(BadSetting, match='sets "prot", which is no setting'):
        read({}, file)
    file.write_text("port = ")
    with pytest.raises(BadSetting, match="cannot be read as TOML"):
        read({}, file)


def test_the_address_of_the_server_follows_its_port() -> None:
    assert read({}).base_url == "http://localhost:4000"
    assert read({"HARU_PORT": "5005"}).base_url == "http://localhost:5005"
    assert read({"HARU_PORT": "5005", "HARU_BASE_URL": " "}).base_url == "http://localhost:5005"
    assert read({"HARU_PORT": "5005", "HARU_BASE_URL": "https://a.example/"}).base_url == "https://a.example"


def test_a_variable_that_is_no_setting_is_named_with_the_nearest_that_is() -> None:
    names = ["HARU_PROT", "HARU_TRUSTED_PROXY", "HARU_QQQQQQQQQQ", "HARU_PORT", "HARU_CONFIG", "PATH"]
    assert unknown_names(dict.fromkeys(names, "")) == [
        "HARU_PROT is no setting: did you mean HARU_PORT?",
        "HARU_QQQQQQQQQQ is no setting: `haru check --settings` lists them all.",
        "HARU_TRUSTED_PROXY is no setting: did you mean HARU_TRUSTED_PROXIES?",
    ]


def test_an_https_address_without_a_trusted_proxy_is_doubted() -> None:
    https = {"HARU_BASE_URL": "https://stats.example.com"}
    (sentence,) = doubts(read(https), {})
    assert "HARU_TRUSTED_PROXIES" in sentence
    assert doubts(read({**https, "HARU_TRUSTED_PROXIES": "127.0.0.1"}), {}) == []
    assert doubts(read({}), {}) == []


def test_every_setting_explains_itself_and_its_default_is_good() -> None:
    assert read({}) == Settings()
    for row in fields(Settings):
        assert row.metadata["help"].endswith(".")
        row.metadata["parse"](row.metadata["default"])


def test_the_reference_in_the_docs_is_the_table() -> None:
    document = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert reference() in document, "run: python -m haru check --settings, and mend docs/settings.md"
    for row in fields(Settings):
        assert environment_name(row.name) in document


def test_the_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    first = kept_secret(path)
    assert len(first) >= 32
    assert kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_a_damaged_secret_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("x")
    with pytest.raises(BadSetting, match="remove it and a new one is made"):
        kept_secret(path)
