"""Sites, goals and shared links by API: who may do what, what is asked and what is answered."""

from __future__ import annotations

import json

import pytest
from django.test.client import MULTIPART_CONTENT

from haru import settings
from haru.accounts.models import ApiKey
from haru.collect.ratelimit import RateLimit
from haru.sites import access, goals, links, registry
from haru.sites.models import Goal, Role, SharedLink, Site
from haru.web.api import endpoint

PEOPLE = ("owner", "admin", "team_mate", "stranger", "nobody")


@pytest.fixture
def people(site, owner, team_mate, stranger, make_user):
    admin = make_user("admin@example.com")
    registry.set_role(site, admin, "admin")
    return {"owner": owner, "admin": admin, "team_mate": team_mate, "stranger": stranger, "nobody": None}


@pytest.fixture
def ask(client, people):
    """Asks with a new key of one of the people; `data` is sent as JSON."""

    def send(method: str, path: str, data=None, who: str = "owner", scopes=("sites:write",), key: str = "", **options):
        person = people[who]
        if person is not None and not key:
            _, key = ApiKey.create(person, "test", scopes)
        options.setdefault("content_type", "application/json")
        if method in {"get", "head"}:
            del options["content_type"]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {} if data is None else {"data": data}
        return getattr(client, method)(f"/api/v1/sites{path}", **body, **options, headers=headers)

    return send


def error(answer) -> str:
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


# Method, path, body, and who may, in the order of PEOPLE.
READERS, MANAGERS, OWNER = (True, True, True, False, False), (True, True, False, False, False), (True,) + (False,) * 4
OF_SITE = [
    ("get", "/example.com", None, READERS, "stats:read"),
    ("get", "/example.com", None, READERS, "sites:write"),
    ("put", "/example.com", {"timezone": "UTC"}, MANAGERS, "sites:write"),
    ("delete", "/example.com", None, OWNER, "sites:write"),
    ("get", "/goals?site_id=example.com", None, READERS, "stats:read"),
    ("get", "/goals?site_id=example.com", None, READERS, "sites:write"),
    ("put", "/goals", {"site_id": "example.com", "goal_type": "event", "event_name": "A"}, MANAGERS, "sites:write"),
    ("delete", "/goals/{goal}?site_id=example.com", None, MANAGERS, "sites:write"),
    ("get", "/shared-links?site_id=example.com", None, MANAGERS, "sites:write"),
    ("put", "/shared-links", {"site_id": "example.com", "name": "A"}, MANAGERS, "sites:write"),
    ("delete", "/shared-links/{link}?site_id=example.com", None, MANAGERS, "sites:write"),
]


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize(("method", "path", "data", "may", "scope"), OF_SITE)
def test_a_key_may_do_what_its_owner_may(ask, site, who, method, path, data, may, scope) -> None:
    goal, link = goals.add_goal(site, event="Signup"), links.add_link(site, "Board")
    answer = ask(method, path.format(goal=goal.pk, link=link.pk), data, who, (scope,))
    if may[PEOPLE.index(who)]:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        site.refresh_from_db()
        assert (site.timezone, Goal.objects.count(), SharedLink.objects.count()) == ("Europe/Berlin", 1, 1)


@pytest.mark.parametrize(("method", "path", "data", "may", "scope"), OF_SITE)
def test_no_key_a_wrong_one_and_an_unseen_site_get_the_same_answer(ask, site, method, path, data, may, scope) -> None:
    goal, link = goals.add_goal(site, event="Signup"), links.add_link(site, "Board")
    path = path.format(goal=goal.pk, link=link.pk)
    other = {**data, "site_id": "missing.example"} if data and "site_id" in data else data
    refused = [
        ask(method, path, data, "nobody"),
        ask(method, path, data, key="haru_wrong"),
        ask(method, path, data, scopes=("events:write",)),
        ask(method, path, data, "stranger", (scope,)),
        ask(method, path.replace("example.com", "missing.example"), other, "owner", (scope,)),
    ]
    sentence = endpoint.NO_CHANGE if scope == "sites:write" and method != "get" else error(refused[0])
    assert sentence in {endpoint.NO_CHANGE, endpoint.NO_ACCESS}
    assert {(answer.status_code, error(answer)) for answer in refused} == {(401, sentence)}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method, path, *_ in [*OF_SITE, ("post", "", None), ("get", "/shared-links?site_id=example.com", None)]
        if method != "get" or "links" in path
    ],
)
def test_a_key_that_may_only_read_changes_nothing(ask, site, method, path) -> None:
    goal, link = goals.add_goal(site, event="Signup"), links.add_link(site, "Board")
    answer = ask(method, path.format(goal=goal.pk, link=link.pk), {"domain": "new.example"}, scopes=("stats:read",))
    assert (answer.status_code, error(answer)) == (401, endpoint.NO_CHANGE)
    assert Site.objects.get().domain == "example.com"


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("", "GET, POST, HEAD"),
        ("/example.com", "DELETE, GET, PUT, HEAD"),
        ("/goals", "GET, PUT, HEAD"),
        ("/goals/1", "DELETE"),
        ("/shared-links", "GET, PUT, HEAD"),
        ("/shared-links/1", "DELETE"),
    ],
)
def test_another_method_is_405(ask, path, allow) -> None:
    answer = ask("patch", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allow)
    assert error(answer).startswith("Ask with ")


def test_what_is_not_there_is_404(ask, site, owner) -> None:
    assert error(ask("get", "/goals/x/y")) == "There is nothing at this address."
    other = registry.create_site("other.example", "UTC", owner)
    goal, link = goals.add_goal(other, event="Signup"), links.add_link(other, "Board")
    for path in (f"/goals/{goal.pk}", f"/shared-links/{link.pk}", "/goals/99999999999999999999"):
        answer = ask("delete", f"{path}?site_id=example.com")
        assert answer.status_code == 404
        assert error(answer).startswith("The site has no such ")


# Sites


def test_sites_are_listed_page_by_page_and_both_ways(ask, owner, people) -> None:
    for number in range(4):
        registry.create_site(f"n{number}.example", "UTC", owner)
    registry.create_site("strange.example", "UTC", people["stranger"])
    first = ask("get", "?limit=2").json()
    assert [row["domain"] for row in first["sites"]] == ["n3.example", "n2.example"]
    assert first["sites"][0] == {"domain": "n3.example", "timezone": "UTC"}
    assert (first["meta"]["before"], first["meta"]["limit"]) == (None, 2)
    second = ask("get", f"?limit=2&after={first['meta']['after']}").json()
    assert [row["domain"] for row in second["sites"]] == ["n1.example", "n0.example"]
    third = ask("get", f"?limit=2&after={second['meta']['after']}").json()
    assert [row["domain"] for row in third["sites"]] == ["example.com"]
    assert third["meta"]["after"] is None
    back = ask("get", f"?limit=2&before={third['meta']['before']}").json()
    assert [row["domain"] for row in back["sites"]] == ["n1.example", "n0.example"]
    assert ask("get", f"?limit=2&before={back['meta']['before']}").json()["meta"]["before"] is None
    assert ask("get", "", scopes=("stats:read",)).json()["meta"] == {"after": None, "before": None, "limit": 100}
    assert [row["domain"] for row in ask("get", "", who="stranger").json()["sites"]] == ["strange.example"]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("limit=0", "#/limit: Give a whole number from 1 to 1000"),
        ("limit=1001", "#/limit: "),
        ("limit=ten", "#/limit: "),
        ("after=!", "#/after: Give what meta.after of an answer said"),
        ("after=%C3%BC", "#/after: "),
        ("after=MTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA", "#/after: "),
        ("before=Zm9v", "#/before: "),
        ("after=MQ&before=MQ", "#/before: Give after or before, not both"),
        ("page=2", "#/page: Unknown; known are after, before, limit"),
    ],
)
def test_a_faulty_page_is_400(ask, parameters, says) -> None:
    answer = ask("get", f"?{parameters}")
    assert answer.status_code == 400
    assert says in error(answer)


@pytest.mark.parametrize("form", [False, True])
def test_a_site_is_added_and_gives_its_token(ask, owner, form) -> None:
    data = {"domain": "https://www.New.example/", "timezone": "Asia/Tokyo"}
    answer = ask("post", "", data, **({"content_type": MULTIPART_CONTENT} if form else {}))
    assert answer.status_code == 200, answer.content
    site = Site.objects.get(domain="new.example")
    assert answer.json() == {"domain": "new.example", "timezone": "Asia/Tokyo", "token": site.token}
    assert access.role_of(owner, site) == Role.OWNER
    assert ask("post", "", {"domain": "second.example"}).json()["timezone"] == "UTC"


def test_a_put_reads_forms_of_both_kinds(ask, site) -> None:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("site_id", "example.com") + part.format("name", "Bücher") + "--x--\r\n"
    answer = ask("put", "/shared-links", body, content_type="multipart/form-data; boundary=x")
    assert answer.json()["name"] == "Bücher"
    body = "site_id=example.com&goal_type=page&page_path=%2Fthanks"
    answer = ask("put", "/goals", body, content_type="application/x-www-form-urlencoded")
    assert answer.json()["page_path"] == "/thanks"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("--x\r\nrubbish", "multipart/form-data"),
        ("[]", "application/json"),
        ("{", "application/json"),
        ("7", "application/json"),
        ("&".join(f"a{n}=1" for n in range(2000)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(ask, body, kind) -> None:
    answer = ask("put", "/goals", body, content_type=kind)
    assert answer.status_code == 400
    assert error(answer).startswith("#: ")


def test_a_body_that_is_too_large_is_413(ask) -> None:
    for size in (endpoint.MAX_BODY + 1, 3_000_000):
        answer = ask("put", "/goals", "x" * size)
        assert answer.status_code == 413
        assert error(answer) == "The body is larger than 1024 KiB."
    assert ask("put", "/goals", "x" * size, CONTENT_LENGTH="").status_code in {400, 413}


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({}, ["#/domain: This is required"]),
        ({"domain": "intranet"}, ["#/domain: ", "write the whole domain"]),
        ({"domain": "example.com"}, ["#/domain: example.com is already measured here"]),
        ({"domain": 7, "timezone": "Mars/Base", "x": 1}, ["#/x: Unknown", "#/domain: Give a text", "#/timezone: "]),
        ({"domain": "a\ud800.example"}, ["#/domain: There is a character in it that no text has"]),
        ({"domain": "new.example", "timezone": ["UTC"]}, ["#/timezone: Give a text"]),
    ],
)
def test_a_site_that_cannot_be_added_is_400_with_every_fault(ask, data, faults) -> None:
    answer = ask("post", "", json.dumps(data))
    assert answer.status_code == 400
    assert all(fault in error(answer) for fault in faults)
    assert Site.objects.count() == 1


def test_a_site_shows_its_token_to_those_who_may_change_it(ask, site) -> None:
    plain = {"domain": "example.com", "timezone": "Europe/Berlin"}
    assert ask("get", "/WWW.Example.com").json() == {**plain, "token": site.token}
    assert ask("get", "/example.com", who="admin").json() == {**plain, "token": site.token}
    assert ask("get", "/example.com", scopes=("stats:read",)).json() == plain
    assert ask("get", "/example.com", who="team_mate").json() == plain


def test_a_site_gets_another_domain_and_another_zone(ask, site, owner) -> None:
    answer = ask("put", "/example.com", {"domain": "Neu.example", "timezone": "Asia/Tokyo"})
    assert answer.json() == {"domain": "neu.example", "timezone": "Asia/Tokyo", "token": site.token}
    registry.create_site("taken.example", "UTC", owner)
    assert "already measured here" in error(ask("put", "/neu.example", {"domain": "taken.example"}))
    assert "#: Give a domain, a timezone, or both" in error(ask("put", "/neu.example", {}))
    assert "#/timezone: " in error(ask("put", "/neu.example", {"timezone": "Mars/Base"}))
    site.refresh_from_db()
    assert (site.domain, site.timezone) == ("neu.example", "Asia/Tokyo")


def test_a_site_is_deleted(ask) -> None:
    assert ask("delete", "/example.com").json() == {"deleted": True}
    assert not Site.objects.exists()


# Goals


def test_a_goal_is_made_found_again_listed_and_deleted(ask, site) -> None:
    data = {"site_id": "example.com", "goal_type": "event", "event_name": "Purchase", "currency": "eur"}
    made = ask("put", "/goals", data).json()
    goal = Goal.objects.get()
    shown = {
        "id": goal.pk,
        "display_name": "Purchase",
        "goal_type": "event",
        "event_name": "Purchase",
        "page_path": None,
        "scroll_threshold": None,
        "currency": "EUR",
    }
    assert made == {"domain": "example.com", **shown}
    assert ask("put", "/goals", data).json() == made
    page = ask("put", "/goals", {"site_id": "example.com", "goal_type": "page", "page_path": "/thanks"}).json()
    assert (page["display_name"], page["event_name"], page["page_path"]) == ("Visit /thanks", None, "/thanks")
    listed = ask("get", "/goals?site_id=example.com&limit=1").json()
    assert [row["id"] for row in listed["goals"]] == [page["id"]]
    rest = ask("get", f"/goals?site_id=example.com&limit=1&after={listed['meta']['after']}").json()
    assert rest["goals"] == [shown]
    assert ask("delete", f"/goals/{goal.pk}", {"site_id": "example.com"}).json() == {"deleted": True}
    assert Goal.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({}, ["#/site_id: This is required", "#/goal_type: This is required"]),
        ({"goal_type": "x"}, ["#/goal_type: Give one of event, page, scroll", "#/site_id: "]),
        (
            {"site_id": "example.com", "goal_type": "scroll", "event_name": "y"},
            [
                "#/page_path: A goal of type scroll needs this",
                "#/scroll_threshold: A goal of type scroll needs this",
                "#/event_name: A goal of type scroll has none",
            ],
        ),
        (
            {"site_id": "example.com", "goal_type": "page", "page_path": "/x", "scroll_threshold": 50},
            ["#/scroll_threshold: A goal of type page has none"],
        ),
        *(
            (
                {"site_id": "example.com", "goal_type": "scroll", "page_path": "/x", "scroll_threshold": threshold},
                ["#/scroll_threshold: Give"],
            )
            for threshold in (101, -1, "half", True, 5.5, [50], "\u0665\u0660", 10**30)
        ),
        (
            {"site_id": "example.com", "goal_type": "page", "page_path": "/x", "page_pattern": "/y"},
            ["#/page_path: Give this or page_pattern, not both"],
        ),
        ({"site_id": "example.com", "goal_type": "page", "page_pattern": "x"}, ["#/page_pattern: ", "begin it with"]),
        ({"site_id": "example.com", "goal_type": "event"}, ["#/event_name: A goal of type event needs this"]),
        ({"site_id": "example.com", "goal_type": "page"}, ["#/page_path: A goal of type page needs this"]),
        (
            {"site_id": "example.com", "goal_type": "page", "page_path": "/x", "event_name": "y"},
            ["#/event_name: A goal of type page has none"],
        ),
        (
            {"site_id": "example.com", "goal_type": "page", "page_path": "x", "currency": "EUR"},
            ["#/page_path: ", "begin it with a slash", "#/currency: Only events bring revenue"],
        ),
    ],
)
def test_a_goal_that_cannot_be_is_400_with_every_fault(ask, data, faults) -> None:
    answer = ask("put", "/goals", data)
    assert answer.status_code == 400
    assert all(fault in error(answer) for fault in faults)


@pytest.mark.parametrize("threshold", [75, "75"])
def test_a_goal_of_scroll_is_made_found_again_and_listed(ask, site, threshold) -> None:
    data = {"site_id": "example.com", "goal_type": "scroll", "page_path": "/read", "scroll_threshold": threshold}
    made = ask("put", "/goals", data).json()
    assert made == {
        "domain": "example.com",
        "id": Goal.objects.get().pk,
        "display_name": "Scroll 75% on /read",
        "goal_type": "scroll",
        "event_name": None,
        "page_path": "/read",
        "scroll_threshold": 75,
        "currency": None,
    }
    assert ask("put", "/goals", data).json() == made
    other = ask("put", "/goals", {**data, "scroll_threshold": 0}).json()
    opened = ask("put", "/goals", {"site_id": "example.com", "goal_type": "page", "page_path": "/read"}).json()
    assert len({made["id"], other["id"], opened["id"]}) == 3
    types = [
        (row["goal_type"], row["scroll_threshold"]) for row in ask("get", "/goals?site_id=example.com").json()["goals"]
    ]
    assert types == [("page", None), ("scroll", 0), ("scroll", 75)]


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("page_path", "/blog*", "/blog**"),
        ("page_path", "/blog/*/comments", "/blog/**/comments"),
        ("page_path", "/blog**", "/blog**"),
        ("page_path", "/blog", "/blog"),
        ("page_pattern", "/blog/*", "/blog/*"),
        ("page_pattern", "/blog/**", "/blog/**"),
    ],
)
def test_a_star_of_a_page_means_any_text_as_in_peers_and_is_told_as_it_is_kept(ask, site, field, sent, kept) -> None:
    data = {"site_id": "example.com", "goal_type": "page", field: sent}
    made = ask("put", "/goals", data).json()
    assert made["page_path"] == kept
    assert Goal.objects.get().page == kept
    assert ask("put", "/goals", data).json() == made
    assert ask("put", "/goals", {"site_id": "example.com", "goal_type": "page", "page_pattern": kept}).json() == made


# Shared links


def test_a_link_is_made_found_again_listed_and_revoked(ask, site, client) -> None:
    made = ask("put", "/shared-links", {"site_id": "example.com", "name": "Board"}).json()
    link = SharedLink.objects.get()
    assert (made["name"], made["url"]) == ("Board", links.address(link))
    assert ask("put", "/shared-links", {"site_id": "example.com", "name": "Board"}).json() == made
    assert ask("get", "/shared-links?site_id=example.com").json() == {
        "shared_links": [
            {
                "id": link.pk,
                "name": "Board",
                "url": links.address(link),
                "has_password": False,
                "created_at": link.created_at.isoformat(timespec="seconds"),
            }
        ],
        "meta": {"after": None, "before": None, "limit": 100},
    }
    assert ask("delete", f"/shared-links/{link.pk}?site_id=example.com").json() == {"deleted": True}
    assert client.get(f"/share/{link.slug}").status_code == 404


def test_a_password_that_is_sent_is_the_links_or_the_request_is_refused(ask, site) -> None:
    data = {"site_id": "example.com", "name": "Board"}
    assert ask("put", "/shared-links", {**data, "password": "secret"}).json()["has_password"] is True
    assert ask("put", "/shared-links", {**data, "password": "secret"}).status_code == 200
    assert ask("put", "/shared-links", data).json()["has_password"] is True
    links.add_link(site, "Open")
    for fields in ({"password": "other"}, {"name": "Open", "password": "secret"}):
        answer = ask("put", "/shared-links", {**data, **fields})
        assert answer.status_code == 400
        assert error(answer).startswith("#/password: ")


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({}, ["#/site_id: This is required", "#/name: This is required"]),
        ({"site_id": "example.com", "name": "x" * 101}, ["#/name: Give a text of at most 100"]),
        ({"site_id": "example.com", "name": "x", "password": "x" * 1001}, ["#/password: "]),
    ],
)
def test_a_link_that_cannot_be_is_400(ask, data, faults) -> None:
    answer = ask("put", "/shared-links", data)
    assert answer.status_code == 400
    assert all(fault in error(answer) for fault in faults)


# Limits


def test_one_limit_holds_for_all_that_a_key_asks(ask, owner, client, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "_limit", RateLimit(0))
    monkeypatch.setattr(settings, "current", lambda: settings.read({"HARU_API_RATE_LIMIT": "2"}))
    _, key = ApiKey.create(owner, "test", ["stats:read", "sites:write"])
    assert [ask("get", path, key=key).status_code for path in ("", "/example.com")] == [200, 200]
    answer = client.get("/api/v1/stats/aggregate", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert ask("get", "").status_code == 200  # another key


def test_no_limit_holds_when_it_is_switched_off(ask, owner, monkeypatch) -> None:
    monkeypatch.setattr(endpoint, "_limit", RateLimit(0))
    monkeypatch.setattr(settings, "current", lambda: settings.read({"HARU_API_RATE_LIMIT": "0"}))
    _, key = ApiKey.create(owner, "test", ["sites:write"])
    assert {ask("get", "/example.com", key=key).status_code for _ in range(5)} == {200}


def test_a_revoked_key_does_nothing_from_then_on(ask, owner) -> None:
    made, key = ApiKey.create(owner, "test", ["sites:write"])
    assert ask("get", "", key=key).status_code == 200
    made.delete()
    assert ask("get", "", key=key).status_code == 401
