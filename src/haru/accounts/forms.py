from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from haru.accounts.models import ApiKey, Scope


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
        choices=Scope.choices,
        initial=[Scope.STATS_READ],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing the key may do.")},
    )
