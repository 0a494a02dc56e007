"""Guessing passwords: slow from one network and from many, and never at the cost of the account's owner."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.core import mail

from haru import settings as haru_settings
from haru.accounts import registry
from haru.accounts.attempts import COOKIE
from tests.conftest import PASSWORD

OWNER = "203.0.113.5"
ATTACKER = "198.51.100.9"
NEW = "quite another secret"
BUDGET = 12


@pytest.fixture(autouse=True)
def small_budget(settings, quick_passwords) -> None:
    """A hundred requests take seconds: guessing from everywhere is bounded earlier."""
    assert settings.ACCOUNT_RATE_LIMITS["login_guessed"] == "100/h/key"
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "login_guessed": f"{BUDGET}/h/key"}


def try_to_sign_in(browser, password: str, email: str = "owner@example.com", **extra) -> str:
    """`in`, `wrong` password, `limited`, or `429`."""
    answer = browser.post("/account/login/", {"login": email, "password": password}, **extra)
    if answer.status_code == 429:
        return "429"
    if "_auth_user_id" in browser.session:
        return "in"
    return "limited" if "Too many failed login attempts" in answer.content.decode() else "wrong"


def guess_from_many_networks(sign_in, times: int) -> set[str]:
    networks = [f"2001:db8:{n:x}::1" for n in range(times)]
    return {try_to_sign_in(sign_in(REMOTE_ADDR=network), "wrong") for network in networks}


def test_five_wrong_passwords_lock_their_own_network_out_and_not_the_owners(owner, sign_in):
    attacker = [try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), "wrong") for _ in range(6)]
    assert attacker == ["wrong"] * 5 + ["limited"]
    assert try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), PASSWORD) == "limited"
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), PASSWORD) == "in"


def test_an_attacker_in_the_owners_address_range_is_another_network(owner, sign_in):
    for _ in range(6):
        try_to_sign_in(sign_in(REMOTE_ADDR="203.0.113.6"), "wrong")
        try_to_sign_in(sign_in(REMOTE_ADDR="2001:db8:0:2::9"), "wrong")
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), PASSWORD) == "in"
    assert try_to_sign_in(sign_in(REMOTE_ADDR="2001:db8:0:1::9"), PASSWORD) == "in"


def test_the_addresses_of_one_ipv6_network_are_counted_together(owner, sign_in):
    tries = [try_to_sign_in(sign_in(REMOTE_ADDR=f"2001:db8:0:1::{n:x}"), "wrong") for n in range(6)]
    assert tries[-1] == "limited"


def test_the_name_of_the_host_and_the_letter_case_open_no_new_count(owner, sign_in):
    for n, email in enumerate(["owner@example.com", "OWNER@example.com", "Owner@Example.com"] * 2):
        try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), "wrong", email, headers={"host": f"localhost:{n + 1}"})
    assert try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), PASSWORD) == "limited"


def test_one_network_that_tries_many_accounts_is_limited(db, sign_in):
    tries = [try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), "wrong", f"p{n}@example.com") for n in range(31)]
    assert tries[:10] == ["wrong"] * 10
    assert set(tries[10:30]) == {"limited"}
    assert tries[30] == "429"


def test_many_networks_are_bounded_and_the_owners_own_is_let_through(owner, sign_in):
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), PASSWORD) == "in"
    assert guess_from_many_networks(sign_in, BUDGET) == {"wrong"}
    assert guess_from_many_networks(sign_in, 3) == {"limited"}
    assert try_to_sign_in(sign_in(REMOTE_ADDR=ATTACKER), PASSWORD) == "limited"
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), PASSWORD) == "in"


def test_the_owners_browser_is_let_through_from_anywhere_and_after_a_restart(owner, stranger, sign_in):
    browser = sign_in(REMOTE_ADDR=OWNER)
    assert try_to_sign_in(browser, PASSWORD) == "in"
    cookie = browser.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    guess_from_many_networks(sign_in, BUDGET)
    elsewhere = sign_in(REMOTE_ADDR="203.0.113.77")
    elsewhere.cookies[COOKIE] = cookie.value
    assert try_to_sign_in(elsewhere, PASSWORD) == "in"
    for made_up in (str(owner.pk), cookie.value[:-1], "x:y:z"):
        other = sign_in(REMOTE_ADDR="203.0.113.78")
        other.cookies[COOKIE] = made_up
        assert try_to_sign_in(other, PASSWORD) == "limited"
    strangers = sign_in(REMOTE_ADDR="203.0.113.79")
    assert try_to_sign_in(strangers, PASSWORD, "stranger@example.com") == "in"
    strangers.post("/account/logout/")
    assert try_to_sign_in(strangers, PASSWORD) == "limited"


def test_whoever_has_the_mail_gets_in_while_everybody_is_limited(mail_server, owner, sign_in):
    guess_from_many_networks(sign_in, BUDGET)
    browser = sign_in(REMOTE_ADDR=OWNER)
    assert try_to_sign_in(browser, PASSWORD) == "limited"
    browser.post("/account/password/reset/", {"email": "owner@example.com"})
    link = re.search(r"http://localhost:4000(/\S+)", mail.outbox[-1].body).group(1)
    page = browser.get(link, follow=True)
    done = browser.post(page.request["PATH_INFO"], {"password1": NEW, "password2": NEW}, follow=True)
    assert "Password successfully changed" in unescape(done.content.decode())
    assert "_auth_user_id" in browser.session
    browser.post("/account/logout/")
    assert try_to_sign_in(browser, NEW) == "in"


def test_a_new_password_from_the_operator_lets_in_again(owner, sign_in):
    for _ in range(5):
        try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), "wrong")
    guess_from_many_networks(sign_in, BUDGET)
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), PASSWORD) == "limited"
    registry.set_password("owner@example.com", NEW)
    assert try_to_sign_in(sign_in(REMOTE_ADDR=OWNER), NEW) == "in"


def test_asking_for_mails_again_and_again_fills_no_mailbox_and_keeps_nobody_from_asking(mail_server, owner, sign_in):
    for n in range(30):
        answer = sign_in(REMOTE_ADDR=f"198.51.100.{n}").post("/account/password/reset/", {"email": "owner@example.com"})
        assert answer.status_code == 302
    assert len(mail.outbox) == 20
    answer = sign_in(REMOTE_ADDR=OWNER).post("/account/password/reset/", {"email": "owner@example.com"}, follow=True)
    assert "on its way" in answer.content.decode()
    link = re.search(r"http://localhost:4000(/\S+)", mail.outbox[0].body).group(1)
    assert "Keep this password" in sign_in().get(link, follow=True).content.decode()


@pytest.fixture
def behind_proxies(monkeypatch):
    """The settings with 10.0.0.0/8 as trusted proxies."""
    settings = haru_settings.read({"HARU_TRUSTED_PROXIES": "10.0.0.0/8"})
    monkeypatch.setattr(haru_settings, "current", lambda: settings)


def test_behind_a_proxy_the_client_is_the_one_that_the_proxy_names(behind_proxies, owner, sign_in):
    def through_proxy(forwarded_for: str, password: str) -> str:
        return try_to_sign_in(sign_in(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded_for), password)

    # What stands left of the last address is the client's own word: it opens no new count.
    tries = [through_proxy(f"192.0.2.{n}, {ATTACKER}", "wrong") for n in range(6)]
    assert tries == ["wrong"] * 5 + ["limited"]
    assert through_proxy(OWNER, PASSWORD) == "in"
