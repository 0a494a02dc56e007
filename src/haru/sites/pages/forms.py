from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict
from django.utils import timezone as clock
from django.utils.translation import gettext_lazy as _

from haru.collect import exclusions
from haru.events.countries import COUNTRIES
from haru.sites import annotations as notes
from haru.sites import goals as site_goals
from haru.sites import links, registry
from haru.sites.domain import DomainError, normalise
from haru.sites.models import Annotation, Role, Site


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


class RulesField(forms.CharField):
    """Rules of a site, one a line. Each that cannot be used is named in an error."""

    def __init__(self, rules: str, rows: int, **options: Any) -> None:
        """`rules` is the list of `haru.collect.exclusions.RULES` that this is."""
        plain = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "rows": rows}
        super().__init__(required=False, widget=forms.Textarea(attrs=plain), **options)
        self.rules = rules

    def prepare_value(self, value: Any) -> Any:
        """The rules as lines; what was typed stays as it was typed."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """The rules as a list."""
        try:
            return exclusions.read_rules(self.rules, super().clean(value).splitlines())
        except exclusions.BadRules as error:
            raise forms.ValidationError(error.sentences) from None


def _by_name(country: tuple[str, str]) -> bytes:
    """Åland is looked for among the names with A."""
    return unicodedata.normalize("NFD", country[1]).encode("ascii", "ignore").lower()


_COUNTRIES = sorted(COUNTRIES.items(), key=_by_name)


class CountingForm(forms.Form):
    """What of a site is counted. Its fields are those of the site."""

    excluded_addresses = RulesField(
        "excluded_addresses",
        4,
        label=_("Addresses that are not counted"),
        help_text=_("Your own or your office's, one a line: 203.0.113.9, or a network such as 2001:db8:1:2::/64."),
    )
    excluded_countries = forms.MultipleChoiceField(
        required=False,
        label=_("Countries that are not counted"),
        choices=_COUNTRIES,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("A visit whose country is not known counts."),
    )
    honour_opt_out = forms.BooleanField(
        required=False,
        label=_("Do not count visitors who ask not to be tracked"),
        help_text=_(
            "Their browser says so: Do Not Track (DNT) or Global Privacy Control (GPC). Some browsers always do."
        ),
    )
    excluded_pages = RulesField(
        "excluded_pages",
        4,
        label=_("Pages that are not counted"),
        help_text=_(
            "Whole paths, one a line, capitals matter. * stands for anything within a part of the path, ** for "
            "anything at all: /admin/** or /*/preview."
        ),
    )
    allowed_hostnames = RulesField(
        "allowed_hostnames",
        3,
        label=_("Only these host names are counted"),
        help_text=_(
            "One a line, such as www.example.com, or *.example.com for all below it. Empty: every host counts. A visit "
            "that names no host always does."
        ),
    )
    rate_limit = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=registry.MAX_REQUESTS,
        label=_("Requests a minute from one address"),
        help_text=_("More are refused. 0: no limit."),
    )

    def __init__(self, site: Site, installation_limit: int, data: QueryDict | None = None) -> None:
        """`installation_limit` is the rate limit of a site that has none of its own."""
        super().__init__(data, initial={name: getattr(site, name) for name in self.base_fields})
        self.fields["rate_limit"].help_text = (
            _("More are refused. Empty: %(limit)s, as the installation is set. 0: no limit.")
            % {"limit": f"{installation_limit:,}"}
            if installation_limit
            else _("More are refused. Empty or 0: no limit, as the installation is set.")
        )


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


class GoalForm(forms.Form):
    """A new goal. Its fields are those of the goal."""

    event = forms.CharField(
        required=False,
        label=_("Event"),
        help_text=_("Name of a custom event that your pages send, such as Signup."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    page = forms.CharField(
        required=False,
        label=_("Or page"),
        help_text=_(
            "A whole path. * stands for anything within a part of the path, ** for anything at all: "
            "/thanks or /blog/**."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    scroll = forms.IntegerField(
        required=False,
        label=_("Scroll depth of the page"),
        help_text=_("In per cent: reached by those who scroll at least so far. Empty: by those who open the page."),
        widget=forms.NumberInput(attrs={"autocomplete": "off", "min": 0, "max": site_goals.MAX_SCROLL}),
    )
    name = forms.CharField(
        required=False,
        label=_("Name"),
        help_text=_("How it is shown and filtered by. Empty: the name of the event, or made of the path."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    currency = forms.CharField(
        required=False,
        label=_("Currency"),
        help_text=_("Of the revenue that the event brings, such as EUR. Empty: it brings none."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )


class AnnotationForm(forms.Form):
    """A note at a moment, which is told by the clocks of the site."""

    at = forms.DateTimeField(
        label=_("Date and time"),
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )
    text = forms.CharField(
        label=_("Text"),
        max_length=notes.MAX_TEXT,
        help_text=_("What happened, such as a new version or a newsletter."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    of_site = forms.BooleanField(
        required=False,
        label=_("For everyone who sees the site"),
        help_text=_("Guests of a shared link too. Otherwise you alone see it."),
    )

    def __init__(
        self, zone: ZoneInfo, manages: bool, data: QueryDict | None = None, note: Annotation | None = None
    ) -> None:
        """Of `note`, which is to be changed, or of now; only who `manages` the site writes for everyone."""
        self._at = (note.at if note is not None else clock.now()).astimezone(zone)
        self._shown = self._at.replace(tzinfo=None, second=0, microsecond=0)
        of_note = {"text": note.text, "of_site": not note.personal} if note is not None else {}
        super().__init__(data, initial={"at": self._shown, **of_note})
        self._zone = zone
        self.fields["at"].help_text = _("In the time zone of the site, %(zone)s.") % {"zone": zone.key}
        if not manages:
            del self.fields["of_site"]

    def clean_at(self) -> datetime:
        """The moment that clocks of the site show so; one that was left as it was keeps its seconds."""
        at: datetime = self.cleaned_data["at"].replace(tzinfo=None)
        return self._at if at == self._shown else at.replace(tzinfo=self._zone)


class LinkForm(forms.Form):
    """A new shared link."""

    name = forms.CharField(
        label=_("Name"),
        max_length=links.MAX_NAME,
        help_text=_("What the link is for, such as the people who get it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    password = forms.CharField(
        required=False,
        strip=False,
        max_length=links.MAX_PASSWORD,
        label=_("Password"),
        help_text=_("Asked of everyone who opens the link. Empty: none is asked. It cannot be shown again."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


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
