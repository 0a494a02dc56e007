"""`{% asset "app.css" %}`: the address of a built file, with a digest of its content so that browsers keep it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def asset(name: str) -> str:
    """`app.css` → `/static/build/app.css?v=<digest>`; without a digest while the front end is not built."""
    address = f"{settings.STATIC_URL}build/{name}"
    file = Path(f"{settings.STATIC_ROOT}/build/{name}")  # a plain text: names in templates are SafeString
    try:
        digest = _digest(file, file.stat().st_mtime_ns)
    except OSError:
        return address
    return f"{address}?v={digest}"


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int) -> str:
    """The digest of the file as it was at `changed`, so that a new build is seen without a restart."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
