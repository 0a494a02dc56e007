from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.fields import EmailField, PasswordField
from allauth.account.forms import ResetPasswordKeyForm, SignupForm
from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from haru.accounts import registry
from haru.accounts.models import OFFERED_SCOPES, ApiKey, Scope, User


class RegistrationForm(SignupForm):  # type: ignore[misc]  # allauth is not typed
    """Address and password of a new account."""

    def save(self, request: HttpRequest) -> User:
        """The account. Raises `AccountError` when somebody else was quicker."""
        return registry.register(self.cleaned_data["email"], self.cleaned_data["password1"])


class ForgottenPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]  # allauth is not typed
    """The new password of whoever opened the link in a mail."""

    def save(self) -> None:
        """Keep it, and say so when the API keys of an address that nobody had confirmed went."""
        if registry.reset_password(self.user, self.cleaned_data["password1"]):
            text = _now("Your address is confirmed now. API keys that were made before are removed: make new ones.")
            messages.info(get_adapter().request, text)


class NewEmailForm(forms.Form):
    """The address that is to be the account's, and the password: a browser that is signed in proves too little."""

    email = EmailField(label=_("New address"))
    password = PasswordField(label=_("Your password"), autocomplete="current-password")

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self._user = user

    def clean_email(self) -> str:
        """The address in the form in which it is kept."""
        email = str(get_adapter().clean_email(self.cleaned_data["email"]))
        if email == self._user.email:
            raise forms.ValidationError(_now("This is your address already: write another one."))
        return email

    def clean_password(self) -> str:
        """The password, if it is the account's."""
        if not self._user.check_password(self.cleaned_data["password"]):
            raise forms.ValidationError(_now("This is not your password."))
        return str(self.cleaned_data["password"])


class KeyForm(forms.Form):
    """Name and rights of a new API key."""

    name = forms.CharField(
        label=_("Name"),
        max_length=ApiKey._meta.get_field("name").max_length,
        help_text=_("What the key is for, such as the program that uses it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label=_("The key may"),
        choices=[(scope.value, scope.label) for scope in OFFERED_SCOPES],
        initial=[Scope.STATS_READ],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing the key may do.")},
    )
