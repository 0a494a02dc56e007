from __future__ import annotations

import re
from email import message_from_bytes

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.test import RequestFactory

from haru import settings as haru_settings
from haru.accounts.adapter import Adapter
from haru.server import application
from haru.web.project import middleware
from tests.conftest import PASSWORD

CREDENTIALS = {"login": "owner@example.com", "password": PASSWORD}


def test_every_page_carries_the_strict_headers(sign_in, owner):
    for browser, path in [(sign_in(), "/account/login/"), (sign_in(owner), "/sites"), (sign_in(), "/nothing/here")]:
        headers = browser.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in headers["Permissions-Policy"]


def test_no_page_needs_what_the_policy_forbids(sign_in, owner, site):
    inline = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", re.IGNORECASE)
    for path in ["/account/login/", "/account/signup/", "/sites/new", "/sites/example.com/settings", "/account/keys"]:
        body = sign_in(owner if not path.startswith("/account/l") else None).get(path).content.decode()
        assert not inline.search(body.replace("&lt;script", "")), path


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1"])
def test_an_unknown_host_gets_400(db, sign_in, host, caplog):
    for path in ["/account/login/", "/nothing/here", "/static/build/app.css"]:
        answer = sign_in().get(path, headers={"host": host})
        assert answer.status_code == 400
        assert "does not go by that name" in answer.content.decode()
        assert "localhost:4000" not in answer.content.decode()
        assert "Content-Security-Policy" in answer.headers
    assert "DisallowedHost" not in caplog.text


@pytest.mark.parametrize("host", ["localhost:4000", "127.0.0.1:4000", "[::1]:4000"])
def test_a_loopback_server_answers_to_all_its_names(db, sign_in, host):
    assert sign_in().get("/account/login/", headers={"host": host}).status_code == 200


def test_the_cookies_are_for_the_server_alone(db, sign_in, owner):
    browser = sign_in()
    browser.get("/account/login/")
    browser.post("/account/login/", CREDENTIALS)
    for name in ("haru_session", "haru_csrf"):
        assert browser.cookies[name]["httponly"]
        assert browser.cookies[name]["samesite"] == "Lax"
        assert not browser.cookies[name]["domain"]


def test_a_form_without_its_key_is_refused(sign_in, owner):
    answer = sign_in(owner, enforce_csrf_checks=True).post("/account/logout/")
    assert answer.status_code == 403
    assert "load the page again" in answer.content.decode()


def test_no_address_of_a_signed_in_person_reaches_the_database(sign_in, owner):
    browser = sign_in(REMOTE_ADDR="203.0.113.77")
    browser.post("/account/login/", {**CREDENTIALS, "password": "wrong"})
    browser.post("/account/login/", CREDENTIALS)
    browser.get("/sites")
    browser.post("/account/password/reset/", {"email": "owner@example.com"})
    assert Session.objects.get().get_decoded()["_auth_user_id"] == str(owner.pk)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "203.0.113.77" not in repr(cursor.fetchall()), table
    for session in Session.objects.all():
        assert "203.0.113.77" not in repr(session.get_decoded())


def test_no_address_of_a_signed_in_person_reaches_a_log(sign_in, owner, caplog, capfd):
    caplog.set_level("DEBUG")
    browser = sign_in(REMOTE_ADDR="203.0.113.77")
    for _ in range(6):
        browser.post("/account/login/", {**CREDENTIALS, "password": "wrong"})
    browser.get("/account/login/", headers={"host": "evil.example"})
    browser.get("/nothing/here")
    assert "203.0.113.77" not in caplog.text + "".join(capfd.readouterr())


def test_the_wrong_password_cannot_be_tried_for_ever(sign_in, owner):
    browser = sign_in()
    for _ in range(5):
        browser.post("/account/login/", {**CREDENTIALS, "password": "wrong"})
    answer = browser.post("/account/login/", CREDENTIALS)
    assert "Too many failed login attempts" in answer.content.decode()
    assert "_auth_user_id" not in browser.session


def test_one_address_cannot_try_one_person_after_the_other(db, quick_passwords, sign_in):
    answers = [
        sign_in(REMOTE_ADDR="203.0.113.77").post("/account/login/", {"login": f"p{n}@example.com", "password": "wrong"})
        for n in range(31)
    ]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"]
    other = sign_in(REMOTE_ADDR="203.0.113.78").post("/account/login/", {"login": "q@example.com", "password": "wrong"})
    assert other.status_code == 200


@pytest.fixture
def behind_proxies(monkeypatch):
    """The settings with 10.0.0.0/8 as trusted proxies."""
    settings = haru_settings.read({"HARU_TRUSTED_PROXIES": "10.0.0.0/8"})
    monkeypatch.setattr(haru_settings, "current", lambda: settings)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.5", "198.51.100.9", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.9, 10.0.0.2", "198.51.100.9"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(behind_proxies, peer, forwarded_for, client):
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded_for)
    assert Adapter(request).get_client_ip(request) == client


@pytest.mark.parametrize(
    ("peer", "secure"), [("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("203.0.113.5", False), ("", False)]
)
def test_only_trusted_proxies_say_that_a_request_came_by_https(behind_proxies, peer, secure):
    seen = []
    proxies = middleware.TrustedProxies(lambda request: seen.append(request.is_secure()))
    proxies(RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https"))
    assert seen == [secure]


@pytest.mark.parametrize(
    ("server", "client", "peer"),
    [
        (("127.0.0.1", 4000), None, None),  # it was reset before the server could ask whose it is
        (("127.0.0.1", 4000), ("203.0.113.7", 1), ("203.0.113.7", 1)),
        (("/data/pages.sock", None), None, ("198.51.100.7", 0)),
    ],
)
async def test_only_on_the_unix_socket_is_it_believed_who_asked(server, client, peer, monkeypatch):
    served = application.Application(haru_settings.read({}))
    served.node = object()
    peers = []

    async def page(scope, receive, send):
        peers.append(scope["client"])

    monkeypatch.setattr(served, "_page", page)
    headers = [(b"x-haru-peer", b"198.51.100.7")]
    scope = {"type": "http", "path": "/account/login/", "server": server, "client": client, "headers": headers}
    await served(scope, None, None)
    assert peers == [peer]


@pytest.mark.parametrize("host", ["127.0.0.1:9999", "[::1]:1"])
@pytest.mark.usefixtures("open_registration")
def test_links_in_mail_lead_to_the_base_url_whatever_the_host_header_says(mail_server, sign_in, owner, host):
    EmailAddress.objects.update(verified=False)
    browser = sign_in()
    browser.post("/account/password/reset/", {"email": "owner@example.com"}, headers={"host": host})
    change = {"action_add": "1", "email": "new@example.com", "password": PASSWORD}
    sign_in(owner).post("/account/email/", change, headers={"host": host})
    browser.post("/account/signup/", {"email": "other@example.com", "password1": PASSWORD}, headers={"host": host})
    assert [message.to for message in mail.outbox] == [
        ["owner@example.com"],
        ["new@example.com"],
        ["other@example.com"],
    ]
    for message in mail.outbox:
        text = message_from_bytes(message.message().as_bytes()).get_payload(decode=True).decode()
        assert re.findall(r"https?://[^/\s]+", text)
        assert set(re.findall(r"https?://[^/\s]+", text)) == {"http://localhost:4000"}


def test_where_to_go_after_signing_in_stays_on_this_server(sign_in, owner):
    answer = sign_in().post("/account/login/?next=https://evil.example/", CREDENTIALS)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    answer = sign_in().post("/account/login/?next=/sites/new", CREDENTIALS)
    assert answer.headers["Location"] == "/sites/new"
