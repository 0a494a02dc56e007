"""The dashboard of a site: the whole page in one answer, and each panel alone for pages that watch live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from haru.clock import DAY_MS, now_ms
from haru.sites import access
from haru.sites.goals import stats_site
from haru.sites.models import Site
from haru.sites.pages.views import installation
from haru.sites.remembered import remember, remembered
from haru.stats import asking
from haru.stats.query import QueryError
from haru.stats.vocabulary import periods
from haru.stats.vocabulary.filters import Filter
from haru.stats.vocabulary.periods import Period
from haru.store.protocol import StoreOutOfMemory
from haru.store.stop import Stopped
from haru.web.dashboard import filter_form, filters, segments, state
from haru.web.dashboard.breakdowns import details, panels, tabs
from haru.web.dashboard.chart import chart, named
from haru.web.dashboard.chips import chips
from haru.web.dashboard.elsewhere import Elsewhere, elsewhere
from haru.web.dashboard.state import State
from haru.web.project import errors, services
from haru.web.templatetags.numbers import days

USUAL = "24h"  # the period when none is named or remembered


@require_safe
@never_cache
@login_required
def dashboard(request: HttpRequest, domain: str) -> HttpResponse:
    """The page: every panel, or one of them in detail. It works without JavaScript."""
    site = access.readable(request.user, domain)
    manages = access.role_of(request.user, site) in access.MANAGERS
    view = View(site, request, QueryDict(remembered(request.user, site)) if not request.GET else None)
    if request.GET:
        remember(request.user, site, view.state.habit)
    known = segments.shown(request, site, view.state)
    return page(request, view, {"base": f"/sites/{site.domain}", "manages": manages, "segments": known})


@require_safe
@never_cache
@login_required
def panel(request: HttpRequest, domain: str, panel: str) -> HttpResponse:
    """One panel alone: `top`, `chart`, or a breakdown."""
    site = access.readable(request.user, domain)
    return part(request, View(site, request), panel, {"base": f"/sites/{site.domain}"})


def page(request: HttpRequest, view: View, context: dict[str, Any]) -> HttpResponse:
    """The page for one who may see it. `context` has `base`, the address of the dashboard, and `manages`."""
    if view.first_event is None:
        # The snippet holds the token, so it is for those who manage the site.
        told = installation(view.site) if context["manages"] else {"site": view.site}
        return render(request, "dashboard/waiting.html", {"current": 0, **told, **context})
    if "dimension" in request.GET:
        return _with_filter(request, view, context)
    return _page(request, view, context)


def _with_filter(request: HttpRequest, view: View, context: dict[str, Any]) -> HttpResponse:
    """The page with the filter that a form sent, at the address of that view."""
    try:
        view.state = replace(view.state, filters=filter_form.changed(view, request.GET))
    except QueryError as error:
        view.filter_fault = _("The filter was left as it was.") + " " + filters.sentence_of(error)
    address = f"{context['base']}{view.state.address()}"
    if not request.headers.get("HX-Request") and not view.filter_fault:
        return redirect(address)
    response = _page(request, view, context)
    response.headers["HX-Push-Url"] = address
    return response


def _page(request: HttpRequest, view: View, context: dict[str, Any]) -> HttpResponse:
    context = view.frame() | context
    if view.state.details:
        # Over a dashboard that is there already they are a dialog.
        form = "details_dialog" if request.headers.get("HX-Request") else "details"
        return render(request, f"dashboard/{form}.html", context | view.details())
    context |= view.top() | view.chart()
    context["panels"] = view.panels()
    context["elsewhere"] = view.elsewhere(context["top"])
    return render(request, "dashboard/dashboard.html", context)


def part(request: HttpRequest, view: View, panel: str, context: dict[str, Any]) -> HttpResponse:
    """One panel for one who may see it, or the form of a filter. `context` has `base`, the address of the dashboard."""
    context = view.frame() | context
    if panel == "top":
        return render(request, "dashboard/_top.html", context | view.top())
    if panel == "chart":
        return render(request, "dashboard/_chart.html", context | view.chart())
    if panel == "filter":
        return filter_form.page(request, view, context)
    if panel == "filter-values":
        return filter_form.values(request, view, context)
    if panel not in panels.NAMES:
        raise Http404("There is no such panel.")
    return render(request, "dashboard/_panel.html", context | {"panel": view.panel(panel)})


class View:
    """One request for numbers of a site."""

    def __init__(self, site: Site, request: HttpRequest, chosen: QueryDict | None = None, usual: str = USUAL) -> None:
        """`chosen` stands for the query string of the request; `usual` is the period when neither names one."""
        waiter = asking.current.get()
        if waiter is not None and waiter.asker is None:  # a guest has a name already
            waiter.asker = "user", request.user.pk
        self.site = site
        self.now_ms = now_ms()
        self._slow = False
        self.reports = services.get().reports
        self.stats_site = stats_site(site)
        self.zone = ZoneInfo(site.timezone)
        self.first_event = self.reports.first_event(site.pk, self.now_ms)
        self.filter_fault = ""
        parameters: dict[str, Any] = (request.GET if chosen is None else chosen).dict()
        self.state: State = state.read(parameters, usual, self._filters(parameters.get("filters", "")))

    def _filters(self, text: str) -> tuple[Filter, ...]:
        """Those of the address. What cannot be used is left aside and said: numbers of everything would mislead."""
        try:
            return filters.read(text, self.stats_site.goals) if text else ()
        except QueryError as error:
            said = _("A filter of this address could not be read, so everything is shown.")
            self.filter_fault = f"{said} {filters.sentence_of(error)}"
            return ()

    def period(self) -> Period:
        return periods.resolve(self.state.date_range, self.zone, self.now_ms, lambda: self.first_event)

    def frame(self) -> dict[str, Any]:
        """What the page and every panel need."""
        period = self.period()
        return {
            "site": self.site,
            "state": self.state,
            "address": self.state.address(),
            "live": self.now_ms in period,
            "current": services.get().live.visitors.count(self.site.pk, self.now_ms),
            "many_days": period.end_ms - period.start_ms > DAY_MS * 1.5,
            "many_visitors": panels.MANY_VISITORS,
            "now_ms": self.now_ms,
            "filter_fault": self.filter_fault,
            "filters": chips(self.state),
            "filter_menu": filter_form.MENU,
            **self.choices(),
        }

    def top(self) -> dict[str, Any]:
        return {"top": self._in_time(lambda: panels.totals(self.reports, self.stats_site, self.state, self.now_ms))}

    def elsewhere(self, top: Any) -> Elsewhere | None:
        """Where there is something to see, when the period has nothing and no filter says why."""
        if self.state.filters or not isinstance(top, panels.Totals) or top.any:
            return None
        ask = partial(
            elsewhere, self.reports, self.stats_site, self.state, self.period(), self.first_event, self.now_ms
        )
        found = self._in_time(ask)
        return found if isinstance(found, Elsewhere) else None

    def chart(self) -> dict[str, Any]:
        period = self.period()
        ask = partial(chart, self.reports, self.stats_site, self.state, period, self.first_event, self.now_ms)
        return {"chart": self._in_time(ask)}

    def panel(self, name: str) -> Any:
        return self._in_time(
            lambda: panels.panel(self.reports, self.stats_site, self.state, name, self.now_ms),
            panels.without_numbers(self.stats_site, self.state, name),
        )

    def panels(self) -> list[Any]:
        """Those of every site; then that of goals, when there is something to show in it."""
        shown = [self.panel(name) for name in tabs.PANELS]
        more = self._in_time(lambda: panels.has_goals(self.reports, self.stats_site, self.state, self.now_ms))
        return [*shown, self.panel(tabs.GOALS)] if more is True else shown

    def details(self) -> dict[str, Any]:
        name = self.state.details
        shown = self._in_time(
            lambda: details.details(self.reports, self.stats_site, self.state, self.now_ms),
            panels.without_numbers(self.stats_site, self.state, name),
        )
        searched = [(key, value) for key, value in self.state.pairs() if key not in {"search", "page"}]
        return {"panel": shown, "back": self.state.address(details=""), "searched": searched}

    def _in_time(self, ask: Callable[[], Any], shown: Mapping[str, object] | None = None) -> Any:
        """What was asked, or a sentence in its place; after one that took too long nothing more is asked."""
        if not self._slow:
            try:
                return ask()
            except QueryError:
                return {**(shown or {}), "fault": details.TOO_MANY}
            except StoreOutOfMemory:  # another part may need less
                return {**(shown or {}), "fault": errors.memory_sentence()}
            except Stopped:
                self._slow = True
        return {**(shown or {}), "fault": errors.slow_sentence()}

    def choices(self) -> dict[str, Any]:
        """The pickers: address and label of each choice."""
        here = self.state
        today = periods.wall(self.zone, self.now_ms).date()
        label = state.PERIODS.get(here.period, "")
        if here.first and here.last:
            label = days(here.first, here.last, today=today)
        elif here.minutes:
            label = named(self.zone, (here.minutes.first_ms, here.minutes.last_ms + 1), today)
        undated: dict[str, object] = {"first": None, "last": None, "minutes": None, "interval": ""}
        periods_ = [
            (name, text, here.address(period=name, **undated), state.KEYS.get(name, ""))
            for name, text in state.PERIODS.items()
        ]
        comparisons = [(name, text, here.address(compare=name)) for name, text in state.COMPARISONS.items()]
        custom = [
            (name, value) for name, value in here.pairs() if name not in {"period", "date", "from", "to", "interval"}
        ]
        return {
            "period_label": label,
            "period_choices": periods_,
            "compare_label": state.COMPARISONS[here.compare],
            "compare_choices": comparisons,
            "custom_hidden": custom,
            "today": today,
        }
