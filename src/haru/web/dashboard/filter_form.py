"""The form that adds a filter or changes one: its page, which is a dialog over the dashboard where scripts run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from haru.stats import query as queries
from haru.stats import suggestions
from haru.stats.query import Query, QueryError
from haru.stats.suggestions import Wanted
from haru.stats.vocabulary import dimensions
from haru.stats.vocabulary.dimensions import GOAL, KEYS, PROPERTY
from haru.stats.vocabulary.filters import DONE, Done, Filter, Leaf, written
from haru.web.dashboard import filters

if TYPE_CHECKING:
    from haru.web.dashboard.views import View

# Of the menu: what a heading has below it.
GROUPS: dict[str, tuple[str, ...]] = {
    "Pages": (
        "event:page",
        "visit:entry_page",
        "visit:exit_page",
        "event:hostname",
        "visit:entry_page_hostname",
        "visit:exit_page_hostname",
    ),
    "Sources": (
        "visit:source",
        "visit:channel",
        "visit:referrer",
        "visit:utm_source",
        "visit:utm_medium",
        "visit:utm_campaign",
        "visit:utm_content",
        "visit:utm_term",
    ),
    "Locations": ("visit:country", "visit:region", "visit:city", "visit:language"),
    "Devices": (
        "visit:device",
        "visit:browser",
        "visit:browser_version",
        "visit:os",
        "visit:os_version",
        "visit:screen",
    ),
    "Goals and events": (GOAL, "event:name", PROPERTY),
}
MENU = {heading: [(name, filters.LABELS.get(name, "Property")) for name in names] for heading, names in GROUPS.items()}
SCOPES: dict[str, str] = {
    "": "Only what this holds for",
    "has_done": "Visits that have done this",
    "has_not_done": "Visits that have not done this",
}
BY_TEXT = ("contains", "contains_not", "matches", "matches_not")


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be ticked."""

    value: str
    label: str
    visitors: int | None  # None: it is of the filter, whoever has it
    ticked: bool


@dataclass(frozen=True, slots=True)
class Form:
    """What the form holds."""

    at: str  # which of the filters it changes; "" for a new one
    dimension: str
    operator: str = "is"
    scope: str = ""
    values: tuple[str, ...] = ()
    any_case: bool = False
    typed: str = ""

    @property
    def label(self) -> str:
        """What people call the dimension."""
        return filters.label(self.dimension)

    @property
    def compared(self) -> str:
        """The dimension of the filter: a text is looked for in the name of a place, not in its code."""
        by_name = f"{self.dimension}_name"
        return by_name if self.operator in BY_TEXT and dimensions.known(by_name) else self.dimension

    @property
    def operators(self) -> list[tuple[str, str]]:
        """Those that the dimension takes, and how people call them."""
        takes = dimensions.of(self.dimension).operators or tuple(filters.OPERATORS)
        return [(name, filters.OPERATORS[name]) for name in takes]

    @property
    def scopes(self) -> list[tuple[str, str]]:
        """A visit has done what is of an event; what is of the visit itself holds or does not."""
        return list(SCOPES.items()) if self.dimension.startswith("event:") else []

    @property
    def lines(self) -> str:
        """What is looked for in texts, a line each."""
        return "\n".join(self.values) if self.operator in BY_TEXT else ""


def of_filter(tree: Filter, at: int) -> Form | None:
    """The form that changes this filter; None for one that is more than a comparison."""
    scope = ""
    if isinstance(tree, Done):
        scope, tree = ("has_not_done" if tree.negated else "has_done"), tree.filter
    if not isinstance(tree, Leaf):
        return None
    return Form(str(at), tree.dimension, tree.operator, scope, tree.clauses, not tree.case_sensitive)


def read(trees: tuple[Filter, ...], sent: QueryDict) -> Form:
    """The form as it was asked for or sent. Raises `Http404` for a dimension or a filter that there is not."""
    at = sent.get("at", "")
    if at and "dimension" not in sent:
        _, each = filters.parts(trees)
        place = _place(at, len(each))
        form = of_filter(each[place], place) if place < len(each) else None
        if form is None:
            raise Http404("There is no such filter.")
        return form
    dimension = str(sent.get("dimension", "event:page"))
    if dimension == PROPERTY and sent.get("key"):
        dimension += str(sent["key"])
    if dimension != PROPERTY and not (dimensions.known(dimension) and not dimension.startswith("time")):
        raise Http404("There is no such dimension.")
    operator = sent.get("operator", "is")
    return Form(
        at,
        dimension,
        operator if operator in filters.OPERATORS else "is",
        sent.get("scope", "") if sent.get("scope") in SCOPES else "",
        _values(sent, operator),
        "any_case" in sent,
        sent.get("typed", ""),
    )


def _place(at: str, count: int) -> int:
    """Which of so many filters is meant; one after the last for none of them."""
    return next((place for place in range(count) if str(place) == at), count)


def _values(sent: QueryDict, operator: str) -> tuple[str, ...]:
    if operator not in BY_TEXT:
        return tuple(dict.fromkeys(sent.getlist("value")))
    return tuple(line.strip() for line in sent.get("lines", "").splitlines() if line.strip())


def changed(view: View, sent: QueryDict) -> tuple[Filter, ...]:
    """The filters with what the form says: one more, or another in the place of one. Raises `QueryError`."""
    trees, goals = view.state.filters, view.stats_site.goals
    form = read(trees, sent)
    values = form.values or ((_meant(view, form),) if form.typed.strip() else ())
    if not values:
        raise QueryError(["#/filters: Tick or type at least one value"])
    leaf: list[Any] = [form.operator, form.compared, list(values)]
    if form.any_case:
        leaf.append({"case_sensitive": False})
    (tree,) = queries.parse_filters([[form.scope, leaf] if form.scope in DONE else leaf], goals)
    any_of, each = filters.parts(trees)
    place = _place(form.at, len(each))
    result = filters.joined(any_of, (*each[:place], tree, *each[place + 1 :]))
    return queries.parse_filters([written(part) for part in result], goals)  # all together are within bounds too


def _meant(view: View, form: Form) -> str:
    """What is typed when nothing is ticked: the value that people call so, else just that."""
    text = form.typed.strip()
    found = _suggested(view, form, form.dimension)
    return next((one.value for one in found if one.label.lower() == text.lower()), text)


def page(request: HttpRequest, view: View, context: Mapping[str, Any]) -> HttpResponse:
    """The form. `context` is what every page of the view has."""
    form = read(view.state.filters, request.GET)
    shown = {**context, "form": form, "hidden": view.state.pairs(), "dialog": request.headers.get("HX-Request")}
    if form.dimension == PROPERTY:
        shown["keys"] = _suggested(view, form, KEYS.name)
        return render(request, "dashboard/filter_key.html", shown)
    shown["choices"] = choices(view, form)
    return render(request, "dashboard/filter.html", shown)


def values(request: HttpRequest, view: View, context: Mapping[str, Any]) -> HttpResponse:
    """The values to tick alone, as one types."""
    form = read(view.state.filters, request.GET)
    return render(request, "dashboard/_filter_values.html", {**context, "form": form, "choices": choices(view, form)})


def choices(view: View, form: Form) -> list[Choice]:
    """What is ticked, then what is suggested."""
    ticked = form.values if form.operator not in BY_TEXT else ()
    found = {one.value: one for one in _suggested(view, form, form.dimension)}
    own = [
        Choice(value, found[value].label if value in found else filters.value_name(form.dimension, value), None, True)
        for value in ticked
    ]
    rest = [Choice(one.value, one.label, one.visitors, False) for one in found.values() if one.value not in ticked]
    return own + rest


def _suggested(view: View, form: Form, dimension: str) -> list[suggestions.Suggestion]:
    """Values among what the other filters leave."""
    any_of, each = filters.parts(view.state.filters)
    others = () if any_of else tuple(tree for place, tree in enumerate(each) if str(place) != form.at)
    query = Query(("visitors",), view.state.date_range, (dimension,), others, limit=suggestions.SEARCHED)
    return suggestions.suggest(view.reports, view.stats_site, Wanted(query, form.typed.strip()), view.now_ms)
