"""Questions of the command line, as data both ways: a running server answers them, or the command itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from haru.stats.query import QueryError, parse

if TYPE_CHECKING:
    from haru.stats.report import Reports

WANTED = ("answer", "sql")


def answered(reports: Reports, data: object, wanted: str, now_ms: int) -> dict[str, Any]:
    """What a query in decoded JSON is answered: `{wanted: ...}`, or `{"faults": [...]}` with a sentence for each.

    `wanted` is one of `WANTED`: the answer as the API has it, or the statements for the store. Blocks. Raises
    `StoreUnavailable`.
    """
    # Models: Django must be set up first.
    from haru.sites.domain import normalise
    from haru.sites.models import Site
    from haru.stats.report import StatsSite
    from haru.web.api import written

    faults: list[str] = []
    domain = data.get("site_id") if isinstance(data, dict) else ""
    site = None
    if not isinstance(domain, str):
        faults.append("#/site_id: Give the site's domain")
    else:
        with contextlib.suppress(ValueError):
            site = Site.objects.filter(domain=normalise(domain)).first()
        if site is None and isinstance(data, dict):
            faults.append(f'#/site_id: There is no site "{domain[:100]}"')
    try:
        query = parse(data)
        if site is None:
            return {"faults": faults}
        stats_site = StatsSite(site.pk, site.timezone)
        if wanted == "sql":
            return {"sql": "\n\n".join(f"{text};" for text in reports.sql(stats_site, query, now_ms).values())}
        answer = reports.answer(stats_site, query, now_ms, fresh=True)
        return {"answer": written(site.domain, ZoneInfo(site.timezone), query, answer)}
    except QueryError as error:
        return {"faults": faults + error.faults}
