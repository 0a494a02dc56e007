"""A person who signs in, and the keys their programs use."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import string
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import idna
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

_ALPHABET = string.ascii_letters + string.digits
MAX_EMAIL = 254  # characters: RFC 5321 lets no longer one be sent to


def canonical_email(text: str) -> str:
    """The one form in which an address is kept and looked for, so that two accounts never share a mailbox.

    Lower case, with the domain as DNS has it: `Mara@Bücher.example` → `mara@xn--bcher-kva.example`. A text that is no
    address has no such form and comes back for `validate_email` to refuse.
    """
    local, at, domain = unicodedata.normalize("NFKC", text.strip()).lower().rpartition("@")
    if len(domain) <= MAX_EMAIL:
        with contextlib.suppress(idna.IDNAError):
            domain = idna.encode(domain, uts46=True).decode("ascii")
    return f"{local}{at}{domain}"


class UserManager(BaseUserManager["User"]):
    """Finds and makes users by email address, however it is written."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """Save a new user. The password is taken as it is: `accounts.registry.create_user` judges it first."""
        user = self.model(email=canonical_email(email), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        """The user who signs in with this address. Raises `User.DoesNotExist`."""
        return self.get(email=canonical_email(username or ""))


class User(AbstractBaseUser):
    """A person with an account. The email address, as `canonical_email` has it, is the login.

    allauth's table of addresses has one row for each account, this same address, and says whether it was confirmed.
    """

    email = models.EmailField(_("email address"), max_length=MAX_EMAIL, unique=True)
    new_email = models.EmailField(_("address that waits for its link"), max_length=MAX_EMAIL, blank=True, default="")
    is_active = models.BooleanField(_("may sign in"), default=True)
    created_at = models.DateTimeField(_("registered"), default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(Lower("email"), name="accounts_user_email_lower"),
            models.CheckConstraint(condition=~models.Q(email=""), name="accounts_user_has_an_address"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def initials(self) -> str:
        """One or two capital letters for the round badge: `mara.klein@...` → `MK`."""
        words = [word for word in self.email.partition("@")[0].replace("_", ".").replace("-", ".").split(".") if word]
        return "".join(word[0] for word in words[:2]).upper() or "?"


class Scope(models.TextChoices):
    """What a key may do."""

    STATS_READ = "stats:read", _("Read statistics")
    SITES_WRITE = "sites:write", _("Add and change sites")
    EVENTS_WRITE = "events:write", _("Send events from a server")


# What a new key is offered: an endpoint that asks for the rest is still to come. Keys that have it keep it.
OFFERED_SCOPES = (Scope.STATS_READ, Scope.SITES_WRITE)


class ApiKey(models.Model):
    """A key for programs that act for its user. The text is shown once; only its digest is kept.

    SHA-256 without a salt is enough here: the text is 40 random characters (238 bits), no password a person chose.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("begins with"), max_length=12, editable=False)
    scopes = models.JSONField(_("may"), default=list)
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)
    last_used_on = models.DateField(_("last used"), null=True, editable=False)  # a UTC day: no finer trail is kept

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def create(cls, user: User, name: str, scopes: Iterable[str]) -> tuple[ApiKey, str]:
        """A saved key and its text, which is never to be seen again. Raises ValueError for an unknown scope."""
        wanted = [scope for scope in Scope.values if scope in set(scopes)]
        if unknown := set(scopes) - set(wanted):
            raise ValueError(f"no such scope: {', '.join(sorted(unknown))}")
        text = "haru_" + "".join(secrets.choice(_ALPHABET) for _ in range(40))
        key = cls.objects.create(user=user, name=name, digest=_digest(text), prefix=text[:9], scopes=wanted)
        return key, text

    @classmethod
    def find(cls, text: str, on: date | None = None) -> ApiKey | None:
        """The key with this text if its user may sign in, noted as used on the UTC day `on` (today when None)."""
        if not text.startswith("haru_"):
            return None
        key = cls.objects.select_related("user").filter(digest=_digest(text), user__is_active=True).first()
        if key is None:
            return None
        day = on or datetime.now(UTC).date()
        if key.last_used_on != day:
            key.last_used_on = day
            key.save(update_fields=["last_used_on"])
        return key

    def allows(self, scope: str) -> bool:
        """Whether this key may do what `scope` names."""
        return scope in self.scopes

    @property
    def scope_labels(self) -> list[str]:
        """What the key may do, for people."""
        return [str(Scope(scope).label) for scope in self.scopes if scope in Scope.values]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
