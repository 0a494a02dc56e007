"""`{% address state metric="visits" %}`: the query string of a view of the dashboard with changes."""

from __future__ import annotations

from django import template

from haru.web.dashboard.state import State

register = template.Library()


@register.simple_tag
def address(state: State, **changes: str) -> str:
    """The query string of this view with these changes."""
    return state.address(**changes)
