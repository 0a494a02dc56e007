"""How every form looks: our field template, and one class for each kind of widget."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.forms.renderers import TemplatesSetting
from django.forms.widgets import Input

# A kind of widget, its look, and what a faulty value adds. Most special first: the first that matches wins.
_LOOKS: tuple[tuple[type[forms.Widget], str, str], ...] = (
    (forms.CheckboxSelectMultiple, "d-checkbox d-checkbox-sm", ""),
    (forms.CheckboxInput, "d-checkbox d-checkbox-sm", ""),
    (forms.Textarea, "d-textarea w-full", "d-textarea-error"),
    (forms.Select, "d-select w-full", "d-select-error"),
    (forms.HiddenInput, "", ""),
    (Input, "d-input w-full", "d-input-error"),
)


class Field(BoundField):
    """A field that knows the class of its widget. Labels, help and errors are tied to it by Django's own attributes."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        """The widget's attributes with the class added; no placeholder, which would only repeat the label."""
        widget = widget or self.field.widget
        attrs = super().build_widget_attrs(attrs, widget)
        widget.attrs.pop("placeholder", None)
        look, fault = next((row[1:] for row in _LOOKS if isinstance(widget, row[0])), ("", ""))
        if look and "class" not in attrs:
            attrs["class"] = f"{look} {fault}" if fault and self.errors else look
        return attrs


class Renderer(TemplatesSetting):
    """Renders forms and fields with the project's templates."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
    bound_field_class = Field
