"""The signed-in person's sites in every template, for the site switcher."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from haru.sites import access
from haru.sites.models import Site


def sites(request: HttpRequest) -> dict[str, Any]:
    """`sites`: the list of the person's sites, asked of the database only when a template looks at it."""

    def look() -> list[Site]:
        user = getattr(request, "user", None)
        return list(access.sites_of(user)) if user is not None else []

    return {"sites": SimpleLazyObject(look)}
