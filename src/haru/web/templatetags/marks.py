"""`{{ text|marked }}`: a sentence in which backquotes stand around code."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def marked(text: str) -> SafeString:
    """The sentence, with what is between two backquotes as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one is without its pair
        return format_html("{}", text)
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if place % 2 else part,) for place, part in enumerate(parts))
    )
