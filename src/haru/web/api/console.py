"""Questions of the command line, as data both ways: a running server answers them, or the command itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from haru.stats.plan import check_goals
from haru.stats.query import QueryError, parse

if TYPE_CHECKING:
    from haru.stats.answers import Reports

WANTED = ("answer", "sql", "explained")


def answered(reports: Reports, data: object, wanted: str, now_ms: int) -> dict[str, Any]:
    """What a query in decoded JSON is answered: `{wanted: ...}`, or `{"faults": [...]}` with a sentence for each.

    `wanted` is one of `WANTED`: the answer as the API has it, the statements for the store, or how the answer
    comes about, see `haru.stats.explain`. Blocks. Raises `StoreUnavailable`.
    """
    # Models: Django must be set up first.
    from django.db import close_old_connections

    from haru.sites.domain import normalise
    from haru.sites.goals import stats_site
    from haru.sites.models import Site
    from haru.stats.explain import explain
    from haru.web.api.query import written

    close_old_connections()  # no request ends in this thread: what broke meanwhile is let go here
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
        measured = stats_site(site)
        check_goals(query, measured.goals)
        if wanted == "sql":
            return {"sql": "\n\n".join(f"{text};" for text in reports.sql(measured, query, now_ms).values())}
        if wanted == "explained":
            return {"explained": explain(reports, measured, query, now_ms)}
        answer = reports.answer(measured, query, now_ms, fresh=True)
        return {"answer": written(site.domain, ZoneInfo(site.timezone), query, answer)}
    except QueryError as error:
        return {"faults": faults + error.faults}
