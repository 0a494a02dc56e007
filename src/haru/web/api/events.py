"""`GET /api/v1/export/events`: a site's raw events as a file, for those who manage the site."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.http.response import HttpResponseBase

from haru.accounts.models import Scope
from haru.sites import access
from haru.transfer import export
from haru.web.api.endpoint import Call, Faulty, Method, route, texts
from haru.web.dashboard.export import sent
from haru.web.project import services


def answer(call: Call) -> HttpResponseBase:
    """The events of a period, piece by piece, in the format that was asked for."""
    given, faults = texts(call.parameters, ("site_id",), ("format", "since", "until"))
    format = given.get("format", "ndjson")
    if format not in export.FORMATS:
        faults.append(f'#/format: "{format[:100]}" is no format: give one of {", ".join(export.FORMATS)}')
    # Bounds that cannot be read are faults in whichever zone; the site's is not told to one who may not see it.
    for name in ("since", "until"):
        try:
            export.bounds(**{"since": "", "until": "", name: given.get(name, "")}, zone=ZoneInfo("UTC"))
        except export.BadBounds as error:
            faults.append(f"#/{error}")
    if faults:
        raise Faulty(faults)
    site = call.site(given["site_id"], access.manageable)
    try:
        span = export.bounds(given.get("since", ""), given.get("until", ""), ZoneInfo(site.timezone))
    except export.BadBounds as error:
        raise Faulty([f"#/{error}"]) from None
    pieces = services.get().events(site.pk, span, format)
    return sent(call.request, f"{site.domain}-events.{format}", export.FORMATS[format], pieces)


events = route(GET=Method(answer, (Scope.STATS_READ,)))
