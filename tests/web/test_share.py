"""The dashboard of a shared link, over a real event store."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from haru.collect.ratelimit import RateLimit
from haru.live import Live
from haru.sites import goals, links, registry
from haru.stats.answers import Reports
from haru.stats.asking import Waiter
from haru.stats.turns import Crowded, Guest, Turns
from haru.store.stop import Stop
from haru.web.dashboard import share, stream
from haru.web.project import services
from tests.stats.made import filled, journey
from tests.web.test_stream import NOW, Watcher, cookie_of

SECRET = "one long secret"


@pytest.fixture
def events(site):
    """Services over a store in which the site has a visit of just now."""
    now = int(time.time() * 1000) - 60_000
    live = Live()
    services.use(
        services.Services(
            reports=Reports(filled(journey(100, now, (0, "/pricing"), site_id=site.pk, source="Google"))),
            live=live,
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
        )
    )
    yield live
    services.use(None)


@pytest.fixture
def link(site):
    return links.add_link(site, "Board")


@pytest.fixture
def locked(site, monkeypatch):
    """A link with a password, of which nobody has tried one yet."""
    monkeypatch.setattr(share, "_limit", RateLimit(0))
    return links.add_link(site, "Locked", SECRET)


def test_a_guest_filters_under_the_link_alone(sign_in, events, link, locked):
    guest = sign_in()
    form = guest.get(f"/share/{link.slug}/filter?period=day&dimension=event:page")
    assert form.status_code == 200
    assert f'action="/share/{link.slug}"' in form.content.decode()
    assert "/pricing" in guest.get(f"/share/{link.slug}/filter/values?period=day&dimension=event:page").content.decode()
    answer = guest.get(f"/share/{link.slug}?period=day&dimension=event:page&operator=is&value=/pricing")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"/share/{link.slug}?period=day&filters=")
    for address in ("filter", "filter/values"):
        assert guest.get(f"/share/{locked.slug}/{address}?dimension=event:page").status_code == 404


@pytest.mark.parametrize("who", ["owner", "team_mate", "stranger", None])
def test_whoever_has_the_link_sees_the_same_and_changes_nothing(request, sign_in, events, link, who):
    browser = sign_in(request.getfixturevalue(who) if who else None)
    answer = browser.get(f"/share/{link.slug}")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "/pricing" in html
    assert "example.com" in html
    assert "/sites/example.com" not in html  # neither settings nor refusals nor a panel that asks for a session
    assert link.site.token not in html
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]


def test_every_part_of_the_page_asks_under_the_link(sign_in, events, link):
    browser = sign_in()
    html = browser.get(f"/share/{link.slug}?period=day").content.decode()
    assert f'hx-sse:connect="/share/{link.slug}/live"' in html
    parts = re.findall(r'hx-get="([^"]+/panels/[^"]+)"', html)
    assert len(parts) == 6
    for address in parts:
        answer = browser.get(address)
        assert answer.status_code == 200
        assert address in answer.content.decode()
    details = browser.get(f"/share/{link.slug}?period=day&details=pages")
    assert "/pricing" in details.content.decode()
    assert "/sites/" not in details.content.decode()
    assert browser.get(f"/share/{link.slug}/panels/nothing").status_code == 404


def test_a_guest_sees_goals_and_details_under_the_link_alone(sign_in, events, link, locked):
    goals.add_goal(link.site, page="/pricing")
    guest, address = sign_in(), "period=day&details=goals&sort=visitors.asc&search=visit"
    html = guest.get(f"/share/{link.slug}?period=day").content.decode()
    assert f'hx-get="/share/{link.slug}/panels/goals?period=day"' in html
    assert f'hx-get="/share/{link.slug}?period=day&amp;details=goals"' in html
    for headers in ({}, {"HX-Request": "true"}):
        details = guest.get(f"/share/{link.slug}?{address}", headers=headers).content.decode()
        assert "Visit /pricing" in details
        assert "/sites/" not in details
        assert "Export" not in details
        unopened = guest.get(f"/share/{locked.slug}?{address}", headers=headers).content.decode()
        assert "pricing" not in unopened
        assert "password" in unopened
    assert guest.get("/sites/example.com/export/goals.csv").status_code == 302


def test_a_site_without_events_shows_no_snippet(sign_in, link):
    services.use(
        services.Services(
            reports=Reports(filled([])), live=Live(), sites_changed=list, delete_events=list, refusal_counts=list
        )
    )
    try:
        html = sign_in().get(f"/share/{link.slug}").content.decode()
    finally:
        services.use(None)
    assert "Waiting for the first visit" in html
    assert link.site.token not in html
    assert "/sites/" not in html


@pytest.mark.parametrize("slug", ["nothing", "%F0%9F%90%8D", "a%00b", "x" * 300])
def test_an_address_that_is_no_link_shows_nothing(db, sign_in, events, slug):
    for address in (f"/share/{slug}", f"/share/{slug}/panels/top"):
        assert sign_in().get(address).status_code == 404
    assert sign_in().post(f"/share/{slug}", {"password": "x"}).status_code == 404


def test_a_revoked_link_shows_nothing_from_then_on(sign_in, events, link):
    browser = sign_in()
    assert browser.get(f"/share/{link.slug}").status_code == 200
    links.revoke_link(link.site, link.pk)
    assert browser.get(f"/share/{link.slug}").status_code == 404
    assert browser.get(f"/share/{link.slug}/panels/top").status_code == 404


def test_a_link_shows_one_site_and_opens_no_other_page(sign_in, events, link):
    browser = sign_in()
    browser.get(f"/share/{link.slug}")
    for address in ("/sites/example.com", "/sites", "/sites/example.com/settings", "/sites/example.com/panels/top"):
        assert browser.get(address).headers["Location"].startswith("/account/login/")


def test_a_password_is_asked_before_anything_is_shown(sign_in, events, locked):
    browser = sign_in()
    address = f"/share/{locked.slug}?period=day"
    answer = browser.get(address)
    assert answer.status_code == 200
    assert "example.com" not in answer.content.decode()
    assert browser.get(f"/share/{locked.slug}/panels/top").status_code == 404
    wrong = browser.post(address, {"password": "wrong"})
    assert wrong.status_code == 422
    assert "not the password" in wrong.content.decode()
    assert browser.post(address, {"password": ""}).status_code == 422
    assert browser.get(f"/share/{locked.slug}/panels/top").status_code == 404
    right = browser.post(address, {"password": SECRET})
    assert (right.status_code, right.headers["Location"]) == (302, address)
    cookie = right.cookies["haru_share"]
    assert cookie["httponly"]
    assert (cookie["path"], cookie["samesite"], cookie["max-age"]) == (f"/share/{locked.slug}", "Lax", 24 * 3600)
    assert "/pricing" in browser.get(address).content.decode()
    assert browser.get(f"/share/{locked.slug}/panels/top").status_code == 200


def test_the_password_of_one_link_opens_no_other(site, sign_in, events, locked):
    other = links.add_link(site, "Other", "another secret")
    browser = sign_in()
    browser.post(f"/share/{locked.slug}", {"password": SECRET})
    assert "not the password" in browser.post(f"/share/{other.slug}", {"password": SECRET}).content.decode()
    assert browser.get(f"/share/{other.slug}/panels/top").status_code == 404


def test_a_password_cannot_be_tried_for_ever(sign_in, events, locked):
    browser = sign_in(REMOTE_ADDR="203.0.113.77")
    address = f"/share/{locked.slug}"
    for _ in range(share.TRIES_A_MINUTE):
        assert browser.post(address, {"password": "wrong"}).status_code == 422
    answer = browser.post(address, {"password": SECRET})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many tries" in answer.content.decode()
    elsewhere = sign_in(REMOTE_ADDR="203.0.113.78")
    assert elsewhere.post(address, {"password": SECRET}).status_code == 302


def test_many_addresses_together_may_not_try_for_ever_either(sign_in, events, locked, monkeypatch):
    monkeypatch.setattr(share, "LINK_TRIES_A_MINUTE", 3)
    answers = [
        sign_in(REMOTE_ADDR=f"203.0.113.{n}").post(f"/share/{locked.slug}", {"password": "wrong"}).status_code
        for n in range(1, 5)
    ]
    assert answers == [422, 422, 422, 429]


def test_the_question_needs_the_key_of_its_form(sign_in, events, locked):
    answer = sign_in(enforce_csrf_checks=True).post(f"/share/{locked.slug}", {"password": SECRET})
    assert answer.status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_link_streams_until_it_is_revoked(site, events, link) -> None:
    async def watch() -> None:
        watcher = Watcher(events, "")
        watcher.scope["path"] = f"/share/{link.slug}/live"
        task = watcher.run()
        await watcher.until(lambda: "event: tick" in watcher.text)
        ticks = watcher.text.count("event: tick")
        await asyncio.to_thread(links.revoke_link, site, link.pk)
        async with asyncio.timeout(5):
            await task
        assert watcher.status == 200
        assert watcher.text.endswith("event: gone\ndata: {}\n\n")
        assert watcher.text.count("event: tick") == ticks

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_a_revoked_link_stops_streaming_while_every_shared_thread_waits_for_the_store(site, events, link) -> None:
    async def watch() -> None:
        watcher, answered = Watcher(events, ""), threading.Event()
        watcher.scope["path"] = f"/share/{link.slug}/live"
        with ThreadPoolExecutor(1) as own:
            waiting = [asyncio.create_task(asyncio.to_thread(answered.wait, 120)) for _ in range(100)]
            try:
                task = watcher.run()
                await watcher.until(lambda: "event: tick" in watcher.text)
                await asyncio.get_running_loop().run_in_executor(own, links.revoke_link, site, link.pk)
                async with asyncio.timeout(60):
                    await task
                assert not answered.is_set()
            finally:
                answered.set()
                await asyncio.gather(*waiting)
        assert watcher.text.endswith("event: gone\ndata: {}\n\n")

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_the_stream_asks_for_the_password_too(site, events, locked, sign_in) -> None:
    browser = sign_in()
    browser.post(f"/share/{locked.slug}", {"password": SECRET})
    right = cookie_of(browser)

    async def watch() -> None:
        for cookie, path, status in (
            (right, locked.slug, 200),
            ("", locked.slug, 404),
            ("haru_share=rubbish", locked.slug, 404),
            (right, "nothing", 404),
        ):
            watcher = Watcher(events, cookie)
            watcher.scope["path"] = f"/share/{path}/live"
            task = watcher.run()
            await watcher.until(lambda watcher=watcher: len(watcher.sent) > 1)
            watcher.gone.set()
            await task
            assert watcher.status == status

    asyncio.run(watch())


@pytest.mark.django_db(transaction=True)
def test_a_person_who_is_removed_stops_watching_at_once(site, team_mate, events, sign_in) -> None:
    cookie = cookie_of(sign_in(team_mate))

    async def watch() -> None:
        watcher = Watcher(events, cookie)
        task = watcher.run()
        await watcher.until(lambda: "event: tick" in watcher.text)
        await asyncio.to_thread(registry.remove_person, site, team_mate.pk)
        async with asyncio.timeout(5):
            await task
        assert watcher.now - NOW < stream.CHECK_SECONDS
        assert "event: gone" in watcher.text

    asyncio.run(watch())


class Watching:
    """Turns that tell who asked for one, and what may happen while they wait."""

    def __init__(self, meanwhile=lambda: None) -> None:
        self.askers: list[object] = []
        self._meanwhile = meanwhile

    @contextlib.contextmanager
    def turn(self, asker, stop):
        """A turn, after what happens meanwhile."""
        self.askers.append(asker)
        self._meanwhile()
        yield


def test_guests_take_turns_by_link_and_network_and_people_of_the_site_wait_for_none_of_them(
    site, sign_in, owner, events, link, monkeypatch
):
    turns = Watching()
    monkeypatch.setattr(share, "_turns", turns)
    other = links.add_link(site, "Press")
    for slug, address in ((link.slug, "192.0.2.1"), (link.slug, "192.0.2.2"), (other.slug, "192.0.2.1")):
        assert sign_in().get(f"/share/{slug}", REMOTE_ADDR=address).status_code == 200
        assert sign_in().get(f"/share/{slug}/panels/top", REMOTE_ADDR=address).status_code == 200
    # Someone of the site who opens the link is a guest there.
    assert sign_in(owner).get(f"/share/{link.slug}", REMOTE_ADDR="192.0.2.1").status_code == 200
    pages, panels, last = turns.askers[:-1:2], turns.askers[1::2], turns.askers[-1]
    assert pages == panels
    assert len(set(pages)) == 3
    assert last == pages[0]
    assert sign_in(owner).get("/sites/example.com").status_code == 200
    assert len(turns.askers) == 7


def test_a_link_that_is_revoked_while_a_guest_waits_shows_nothing(site, sign_in, events, link, monkeypatch):
    revoking = Watching(lambda: links.revoke_link(site, link.pk))
    monkeypatch.setattr(share, "_turns", revoking)
    answer = sign_in().get(f"/share/{link.slug}")
    assert answer.status_code == 404
    assert "/pricing" not in answer.content.decode()


def test_a_guest_too_many_is_asked_to_come_again(sign_in, events, link, monkeypatch):
    def crowded():
        raise Crowded

    monkeypatch.setattr(share, "_turns", Watching(crowded))
    answer = sign_in().get(f"/share/{link.slug}")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "Very many look at this just now" in answer.content.decode()


def test_whoever_waits_for_a_turn_holds_no_connection_to_the_database(sign_in, events, link, monkeypatch):
    told = []
    monkeypatch.setattr(share, "close_old_connections", lambda: told.append("closed"))
    monkeypatch.setattr(share, "_turns", Watching(lambda: told.append("waits")))
    assert sign_in().get(f"/share/{link.slug}").status_code == 200
    assert told == ["closed", "waits"]


def test_a_guest_whose_turn_does_not_come_is_told_so(sign_in, events, link, monkeypatch):
    turns = Turns(0)
    monkeypatch.setattr(share, "_turns", turns)
    monkeypatch.setattr(share, "WAIT_SECONDS", 0.05)
    answer = sign_in().get(f"/share/{link.slug}")
    assert answer.status_code == 503
    assert turns.waiting == 0


def test_a_slow_link_keeps_nobody_of_another_site_waiting(site, owner, sign_in, events, link, monkeypatch):
    monkeypatch.setattr(share, "_turns", Turns(share.PAGES_AT_ONCE))
    monkeypatch.setattr(share, "WAIT_SECONDS", 0.5)
    other = registry.create_site("other.example", "Europe/Berlin", owner)
    press, others = links.add_link(site, "Press"), links.add_link(other, "Board")
    with share._turns.turn(Guest(site.pk, link.pk, b"slow"), Stop()):
        assert sign_in().get(f"/share/{press.slug}").status_code == 503
        monkeypatch.setattr(share, "WAIT_SECONDS", 30.0)
        assert sign_in().get(f"/share/{others.slug}").status_code == 200


def test_queries_for_guests_are_asked_as_theirs_and_those_for_people_as_theirs(
    site, owner, sign_in, events, link, monkeypatch
):
    def askers(browser, address):
        turns = Watching()
        monkeypatch.setattr(services.get().reports.asking, "_turns", turns)
        with Waiter().waits():
            assert browser.get(address, REMOTE_ADDR="192.0.2.1").status_code == 200
        return set(turns.askers)

    (guest,) = askers(sign_in(), f"/share/{link.slug}?period=7d")
    assert isinstance(guest, Guest)
    assert (guest.site_id, guest.link_id) == (site.pk, link.pk)
    (guest,) = askers(sign_in(owner), f"/share/{link.slug}?period=28d")
    assert isinstance(guest, Guest)
    assert askers(sign_in(owner), "/sites/example.com?period=91d") == {("user", owner.pk)}


def test_people_are_told_too_when_more_wait_than_can_be_served(site, owner, sign_in, events, monkeypatch):
    def crowded():
        raise Crowded

    monkeypatch.setattr(services.get().reports.asking, "_turns", Watching(crowded))
    answer = sign_in(owner).get("/sites/example.com")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "Very many look at this just now" in answer.content.decode()
