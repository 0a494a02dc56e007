from __future__ import annotations

import re
from html import unescape

import pytest
from django.core import mail

from haru.accounts import registry
from haru.accounts.forms import KeyForm
from haru.accounts.models import ApiKey, User
from tests.conftest import PASSWORD

NEW = "quite another secret"


def text_of(answer) -> str:
    return unescape(answer.content.decode())


def link_in_last_mail() -> str:
    return re.search(r"http://localhost:4000(/\S+)", mail.outbox[-1].body).group(1)


def signs_in(browser, email: str, password: str) -> bool:
    browser.post("/account/login/", {"login": email, "password": password})
    return "_auth_user_id" in browser.session


def test_a_person_registers_and_is_signed_in(mail_server, sign_in):
    browser = sign_in()
    answer = browser.post("/account/signup/", {"email": "New@Example.com", "password1": PASSWORD})
    assert answer.headers["Location"] == "/"
    assert User.objects.get().email == "new@example.com"
    assert "_auth_user_id" in browser.session
    assert mail.outbox[-1].subject == "Confirm your address for Haru"
    assert "Haru at http://localhost:4000" in mail.outbox[-1].body


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("new@example.com", "short", "at least 10 characters"),
        ("new@example.com", "qwertyuiop", "too common"),
        ("new@example.com", "9876543210123", "entirely numeric"),
        ("no address", PASSWORD, "valid email address"),
        ("owner@example.com", PASSWORD, "already registered"),
    ],
)
@pytest.mark.usefixtures("open_registration")
def test_a_registration_is_refused_with_a_sentence(owner, sign_in, email, password, says):
    answer = sign_in().post("/account/signup/", {"email": email, "password1": password})
    assert says in text_of(answer)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("registration", "accounts", "is_open"),
    [("first", 0, True), ("first", 1, False), ("open", 0, True), ("open", 1, True), ("closed", 0, False)],
)
def test_who_may_register_is_said_and_held_to(db, make_user, sign_in, settings, registration, accounts, is_open):
    settings.REGISTRATION = registration
    for n in range(accounts):
        make_user(f"person{n}@example.com")
    browser = sign_in()
    assert ("No account yet?" in text_of(browser.get("/account/login/"))) is is_open
    pages = [
        text_of(browser.get("/account/signup/")),
        text_of(browser.post("/account/signup/", {"email": "new@example.com", "password1": PASSWORD})),
    ]
    for page in pages:
        assert ("Registration is closed" in page) is not is_open
        assert ("open for the first account, and there is one" in page) is (registration == "first" and not is_open)
    assert User.objects.filter(email="new@example.com").exists() is is_open
    assert ("_auth_user_id" in browser.session) is is_open


def test_whoever_is_second_to_register_first_is_told_that_it_is_closed(db, make_user, sign_in, monkeypatch):
    # The page was open when they wrote, and when the form was judged; then somebody else was quicker.
    looks = iter([True, True])
    monkeypatch.setattr("haru.accounts.adapter.registration_is_open", lambda: next(looks, False))
    make_user("quicker@example.com")
    answer = sign_in().post("/account/signup/", {"email": "new@example.com", "password1": PASSWORD})
    assert "Registration is closed" in text_of(answer)
    assert User.objects.count() == 1


def test_a_person_signs_in_whatever_the_letter_case_and_out_again(owner, sign_in):
    browser = sign_in()
    assert signs_in(browser, "OWNER@example.com", PASSWORD)
    assert "Sign out?" in text_of(browser.get("/account/logout/"))
    assert "_auth_user_id" in browser.session
    browser.post("/account/logout/")
    assert "_auth_user_id" not in browser.session


def test_a_wrong_password_says_nothing_about_the_account(owner, sign_in):
    answers = [
        re.sub(r'value="[^"]*"', "", text_of(sign_in().post("/account/login/", {"login": login, "password": "wrong"})))
        for login in ("owner@example.com", "nobody@example.com")
    ]
    assert "not correct" in answers[0]
    assert answers[0] == answers[1]


def test_a_switched_off_account_is_told_so(owner, sign_in):
    User.objects.update(is_active=False)
    browser = sign_in()
    answer = browser.post("/account/login/", {"login": owner.email, "password": PASSWORD}, follow=True)
    assert "switched off" in text_of(answer)
    assert "_auth_user_id" not in browser.session


@pytest.mark.parametrize("path", ["/account/login/", "/account/signup/", "/account/password/reset/"])
def test_every_field_is_labelled_and_fills_itself(mail_server, sign_in, path):
    page = text_of(sign_in().get(path))
    fields = [field for field in re.findall(r"<input[^>]*>", page) if 'type="hidden"' not in field]
    assert fields
    for field in fields:
        assert "autocomplete=" in field
        assert "placeholder=" not in field
        assert f'for="{re.search(r"id=.([^ ]*?).[ >]", field).group(1)}"' in page


def test_a_forgotten_password_is_replaced_by_mail(mail_server, owner, sign_in):
    browser = sign_in()
    answer = browser.post("/account/password/reset/", {"email": "owner@example.com"}, follow=True)
    assert "on its way" in text_of(answer)
    assert mail.outbox[-1].subject == "A new password for Haru"
    link = link_in_last_mail()
    page = browser.get(link, follow=True)
    assert "New password" in text_of(page)
    done = browser.post(page.request["PATH_INFO"], {"password1": NEW, "password2": NEW}, follow=True)
    assert "Password successfully changed" in text_of(done)
    assert "_auth_user_id" in browser.session
    assert not signs_in(sign_in(), owner.email, PASSWORD)
    assert signs_in(sign_in(), owner.email, NEW)
    assert "used before or is too old" in text_of(sign_in().get(link, follow=True))


def reset_by_mail(browser, email: str) -> str:
    """Choose the password `NEW` by the link in a mail to this address; the page one sees then."""
    browser.post("/account/password/reset/", {"email": email})
    page = browser.get(link_in_last_mail(), follow=True)
    return text_of(browser.post(page.request["PATH_INFO"], {"password1": NEW, "password2": NEW}, follow=True))


def test_whoever_registered_somebody_elses_address_keeps_nothing_when_its_owner_resets_the_password(
    mail_server, quick_passwords, sign_in
):
    mallory, victim = sign_in(), sign_in()
    mallory.post("/account/signup/", {"email": "victim@example.com", "password1": PASSWORD})
    page = text_of(mallory.post("/account/keys", {"name": "notebook", "scopes": ["stats:read"]}))
    key = re.search(r"haru_\w{40}", page).group()
    change = {"action_add": "1", "email": "mallory@example.com", "password": PASSWORD}
    mallory.post("/account/email/", change)
    page = reset_by_mail(victim, "victim@example.com")
    assert "API keys that were made before are removed" in page
    assert ApiKey.find(key) is None
    assert mallory.get("/sites").status_code == 302
    assert not signs_in(sign_in(), "victim@example.com", PASSWORD)
    page = text_of(victim.get("/account/email/"))
    assert "You sign in as <strong>victim@example.com</strong>" in page
    assert "mallory@example.com" not in page
    assert "not confirmed this address yet" not in page  # the mail proved it


def test_a_confirmed_account_keeps_its_keys_when_its_password_is_reset(mail_server, owner, sign_in):
    key, text = ApiKey.create(owner, "notebook", ["stats:read"])
    assert "are removed" not in reset_by_mail(sign_in(), "owner@example.com")
    assert ApiKey.find(text) == key


def test_a_change_of_address_that_waits_is_forgotten_when_the_password_is_reset(mail_server, owner, sign_in):
    change = {"action_add": "1", "email": "thief@example.com", "password": PASSWORD}
    sign_in(owner).post("/account/email/", change)
    reset_by_mail(sign_in(), "owner@example.com")
    owner.refresh_from_db()
    assert (owner.email, owner.new_email) == ("owner@example.com", "")


def test_an_account_whose_address_is_unknown_to_the_table_of_addresses_is_unconfirmed(mail_server, owner, sign_in):
    owner.emailaddress_set.all().delete()
    _key, text = ApiKey.create(owner, "notebook", ["stats:read"])
    reset_by_mail(sign_in(), "owner@example.com")
    assert ApiKey.find(text) is None
    assert [(row.email, row.verified) for row in owner.emailaddress_set.all()] == [("owner@example.com", True)]


def test_asking_for_an_unknown_address_sends_nothing_and_tells_nothing(mail_server, owner, sign_in):
    known = sign_in().post("/account/password/reset/", {"email": "owner@example.com"}, follow=True)
    sent = len(mail.outbox)
    unknown = sign_in().post("/account/password/reset/", {"email": "nobody@example.com"}, follow=True)
    assert text_of(known) == text_of(unknown)
    assert len(mail.outbox) == sent


def test_without_mail_the_page_of_a_forgotten_password_says_what_to_do_and_sends_nothing(owner, sign_in):
    browser = sign_in()
    for answer in (
        browser.get("/account/password/reset/"),
        browser.post("/account/password/reset/", {"email": "owner@example.com"}),
    ):
        assert answer.status_code == 200
        assert "This server sends no mail" in text_of(answer)
        assert "haru user password you@example.com" in text_of(answer)
        assert "<form" not in text_of(answer)
    assert not mail.outbox


def test_without_mail_nobody_is_told_of_a_mail_when_they_register(db, sign_in):
    answer = sign_in().post("/account/signup/", {"email": "new@example.com", "password1": PASSWORD}, follow=True)
    assert "mail" not in re.sub("<[^>]*>", "", text_of(answer)).replace("new@example.com", "")
    assert not mail.outbox


def test_a_password_is_changed_with_the_old_one(owner, sign_in):
    browser, other = sign_in(owner), sign_in(owner)
    form = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    assert "Please type your current password" in text_of(browser.post("/account/password/change/", form))
    answer = browser.post("/account/password/change/", {**form, "oldpassword": PASSWORD}, follow=True)
    assert "Password successfully changed" in text_of(answer)
    assert browser.get("/sites").status_code == 200
    assert other.get("/sites").status_code == 302  # every other session has ended
    assert signs_in(sign_in(), owner.email, NEW)


def test_an_account_without_a_password_can_set_one(owner, sign_in):
    owner.set_unusable_password()
    owner.save()
    browser = sign_in(owner)
    assert browser.get("/account/password/change/").headers["Location"].endswith("/account/password/set/")
    assert "Change the password" in text_of(browser.get("/account/password/set/"))
    browser.post("/account/password/set/", {"password1": NEW, "password2": NEW})
    assert signs_in(sign_in(), owner.email, NEW)


def test_the_remaining_account_pages_have_our_look(owner, sign_in):
    for path, says in [
        ("/account/confirm-email/", "Look into your mail"),
        ("/account/inactive/", "switched off"),
        ("/account/password/reset/key/done/", "Your password is changed"),
    ]:
        assert says in text_of(sign_in().get(path))
    assert "needs your password again" in text_of(sign_in(owner).get("/account/reauthenticate/"))
    assert "Change the address" in text_of(sign_in(owner).get("/account/", follow=True))


def test_a_key_is_shown_once(owner, sign_in):
    browser = sign_in(owner)
    answer = browser.post("/account/keys", {"name": "notebook", "scopes": ["stats:read", "sites:write"]})
    text = re.search(r"haru_\w{40}", text_of(answer)).group()
    assert "no-store" in answer.headers["Cache-Control"]
    assert ApiKey.find(text).scopes == ["stats:read", "sites:write"]
    page = text_of(browser.get("/account/keys"))
    assert text not in page
    assert text[:9] in page
    assert "Read statistics, Add and change sites" in page


def test_a_session_that_ends_while_it_makes_a_key_makes_none(owner, sign_in, monkeypatch):
    judge = KeyForm.is_valid

    def somebody_is_quicker(form: KeyForm) -> bool:
        registry.reset_password(User.objects.get(), NEW)
        return judge(form)

    monkeypatch.setattr(KeyForm, "is_valid", somebody_is_quicker)
    answer = sign_in(owner).post("/account/keys", {"name": "notebook", "scopes": ["stats:read"]}, follow=True)
    assert "Forgot your password?" in text_of(answer)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "", "scopes": ["stats:read"]}, "This field is required"),
        ({"name": "notebook"}, "at least one thing"),
        ({"name": "notebook", "scopes": ["everything"]}, "not one of the available choices"),
        ({"name": "notebook", "scopes": ["stats:read", "events:write"]}, "not one of the available choices"),
    ],
)
def test_a_key_needs_a_name_and_a_right(owner, sign_in, form, says):
    answer = sign_in(owner).post("/account/keys", form)
    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not ApiKey.objects.exists()


def test_what_no_endpoint_asks_for_is_not_offered_and_a_key_that_has_it_goes_on(owner, sign_in):
    browser = sign_in(owner)
    assert "Send events" not in text_of(browser.get("/account/keys"))
    assert "events:write" not in text_of(browser.get("/account/keys")) + text_of(browser.get("/api/openapi.json"))
    key, text = ApiKey.create(owner, "older", ["stats:read", "events:write"])
    assert ApiKey.find(text).allows("events:write")
    assert "Read statistics, Send events from a server" in text_of(browser.get("/account/keys"))
    assert browser.get("/api/v1/sites", headers={"authorization": f"Bearer {text}"}).status_code == 200
    assert key.scope_labels == ["Read statistics", "Send events from a server"]


def test_a_revoked_key_stops_working(owner, sign_in):
    key, text = ApiKey.create(owner, "notebook", ["stats:read"])
    page = text_of(sign_in(owner).post(f"/account/keys/{key.pk}/revoke", follow=True))
    assert "The key “notebook” no longer works." in page
    assert ApiKey.find(text) is None


def test_a_person_sees_and_revokes_their_own_keys_only(owner, team_mate, stranger, sign_in):
    key, text = ApiKey.create(owner, "notebook", ["stats:read"])
    for other in (team_mate, stranger):
        assert "notebook" not in text_of(sign_in(other).get("/account/keys"))
        assert sign_in(other).post(f"/account/keys/{key.pk}/revoke").status_code == 404
    assert ApiKey.find(text) == key
