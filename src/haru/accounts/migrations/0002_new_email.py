"""A new address waits in the account; the table of addresses has one row for each account, its own address."""

from __future__ import annotations

import contextlib
import unicodedata

import idna
from django.db import migrations, models


def one_address_each(apps, schema_editor):
    """Mend accounts that lost their address while it was changed, and let an address that waits wait in the account."""
    users = apps.get_model("accounts", "User").objects
    addresses = apps.get_model("account", "EmailAddress").objects
    for user in users.order_by("pk"):
        rows = list(addresses.filter(user=user).order_by("-verified", "-primary", "-pk"))
        user.email = _own(users, user, [user.email, *(row.email for row in rows)])
        verified = any(row.verified and _canonical(row.email) == user.email for row in rows)
        other = [row.email for row in rows if not row.verified and _canonical(row.email) != user.email]
        user.new_email = _canonical(other[0]) if other else ""
        user.save(update_fields=["email", "new_email"])
        addresses.filter(user=user).delete()
        addresses.create(user=user, email=user.email, primary=True, verified=verified)


def _own(users, user, candidates):
    """The first of the addresses that no other account has; one that says what happened when there is none."""
    for email in filter(None, candidates):
        for form in (_canonical(email), email):
            if not users.filter(email=form).exclude(pk=user.pk).exists():
                return form
    return f"account-{user.pk}@lost.invalid"


def _canonical(text):
    local, at, domain = unicodedata.normalize("NFKC", text.strip()).lower().rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        domain = idna.encode(domain, uts46=True).decode("ascii")
    return f"{local}{at}{domain}"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="new_email",
            field=models.EmailField(
                blank=True, default="", max_length=254, verbose_name="address that waits for its link"
            ),
        ),
        migrations.RunPython(one_address_each, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", ""), _negated=True), name="accounts_user_has_an_address"
            ),
        ),
    ]
