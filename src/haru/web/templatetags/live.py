"""`{% current_visitors site.pk as current %}`: how many are on a site right now."""

from __future__ import annotations

from django import template

from haru.clock import now_ms
from haru.web.project import services

register = template.Library()


@register.simple_tag
def current_visitors(site_id: int) -> int | None:
    """Current visitors of the site; None in a process that has no stores open."""
    if not services.is_set():
        return None
    return services.get().live.visitors.count(site_id, now_ms())
