"""Icons, brands and flags for templates. The drawings come from one sprite that the front-end build writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from haru.events.countries import COUNTRIES
from haru.web.templatetags.assets import asset

register = template.Library()

BUILD = Path(__file__).resolve().parents[1] / "static" / "build"
TILES = 6  # how many colours `.tile-…` has in app.css


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An outline icon in the colour of the text; it says nothing to a screen reader."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#i-{}"/></svg>', classes, asset("icons.svg"), name
    )


@register.simple_tag
def brand(name: str) -> SafeString:
    """The mark of a source, browser or system; a coloured tile with its first letter where none is known."""
    if slug := built("brands.json").get(name.lower()):
        return format_html('<svg class="icon" aria-hidden="true"><use href="{}#b-{}"/></svg>', asset("icons.svg"), slug)
    letter = next((sign for sign in name if sign.isalnum()), "?").upper()
    return format_html(
        '<svg class="icon tile-{}" viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="4"/>'
        '<text x="8" y="11.5" text-anchor="middle">{}</text></svg>',
        sum(map(ord, name)) % TILES,
        letter,
    )


@register.simple_tag
def flag(code: str) -> SafeString:
    """The flag of a country (ISO 3166-1 alpha-2), as wide as four thirds of its height; a globe for one not known."""
    if code not in COUNTRIES:
        return icon("globe", "text-muted")
    source = asset(f"flags/{code.lower()}.svg")
    return format_html('<img class="flag" src="{}" alt="" width="20" height="15" loading="lazy">', source)


@cache
def built(name: str) -> dict[str, Any]:
    """A JSON table that the front-end build wrote; empty when the front end was never built."""
    try:
        table: dict[str, Any] = json.loads((BUILD / name).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return table
