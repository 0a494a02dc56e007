from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from haru.settings import BadSetting
from haru.web.project import checks, config, database, mail


@pytest.mark.parametrize(
    ("base_url", "hosts"),
    [
        ("https://stats.example.com", ["stats.example.com"]),
        ("http://localhost:4000", ["localhost", "127.0.0.1", "[::1]"]),
        ("http://127.0.0.1:4000", ["127.0.0.1", "localhost", "[::1]"]),
        ("http://[::1]:4000", ["[::1]", "localhost", "127.0.0.1"]),
        ("http://[2001:db8::1]:4000", ["[2001:db8::1]"]),
        ("http://192.168.1.5:4000", ["192.168.1.5"]),
    ],
)
def test_pages_answer_to_the_host_of_the_base_url(base_url, hosts):
    assert config._allowed_hosts(base_url) == hosts


@pytest.mark.parametrize(
    ("url", "host", "port", "ssl", "starttls"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, False, True),
        ("smtp://mail.example.com:2525", "mail.example.com", 2525, False, True),
        ("smtp://relay.example.com:25?starttls=no", "relay.example.com", 25, False, False),
        ("smtp://localhost", "localhost", 25, False, False),
        ("smtp://localhost:587?starttls=yes", "localhost", 587, False, True),
        ("smtps://mail.example.com", "mail.example.com", 465, True, False),
    ],
)
def test_a_mail_server_is_spoken_to_over_tls_unless_told_otherwise(url, host, port, ssl, starttls):
    found = mail.configuration(url)
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == (host, port)
    assert (found["EMAIL_USE_SSL"], found["EMAIL_USE_TLS"]) == (ssl, starttls)


def test_the_name_and_password_of_a_mail_server_may_hold_any_sign():
    found = mail.configuration("smtps://post%40example.com:p%2Fa%3As%23s@mail.example.com")
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("post@example.com", "p/a:s#s")


def test_without_a_mail_server_no_mail_goes_anywhere():
    assert mail.configuration("")["EMAIL_BACKEND"].endswith("dummy.EmailBackend")


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://h:no", "smtp://h?starttls=x"]
)
def test_a_mail_server_that_cannot_be_read_is_refused(url):
    with pytest.raises(BadSetting, match="HARU_EMAIL_URL"):
        mail.configuration(url)


def test_the_database_is_a_file_in_the_data_folder_unless_named(tmp_path):
    found = database.configuration("", tmp_path / "accounts.sqlite3")
    assert found["NAME"] == str(tmp_path / "accounts.sqlite3")
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    named = database.configuration(f"sqlite:///{tmp_path}/other.sqlite3", tmp_path / "unused")
    assert named["NAME"] == f"{tmp_path}/other.sqlite3"
    assert "journal_mode=WAL" in named["OPTIONS"]["init_command"]


def test_postgresql_needs_its_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match="psycopg"):
        database.configuration("postgresql://me@localhost/haru", tmp_path)
    monkeypatch.setattr(database, "find_spec", lambda name: object())
    found = database.configuration("postgresql://me:secret@localhost:5433/haru", tmp_path)
    assert (found["ENGINE"], found["NAME"]) == ("django.db.backends.postgresql", "haru")
    assert (found["USER"], found["PORT"]) == ("me", 5433)


def found_ids() -> set[str]:
    return {str(fault.id) for fault in checks.configuration(None)}


def test_a_server_on_the_internet_without_tls_or_mail_is_warned_of(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    settings.IS_LOOPBACK, settings.IS_HTTPS = False, False
    settings.MAILS_ARE_SENT, settings.DEFAULT_FROM_EMAIL = False, "a@localhost"
    assert found_ids() == {"haru.W001", "haru.W002", "haru.W003", "haru.W004"}
    assert all(fault.hint for fault in checks.configuration(None))


def test_a_server_set_up_well_gets_no_warning(settings, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "app.css").touch()
    settings.STATIC_ROOT = tmp_path
    settings.IS_LOOPBACK, settings.IS_HTTPS = False, True
    settings.MAILS_ARE_SENT, settings.DEFAULT_FROM_EMAIL = True, "a@example.com"
    assert found_ids() == set()


PREPARE = """
import time, sys
from haru.web.project.setup import migrate, prepare
prepare()
began = time.perf_counter()
prepare()
print("again", time.perf_counter() - began, migrate())
from django.conf import settings
print(settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.ALLOWED_HOSTS)
assert settings.SECURE_HSTS_SECONDS > 0
from haru.accounts.registry import create_user
from haru.sites.registry import create_site
create_site("example.com", "UTC", create_user("me@example.com", "a long enough secret"))
"""


def test_an_empty_folder_becomes_a_working_installation(tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HARU_")},
        "HARU_DATA_DIR": str(tmp_path / "data"),
        "HARU_BASE_URL": "https://stats.example.com",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", PREPARE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    again, served = ran.stdout.splitlines()
    assert float(again.split()[1]) < 0.3
    assert again.endswith("[]")
    assert served == "True True ['stats.example.com']"
    database_file = tmp_path / "data" / "accounts.sqlite3"
    assert stat.S_IMODE(database_file.stat().st_mode) == 0o600
    assert "example.com" in (tmp_path / "data" / "sites.json").read_text()
