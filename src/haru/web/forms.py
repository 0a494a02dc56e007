"""How every form looks: our field template, and one class for each kind of widget."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.forms.renderers import TemplatesSetting
from django.forms.widgets import Input

# Most special first: the first that matches wins.
_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, ""),
    (forms.RadioSelect, ""),
    (forms.CheckboxInput, "d-checkbox"),
    (forms.Select, "d-select w-full"),
    (forms.Textarea, "d-textarea w-full"),
    (forms.HiddenInput, ""),
    (Input, "d-input w-full"),
)


class Field(BoundField):
    """A field that knows the class of its widget. Labels, help and errors are tied to it by Django's own attributes."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        """The widget's attributes with the class added; no placeholder, which would only repeat the label."""
        widget = widget or self.field.widget
        attrs = super().build_widget_attrs(attrs, widget)
        widget.attrs.pop("placeholder", None)
        look = next((look for kind, look in _CLASSES if isinstance(widget, kind)), "")
        if look and "class" not in attrs:
            attrs["class"] = f"{look} {widget.attrs.get('class', '')}".strip()
        return attrs


class Renderer(TemplatesSetting):
    """Renders forms and fields with the project's templates."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
    bound_field_class = Field
