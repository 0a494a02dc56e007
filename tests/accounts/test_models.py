from __future__ import annotations

from datetime import date

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from haru.accounts import registry
from haru.accounts.models import ApiKey, User
from haru.accounts.registry import AccountError


def test_the_address_is_the_login_in_any_letter_case(owner):
    assert User.objects.get_by_natural_key(" OWNER@Example.com ") == owner


def test_two_accounts_cannot_differ_by_letter_case_alone(owner):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="Owner@example.com")


@pytest.mark.parametrize(
    ("email", "initials"), [("mara.klein@example.com", "MK"), ("bob@example.com", "B"), ("_@example.com", "?")]
)
def test_initials_come_from_the_address(email, initials):
    assert User(email=email).initials == initials


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("nobody", "a long enough secret", "not an email address"),
        ("new@example.com", "short", "at least 10"),
        ("new@example.com", "1357924680", "numeric"),
        ("new@example.com", "password123", "common"),
        ("marakleinstein@example.com", "marakleinstein", "similar"),
        ("OWNER@example.com", "a long enough secret", "already an account"),
    ],
)
def test_a_bad_account_is_refused_with_a_sentence(owner, email, password, says):
    with pytest.raises(AccountError, match=says):
        registry.create_user(email, password)
    assert User.objects.count() == 1


def test_a_new_password_can_be_set_without_the_old(owner):
    registry.set_password("owner@example.com", "another long secret")
    owner.refresh_from_db()
    assert owner.check_password("another long secret")
    with pytest.raises(AccountError, match="at least 10"):
        registry.set_password("owner@example.com", "short")
    with pytest.raises(AccountError, match="no account for"):
        registry.set_password("who@example.com", "another long secret")


def test_a_key_is_found_by_its_text_and_kept_as_a_digest_only(owner):
    key, text = ApiKey.create(owner, "notebook", ["stats:read"])
    assert text.startswith("haru_")
    assert len(text) == 45
    assert ApiKey.find(text) == key
    stored = ApiKey.objects.filter(pk=key.pk).values().get()
    assert not any(text[9:] in str(value) for value in stored.values())


@pytest.mark.parametrize("wrong", ["", "haru_", "haru_" + "x" * 40, "Bearer", "häru_\x00"])
def test_a_wrong_text_finds_no_key(owner, wrong):
    ApiKey.create(owner, "notebook", ["stats:read"])
    assert ApiKey.find(wrong) is None


def test_a_key_does_what_its_scopes_say_and_no_more(owner):
    key, _ = ApiKey.create(owner, "shop", ["events:write"])
    assert key.allows("events:write")
    assert not key.allows("stats:read")
    with pytest.raises(ValueError, match="no such scope: all"):
        ApiKey.create(owner, "shop", ["stats:read", "all"])


def test_a_key_remembers_the_day_it_was_used_and_nothing_finer(owner, django_assert_num_queries):
    _, text = ApiKey.create(owner, "notebook", ["stats:read"])
    assert ApiKey.find(text, date(2026, 3, 1)).last_used_on == date(2026, 3, 1)
    with django_assert_num_queries(1):
        ApiKey.find(text, date(2026, 3, 1))
    assert ApiKey.find(text, date(2026, 3, 2)).last_used_on == date(2026, 3, 2)


def test_the_keys_of_a_switched_off_account_stop_working(owner):
    _, text = ApiKey.create(owner, "notebook", ["stats:read"])
    User.objects.update(is_active=False)
    assert ApiKey.find(text) is None


def test_the_migrations_make_what_the_models_say(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
