"""Who may do what, over every route: owner, admin, team mate (a viewer), stranger, anonymous."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.urls import URLPattern, get_resolver, reverse

from haru.live import Live
from haru.sites import access, goals, links, registry, segments
from haru.sites import annotations as notes
from haru.sites.models import Annotation, Goal, Segment, SharedLink, Site
from haru.stats.answers import Reports
from haru.store.duckdb.store import DuckStore
from haru.web.project import services

FINE, SIGN_IN, HIDDEN = "fine", "sign in", "hidden"
PEOPLE = ("owner", "admin", "team_mate", "stranger", "anonymous")


@dataclass(frozen=True)
class Route:
    """A route of a site or an account, and who gets what from it, in the order of PEOPLE."""

    name: str
    method: str
    answers: tuple[str, str, str, str, str]
    of_site: bool = True
    extra: str = ""


READERS = (FINE, FINE, FINE, HIDDEN, SIGN_IN)
MANAGERS = (FINE, FINE, HIDDEN, HIDDEN, SIGN_IN)
OWNER = (FINE, HIDDEN, HIDDEN, HIDDEN, SIGN_IN)
MEMBERS = (FINE, FINE, FINE, FINE, SIGN_IN)

ROUTES = (
    Route("home", "get", MEMBERS, of_site=False),
    Route("sites", "get", MEMBERS, of_site=False),
    Route("new-site", "get", MEMBERS, of_site=False),
    Route("new-site", "post", MEMBERS, of_site=False),
    Route("keys", "get", MEMBERS, of_site=False),
    Route("keys", "post", MEMBERS, of_site=False),
    Route("revoke-key", "post", (HIDDEN, HIDDEN, HIDDEN, HIDDEN, SIGN_IN), of_site=False, extra="pk"),
    Route("dashboard", "get", READERS),
    Route("panel", "get", READERS, extra="panel"),
    Route("suggestions", "get", READERS),
    Route("filter", "get", READERS),
    Route("segments", "get", READERS),
    Route("segments", "post", READERS),
    Route("segment", "get", MANAGERS, extra="segment"),
    Route("segment", "post", MANAGERS, extra="segment"),
    Route("delete-segment", "post", MANAGERS, extra="segment"),
    Route("filter-values", "get", READERS),
    Route("export", "get", READERS),
    Route("export-breakdown", "get", READERS, extra="tab"),
    Route("refusals", "get", READERS),
    Route("annotations", "get", READERS),
    Route("annotations", "post", READERS),
    Route("annotation", "get", MANAGERS, extra="annotation"),  # the one there is, is the site's
    Route("annotation", "post", MANAGERS, extra="annotation"),
    Route("delete-annotation", "post", MANAGERS, extra="annotation"),
    Route("snippet", "get", MANAGERS),
    Route("site-settings", "get", MANAGERS),
    Route("site-settings", "post", MANAGERS),
    Route("site-counting", "get", MANAGERS),
    Route("site-counting", "post", MANAGERS),
    Route("site-goals", "get", MANAGERS),
    Route("site-goals", "post", MANAGERS),
    Route("delete-goal", "post", MANAGERS, extra="goal"),
    Route("site-links", "get", MANAGERS),
    Route("site-links", "post", MANAGERS),
    Route("revoke-link", "post", MANAGERS, extra="link"),
    Route("rotate-token", "post", MANAGERS),
    Route("add-person", "post", MANAGERS),
    Route("remove-person", "post", MANAGERS, extra="user_id"),
    Route("delete-site", "post", OWNER),
)
#: Routes that judge by a key instead of a session, or describe those; `tests/web` of the API has their access tests.
BY_KEY = {
    "openapi",
    "api-docs",
    "query",
    "explain",
    "suggestions-api",
    "events-api",
    "refusals-api",
    "realtime-api",
    "aggregate-api",
    "timeseries-api",
    "breakdown-api",
    "sites-api",
    "site-api",
    "goals-api",
    "goal-api",
    "links-api",
    "link-api",
    "segments-api",
    "segment-api",
    "annotations-api",
    "annotation-api",
}
#: Routes that are open to everyone who has the link; `tests/web/test_share.py` has their access tests.
BY_LINK = {"shared", "shared-panel", "shared-suggestions", "shared-filter", "shared-filter-values"}
EXTRA = {"pk": ("pk", 1), "panel": ("panel", "pages"), "tab": ("tab", "pages"), "user_id": ("user_id", 999_999)}
#: What a route deletes: there is one of each in the site.
MADE = {"goal": Goal, "link": SharedLink, "segment": Segment, "annotation": Annotation}


@pytest.fixture
def people(site, owner, team_mate, stranger, make_user):
    admin = make_user("admin@example.com")
    registry.set_role(site, admin, "admin")
    goals.add_goal(site, event="Signup")
    links.add_link(site, "Board")
    notes.add(site, None, "2026-05-20T10:00:00Z", "New home page")
    segments.add(site, None, "Pricing", [["is", "event:page", ["/pricing"]]])
    return {"owner": owner, "admin": admin, "team_mate": team_mate, "stranger": stranger, "anonymous": None}


def address(route: Route, domain: str) -> str:
    given = {"domain": domain} if route.of_site else {}
    if route.extra in MADE:
        given["pk"] = next(iter(MADE[route.extra].objects.values_list("pk", flat=True)), 1)
    elif route.extra:
        name, value = EXTRA[route.extra]
        given[name] = value
    return reverse(route.name, kwargs=given)


@pytest.fixture
def empty_plane():
    """Services without events, for the routes that show numbers."""
    store = DuckStore(None)
    services.use(
        services.Services(
            reports=Reports(store),
            live=Live(),
            sites_changed=lambda: None,
            delete_events=lambda site_id: None,
            refusal_counts=lambda *_: [],
        )
    )
    yield
    services.use(None)
    store.close()


def without_form_key(answer) -> str:
    """The page without the one thing that differs from answer to answer."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.name}")
def test_a_route_answers_each_as_the_table_says(people, sign_in, route, who, empty_plane):
    expected = route.answers[PEOPLE.index(who)]
    token = Site.objects.get().token
    path = address(route, "example.com")
    answer = getattr(sign_in(people[who]), route.method)(path)
    if expected == SIGN_IN:
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/account/login/?next={path}"
    elif expected == HIDDEN:
        assert answer.status_code == 404
        assert who == "owner" or "owner@example.com" not in answer.content.decode()
    else:
        assert answer.status_code in {200, 302, 400, 422}  # some forms and questions are empty
        assert not answer.headers.get("Location", "").startswith("/account/login")
    if expected != FINE:
        assert Site.objects.get().token == token
        assert {made.objects.count() for made in MADE.values()} == {1}


@pytest.mark.parametrize("route", [route for route in ROUTES if route.of_site], ids=lambda route: route.name)
def test_another_persons_site_looks_like_one_that_does_not_exist(people, sign_in, route):
    browser = sign_in(people["stranger"])
    real = getattr(browser, route.method)(address(route, "example.com"))
    invented = getattr(browser, route.method)(address(route, "missing.example"))
    assert (real.status_code, without_form_key(real)) == (invented.status_code, without_form_key(invented))


def test_every_route_is_in_the_table():
    named = {pattern.name for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)}
    of_accounts = NEEDS_SIGN_IN | OPEN | {"confirm-new-email"}  # what is not allauth's is tested with the accounts
    assert named - of_accounts == {route.name for route in ROUTES} | BY_KEY | BY_LINK


def test_a_route_that_changes_something_wants_a_post(people, sign_in):
    browser = sign_in(people["owner"])
    writes = {route.name for route in ROUTES if route.method == "post"}
    for name in writes - {route.name for route in ROUTES if route.method == "get"}:
        route = next(route for route in ROUTES if route.name == name)
        assert browser.get(address(route, "example.com")).status_code == 405, name


NEEDS_SIGN_IN = {
    "account_email",
    "account_change_password",
    "account_set_password",
    "account_reauthenticate",
}
OPEN = {
    "account_login",
    "account_signup",
    "account_inactive",
    "account_email_verification_sent",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
}


@pytest.mark.parametrize("name", sorted(NEEDS_SIGN_IN | OPEN))
def test_an_account_page_opens_to_whom_it_should(db, sign_in, name):
    answer = sign_in().get(reverse(name))
    if name in OPEN:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/account/login/")


@pytest.mark.parametrize(
    ("ask", "may"),
    [
        (access.readable, {"owner", "admin", "team_mate"}),
        (access.manageable, {"owner", "admin"}),
        (access.owned, {"owner"}),
    ],
)
def test_the_access_functions_know_the_roles(people, site, ask, may):
    for who, person in people.items():
        if who in may:
            assert ask(person, "Example.com") == site
        else:
            with pytest.raises(Http404):
                ask(person or AnonymousUser(), "example.com")


def test_a_role_in_one_site_says_nothing_of_another(people):
    registry.create_site("other.example", "UTC", people["team_mate"])
    assert access.manageable(people["team_mate"], "other.example").domain == "other.example"
    with pytest.raises(Http404):
        access.manageable(people["team_mate"], "example.com")
    with pytest.raises(Http404):
        access.readable(people["owner"], "other.example")


def test_a_switched_off_account_sees_nothing(people, site):
    people["owner"].is_active = False
    assert not access.sites_of(people["owner"]).exists()
    with pytest.raises(Http404):
        access.readable(people["owner"], "example.com")
