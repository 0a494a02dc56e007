"""Changing the address of an account: no moment in which it has none, or one that somebody else can take."""

from __future__ import annotations

import re
from html import unescape
from smtplib import SMTPRecipientsRefused

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from haru.accounts import addresses, registry
from haru.accounts.models import User, canonical_email
from haru.server.logs import Json
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("open_registration")


def text_of(answer) -> str:
    return re.sub("</?strong>", "", unescape(answer.content.decode()))


def link_in_last_mail() -> str:
    links = [link for message in mail.outbox for link in re.findall(r"http://localhost:4000(/\S+)", message.body)]
    return links[-1]


def signs_in(sign_in, email: str, password: str = PASSWORD) -> bool:
    browser = sign_in()
    browser.post("/account/login/", {"login": email, "password": password})
    return "_auth_user_id" in browser.session


def ask_for(browser, email: str, password: str = PASSWORD):
    return browser.post("/account/email/", {"action_add": "1", "email": email, "password": password}, follow=True)


def register(sign_in, email: str):
    browser = sign_in()
    return browser, browser.post("/account/signup/", {"email": email, "password1": PASSWORD}, follow=True)


def rows() -> list[tuple[str, str, bool, bool]]:
    """Every account with its row in the table of addresses."""
    found = EmailAddress.objects.order_by("user_id")
    return [(row.user.email, row.email, row.primary, row.verified) for row in found]


@pytest.fixture
def unconfirmed(mail_server, quick_passwords, sign_in):
    """The browser of somebody who registered as first@example.com and never opened the link."""
    browser, _ = register(sign_in, "first@example.com")
    return browser


def test_an_address_that_was_never_confirmed_stays_until_the_new_one_is(unconfirmed, sign_in):
    page = text_of(ask_for(unconfirmed, "fresh@example.com"))
    assert "You sign in as first@example.com." in page
    assert "fresh@example.com waits for you" in page
    assert mail.outbox[-1].to == ["fresh@example.com"]
    assert signs_in(sign_in, "first@example.com")
    assert not signs_in(sign_in, "fresh@example.com")
    assert rows() == [("first@example.com", "first@example.com", True, False)]
    link = link_in_last_mail()
    assert "Is fresh@example.com your address?" in text_of(sign_in().get(link))
    assert rows() == [("first@example.com", "first@example.com", True, False)]
    sign_in().post(link)
    assert rows() == [("fresh@example.com", "fresh@example.com", True, True)]
    assert signs_in(sign_in, "fresh@example.com")
    assert not signs_in(sign_in, "first@example.com")
    assert User.objects.get().new_email == ""
    for again in (sign_in().get(link), sign_in().post(link)):
        assert again.status_code == 404
        assert "used before or is too old" in text_of(again)


def test_a_confirmed_address_stays_until_the_new_one_is_confirmed(mail_server, owner, sign_in):
    ask_for(sign_in(owner), "fresh@example.com")
    assert signs_in(sign_in, "owner@example.com")
    assert not signs_in(sign_in, "fresh@example.com")
    assert "You now sign in as fresh@example.com." in text_of(sign_in(owner).post(link_in_last_mail(), follow=True))
    assert rows() == [("fresh@example.com", "fresh@example.com", True, True)]


@pytest.mark.parametrize("password", ["", "wrong"])
def test_whoever_sits_at_an_unlocked_browser_cannot_change_the_address(mail_server, owner, sign_in, password):
    browser = sign_in(owner)
    assert "Your password" in text_of(browser.get("/account/email/"))
    answer = ask_for(browser, "thief@example.com", password)
    assert answer.status_code == 422
    assert ("not your password" if password else "required") in text_of(answer)
    owner.refresh_from_db()
    assert owner.new_email == ""
    assert not mail.outbox


def test_the_old_address_is_told_of_a_change_when_it_is_requested_and_when_it_is_made(mail_server, owner, sign_in):
    ask_for(sign_in(owner), "fresh@example.com")
    link = link_in_last_mail()
    sign_in().post(link)
    assert [(message.to, message.subject) for message in mail.outbox] == [
        (["fresh@example.com"], "Confirm your address for Haru"),
        (["owner@example.com"], "Somebody wants to change your address for Haru"),
        (["owner@example.com"], "Your address for Haru has changed"),
    ]
    for notice in mail.outbox[1:]:
        assert "fresh@example.com" in notice.body
        assert "If it was not you" in notice.body
        assert re.findall(r"https?://\S+", notice.body) == ["http://localhost:4000"]


def test_an_address_that_nobody_confirmed_is_told_nothing_as_it_may_be_somebody_elses(unconfirmed, sign_in):
    ask_for(unconfirmed, "fresh@example.com")
    sign_in().post(link_in_last_mail())
    assert User.objects.get().email == "fresh@example.com"
    assert [message.to for message in mail.outbox] == [["first@example.com"], ["fresh@example.com"]]
    assert mail.outbox[0].subject == "Confirm your address for Haru"  # the mail of the registration


def test_a_mailbox_that_takes_no_notice_hinders_no_change(mail_server, owner, sign_in, monkeypatch):
    send = mail.EmailMessage.send

    def refuse(message: mail.EmailMessage, *arguments: object) -> int:
        if message.to == ["owner@example.com"]:
            raise SMTPRecipientsRefused({})
        return send(message, *arguments)

    monkeypatch.setattr(mail.EmailMessage, "send", refuse)
    page = text_of(ask_for(sign_in(owner), "fresh@example.com"))
    assert "fresh@example.com waits for you" in page
    assert "could not be sent" not in page
    page = text_of(sign_in(owner).post(link_in_last_mail(), follow=True))
    assert "You now sign in as fresh@example.com." in page
    assert "could not be sent" not in page


def test_an_address_that_waits_is_free_for_whoever_registers_it(unconfirmed, sign_in):
    ask_for(unconfirmed, "fresh@example.com")
    link = link_in_last_mail()
    _, page = register(sign_in, "fresh@example.com")
    assert page.status_code == 200
    assert [row[0] for row in rows()] == ["first@example.com", "fresh@example.com"]
    assert "belongs to another account" in text_of(sign_in().get(link))
    answer = sign_in().post(link)
    assert answer.status_code == 409
    assert "belongs to another account" in text_of(answer)
    assert [row[0] for row in rows()] == ["first@example.com", "fresh@example.com"]
    assert "already registered" in text_of(register(sign_in, "first@example.com")[1])


def test_the_password_of_an_account_is_not_reset_by_mail_to_an_address_that_waits(unconfirmed, sign_in):
    ask_for(unconfirmed, "fresh@example.com")
    sent = len(mail.outbox)
    sign_in().post("/account/password/reset/", {"email": "fresh@example.com"})
    assert len(mail.outbox) == sent


def test_many_people_change_an_unconfirmed_address_one_after_the_other(mail_server, quick_passwords, sign_in):
    for name in ("a", "b", "c"):
        browser, _ = register(sign_in, f"{name}@example.com")
        assert ask_for(browser, f"{name}2@example.com").status_code == 200
    assert [row[0] for row in rows()] == ["a@example.com", "b@example.com", "c@example.com"]


def test_a_change_is_cancelled_and_its_link_ends(unconfirmed, sign_in):
    ask_for(unconfirmed, "fresh@example.com")
    link = link_in_last_mail()
    page = text_of(unconfirmed.post("/account/email/", {"action_remove": "1"}, follow=True))
    assert "Your address stays first@example.com." in page
    assert "waits for you" not in page
    assert sign_in().post(link).status_code == 404
    assert rows() == [("first@example.com", "first@example.com", True, False)]


def test_a_later_change_ends_the_link_of_an_earlier_one(unconfirmed, sign_in):
    ask_for(unconfirmed, "one@example.com")
    link = link_in_last_mail()
    ask_for(unconfirmed, "two@example.com")
    assert sign_in().post(link).status_code == 404
    sign_in().post(link_in_last_mail())
    assert User.objects.get().email == "two@example.com"


def test_a_new_password_ends_the_link_that_somebody_else_asked_for(mail_server, owner, sign_in):
    ask_for(sign_in(owner), "thief@example.com")
    link = link_in_last_mail()
    registry.set_password("owner@example.com", "another long secret")
    assert sign_in().post(link).status_code == 404
    owner.refresh_from_db()
    assert owner.email == "owner@example.com"


def test_the_link_to_the_old_address_does_nothing_after_the_change(unconfirmed, sign_in):
    old = link_in_last_mail()
    ask_for(unconfirmed, "fresh@example.com")
    sign_in().post(link_in_last_mail())
    sign_in().post(old)
    assert rows() == [("fresh@example.com", "fresh@example.com", True, True)]


def test_the_own_address_is_confirmed_while_another_waits(unconfirmed, sign_in):
    own = link_in_last_mail()
    ask_for(unconfirmed, "fresh@example.com")
    sign_in().post(own)
    assert rows() == [("first@example.com", "first@example.com", True, True)]
    sign_in().post(link_in_last_mail())
    assert rows() == [("fresh@example.com", "fresh@example.com", True, True)]


def test_a_link_is_sent_again_but_not_at_once(unconfirmed):
    ask_for(unconfirmed, "fresh@example.com")
    sent = len(mail.outbox)
    page = text_of(unconfirmed.post("/account/email/", {"action_send": "1"}, follow=True))
    assert "sent a moment ago" in page
    assert len(mail.outbox) == sent
    unconfirmed.post("/account/email/", {"action_remove": "1"})
    assert "not confirmed this address yet" in text_of(unconfirmed.get("/account/email/"))


@pytest.mark.parametrize("key", ["rubbish", "a:b:c", "%00", "é"])
def test_a_made_up_link_is_none(db, sign_in, key):
    answer = sign_in().get(f"/account/email/{key}/")
    assert answer.status_code == 404
    assert "used before or is too old" in text_of(answer)


def test_without_mail_the_change_is_made_at_once_with_the_password_and_said_so(owner, sign_in):
    browser = sign_in(owner)
    assert "the new address holds at once" in text_of(browser.get("/account/email/"))
    for password in ("", "wrong"):
        answer = browser.post(
            "/account/email/", {"action_add": "1", "email": "fresh@example.com", "password": password}
        )
        assert answer.status_code == 422
    assert rows()[0][0] == "owner@example.com"
    form = {"action_add": "1", "email": "Fresh@example.com", "password": PASSWORD}
    page = text_of(browser.post("/account/email/", form, follow=True))
    assert "You now sign in as fresh@example.com. This server sends no mail" in page
    assert not mail.outbox
    assert rows() == [("fresh@example.com", "fresh@example.com", True, False)]
    assert signs_in(sign_in, "fresh@example.com")
    assert not signs_in(sign_in, "owner@example.com")


def test_without_mail_the_address_of_another_account_is_refused(owner, stranger, sign_in):
    form = {"action_add": "1", "email": "STRANGER@example.com", "password": PASSWORD}
    answer = sign_in(owner).post("/account/email/", form)
    assert answer.status_code == 422
    assert "belongs to another account" in text_of(answer)
    assert [row[0] for row in rows()] == ["owner@example.com", "stranger@example.com"]
    assert "You sign in as owner@example.com." in text_of(answer)


@pytest.mark.parametrize(
    ("email", "says"),
    [
        ("OWNER@example.com", "your address already"),
        ("no address", "valid email address"),
        ("", "required"),
        (f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.example", "valid email address"),
        ("a\x00b@example.com", "Null characters"),
    ],
)
def test_what_cannot_be_the_new_address_is_refused_with_a_sentence(mail_server, owner, sign_in, email, says):
    answer = ask_for(sign_in(owner), email)
    assert answer.status_code == 422
    assert says in text_of(answer)
    owner.refresh_from_db()
    assert owner.new_email == ""


@pytest.mark.parametrize(
    "written",
    [
        "mara@bücher.example",
        "MARA@BÜCHER.example",
        "mara@xn--bcher-kva.example",
        " Mara@bücher.example ",
        "mara@ｂücher.example",
    ],
)
def test_an_address_is_one_however_its_letters_and_domain_are_written(make_user, sign_in, written):
    user = make_user("mara@bücher.example")
    assert user.email == "mara@xn--bcher-kva.example"
    assert canonical_email(written) == user.email
    assert signs_in(sign_in, written)
    with pytest.raises(registry.AccountError, match="already an account"):
        registry.create_user(written, PASSWORD)
    register(sign_in, written)
    assert User.objects.count() == 1


def test_letters_that_only_look_alike_to_a_database_are_one(make_user):
    make_user("task@example.com")
    for written in ("taſk@example.com", "tas\N{KELVIN SIGN}@example.com", "task＠example.com"):
        with pytest.raises(registry.AccountError):
            registry.create_user(written, PASSWORD)


@pytest.mark.parametrize("text", ["", "@", "a@", "@b.example", "ä@example.com", "a@b", "a@" + "ü" * 300 + ".example"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValidationError):
        registry.checked_email(text)


def test_a_reset_goes_to_the_address_of_the_account_and_not_to_what_was_typed(mail_server, make_user, sign_in):
    make_user("mara@straße.example")
    sign_in().post("/account/password/reset/", {"email": "mara@STRASSE.example"})
    assert not mail.outbox  # another domain today: IDNA 2008 keeps the sharp s
    sign_in().post("/account/password/reset/", {"email": "Mara@Straße.example"})
    assert mail.outbox[-1].to == ["mara@xn--strae-oqa.example"]


def test_no_account_can_be_kept_without_an_address(owner):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=owner.pk).update(email="")


def test_of_accounts_that_confirm_one_address_one_gets_it_and_the_others_keep_theirs(make_user):
    users = [make_user(f"{name}@example.com") for name in ("a", "b", "c")]
    for user in users:
        addresses.request_change(user, "same@example.com")
    keys = [addresses.key_of(user) for user in users]  # nothing is looked at between the click and the change
    assert addresses.confirm(keys[1]).email == "same@example.com"
    for key in (keys[0], keys[2]):
        with pytest.raises(addresses.AddressTaken):
            addresses.confirm(key)
    assert addresses.confirm(keys[1]) is None
    assert [row[0] for row in rows()] == ["a@example.com", "same@example.com", "c@example.com"]
    assert all(row[0] == row[1] and row[2] for row in rows())


def test_of_two_who_register_one_address_at_once_one_gets_a_sentence(
    db, quick_passwords, sign_in, settings, monkeypatch
):
    # The look whether an address is taken comes before the row is written: of two at once both looks come first.
    monkeypatch.setattr("allauth.account.internal.flows.manage_email.assess_unique_email", lambda *_, **__: True)
    assert register(sign_in, "same@example.com")[1].status_code == 200
    second = register(sign_in, "same@example.com")[1]
    assert second.status_code == 200
    assert "already registered" in text_of(second)
    assert rows() == [("same@example.com", "same@example.com", True, False)]


@pytest.mark.django_db(transaction=True)
def test_an_account_that_lost_its_address_in_an_earlier_version_has_one_again():
    before = MigrationExecutor(connection).loader.graph.leaf_nodes()
    executor = MigrationExecutor(connection)
    executor.migrate([("accounts", "0001_initial")])
    users = executor.loader.project_state([("accounts", "0001_initial")]).apps.get_model("accounts", "User").objects
    lost, waits, wide = (users.create(email=email) for email in ("", "u@example.com", "u@bücher.example"))
    rows_before = [(lost, "new@example.com", False), (waits, "u@example.com", True), (waits, "next@example.com", False)]
    for user, email, verified in [*rows_before, (wide, "u@bücher.example", True)]:
        EmailAddress.objects.create(user_id=user.pk, email=email, verified=verified, primary=verified)
    MigrationExecutor(connection).migrate(before)
    assert rows() == [
        ("new@example.com", "new@example.com", True, False),
        ("u@example.com", "u@example.com", True, True),
        ("u@xn--bcher-kva.example", "u@xn--bcher-kva.example", True, True),
    ]
    assert User.objects.get(pk=waits.pk).new_email == "next@example.com"


@pytest.mark.django_db(transaction=True)
def test_an_account_whose_lost_address_was_registered_by_somebody_else_keeps_a_name():
    before = MigrationExecutor(connection).loader.graph.leaf_nodes()
    executor = MigrationExecutor(connection)
    executor.migrate([("accounts", "0001_initial")])
    users = executor.loader.project_state([("accounts", "0001_initial")]).apps.get_model("accounts", "User").objects
    lost, other = users.create(email=""), users.create(email="mine@example.com")
    EmailAddress.objects.create(user_id=lost.pk, email="mine@example.com")
    EmailAddress.objects.create(user_id=other.pk, email="mine@example.com", primary=True, verified=True)
    MigrationExecutor(connection).migrate(before)
    assert [row[0] for row in rows()] == [f"account-{lost.pk}@lost.invalid", "mine@example.com"]


def test_a_mail_server_that_takes_nothing_is_said_and_breaks_no_page(mail_server, owner, sign_in, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    page = ask_for(sign_in(owner), "fresh@example.com")
    assert page.status_code == 200
    assert text_of(page).count("could not be sent") == 1
    assert "fresh@example.com waits for you" in text_of(page)
    _, page = register(sign_in, "new@example.com")
    assert "could not be sent" in text_of(page)
    assert User.objects.filter(email="new@example.com").exists()
    page = sign_in().post("/account/password/reset/", {"email": "owner@example.com"}, follow=True)
    assert page.status_code == 200
    assert "could not be sent" in text_of(page)
    said = "\n".join(Json().format(record) for record in caplog.records)
    assert "mail_failed" in said
    assert "example.com" not in said
