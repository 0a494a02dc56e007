"""`GET /api/v2/suggestions`: values of a dimension for menus of filters, for programs and for the dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from haru.accounts.models import Scope
from haru.sites.goals import stats_site
from haru.sites.models import Site
from haru.sites.segments import known_to
from haru.stats.query import QueryError
from haru.stats.suggestions import Wanted, parse_wanted, suggest
from haru.stats.trees import Segments
from haru.web.api.endpoint import Call, Faulty, Method, route, texts
from haru.web.project import services

REQUIRED, OPTIONAL = ("dimension", "date_range"), ("prefix", "filters")


def answer(call: Call) -> dict[str, Any]:
    """Suggest values, with the key in the `Authorization` header."""
    segments = known_to(call.key.user, call.parameters.get("site_id"))
    wanted, rest = read(call.parameters, segments, ("site_id",))
    return suggested(call.site(rest["site_id"]), wanted, call.now_ms)


def read(
    parameters: Mapping[str, str], segments: Segments, others: tuple[str, ...] = ()
) -> tuple[Wanted, dict[str, str]]:
    """What the parameters of an address ask for, and the values of `others`, which are needed too. Raises `Faulty`."""
    values, faults = texts(parameters, (*others, *REQUIRED), OPTIONAL)
    date_range = values.get("date_range", "day")
    try:
        wanted = parse_wanted(
            values.get("dimension", "event:page"),
            values.get("prefix", ""),
            _decoded(date_range) if date_range.startswith("[") else date_range,
            _decoded(values.get("filters", "[]")),
            segments,
        )
    except QueryError as error:
        raise Faulty(faults + error.faults) from None
    if faults:
        raise Faulty(faults)
    return wanted, values


def suggested(site: Site, wanted: Wanted, now_ms: int) -> dict[str, Any]:
    """The suggestions as JSON. Raises `Faulty`, and as `Reports.answer` does."""
    try:
        found = suggest(services.get().reports, stats_site(site), wanted, now_ms)
    except QueryError as error:
        raise Faulty(error.faults) from None
    return {"results": [{"value": one.value, "label": one.label, "visitors": one.visitors} for one in found]}


def _decoded(text: str) -> Any:
    """The JSON in a parameter; None, which is a fault wherever it stands, when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


suggestions = route(GET=Method(answer, (Scope.STATS_READ,)))
