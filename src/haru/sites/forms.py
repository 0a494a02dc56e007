from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from haru.sites import registry
from haru.sites.domain import DomainError, normalise
from haru.sites.models import Role, Site


def _timezone_choices() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in registry.timezones()]


class TimezoneForm(forms.Form):
    """The time zone of a site."""

    timezone = forms.ChoiceField(
        label=_("Time zone"),
        choices=_timezone_choices,
        initial="UTC",
        help_text=_("Days and hours are counted in this zone."),
    )


class SiteForm(TimezoneForm):
    """A new site."""

    domain = forms.CharField(
        label=_("Domain"),
        max_length=300,
        help_text=_("Such as example.com. Its subdomains may use the same snippet."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "inputmode": "url"}
        ),
    )
    field_order = ["domain", "timezone"]


class PersonForm(forms.Form):
    """Someone with an account, to be given access."""

    email = forms.EmailField(
        label=_("Email address"),
        help_text=_("Of a person who has an account here."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    role = forms.ChoiceField(
        label=_("Role"),
        choices=[(Role.VIEWER, _("Viewer: sees the numbers")), (Role.ADMIN, _("Admin: changes the settings too"))],
    )

    def clean_email(self) -> str:
        """The address as accounts keep it: in lower case."""
        return str(self.cleaned_data["email"]).lower()


class DeleteForm(forms.Form):
    """The domain typed again, so that nobody deletes a site by a slip of the hand."""

    domain = forms.CharField(
        label=_("Type the domain to confirm"),
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def __init__(self, site: Site, data: QueryDict | None = None) -> None:
        super().__init__(data, prefix="delete")
        self.site = site

    def clean_domain(self) -> str:
        """The domain, when it is that of the site."""
        try:
            typed = normalise(self.cleaned_data["domain"])
        except DomainError:
            typed = ""
        if typed != self.site.domain:
            raise forms.ValidationError(_("This is not the domain of the site: nothing was deleted."))
        return typed
