from __future__ import annotations

import re

from haru.accounts.forms import KeyForm
from haru.sites.pages.forms import SiteForm


def widget(html: str, name: str) -> str:
    return re.search(rf'<(?:input|select)[^>]*name="{name}"[^>]*>', html).group()


def test_every_kind_of_widget_has_its_look():
    html = str(SiteForm()) + str(KeyForm())
    assert 'class="d-input w-full"' in widget(html, "domain")
    assert 'class="d-select w-full"' in widget(html, "timezone")
    assert html.count('class="d-checkbox d-checkbox-sm"') == 2


def test_a_faulty_field_looks_so_and_is_tied_to_its_error_and_its_help():
    html = str(SiteForm({"domain": "", "timezone": "UTC"}))
    faulty = widget(html, "domain")
    assert "d-input-error" in faulty
    assert 'aria-invalid="true"' in faulty
    assert 'aria-describedby="id_domain_helptext id_domain_error"' in faulty
    assert 'id="id_domain_helptext"' in html
    assert 'id="id_domain_error"' in html
    assert "d-select-error" not in html


def test_choices_stand_in_a_fieldset_with_a_legend_and_labels():
    html = str(KeyForm({"name": "notebook"}))
    assert re.search(r'<fieldset[^>]*aria-describedby="id_scopes_error"', html)
    assert re.search(r"<legend[^>]*>The key may</legend>", html)
    assert html.count('<label class="flex items-center gap-2.5" for="id_scopes_') == 2
