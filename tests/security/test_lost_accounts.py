"""The accounts are lost and the events are kept: nobody gets to see what is not theirs, and the owner gets it back."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from haru import settings
from haru.events.columns import COLUMNS
from haru.server import jobs
from haru.server.node import Node
from haru.sites import registry
from haru.sites.lost import lost_sites, sorted_out
from haru.sites.models import DeletedSite, Membership, Site
from haru.sites.registry import SiteError
from haru.spool.spool import Spool
from haru.store.protocol import Progress, StoreUnavailable
from tests.events.made import event as made_event
from tests.server import Server
from tests.stats.made import ENGINES, HOUR, filled, journey, ms, stored

NOON = ms("2026-05-20 12:00")


def views(server: Server, domain: str) -> int:
    done = server.haru("query", "--site", domain, "--metrics", "pageviews", "--range", "all", "--format", "json")
    (row,) = json.loads(done.stdout)["results"]
    return int(row["metrics"][0])


def test_a_stranger_sees_nothing_of_a_lost_site_and_its_owner_gets_it_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        token = server.add_site("example.com")
        server.start()
        for path in ("/secret", "/salaries"):
            assert server.collect(token, path).status_code == 200
        server.call("load")
        assert server.collect(token, "/last").status_code == 200  # may wait in the spool still
        server.kill()
        for file in server.data_dir.glob("accounts.sqlite3*"):
            file.unlink()
        server.start()
        # The first to come registers, adds a site of the same name, and gets one of their own.
        server.haru("user", "add", "stranger@example.com", "--password-stdin", stdin="a long password\n")
        server.haru("site", "add", "example.com")
        assert views(server, "example.com") == 0
        assert server.collect(token, "/late").status_code == 401
        assert server.collect(server.token("example.com"), "/of the stranger").status_code == 200
        server.call("load")
        assert views(server, "example.com") == 1
        deadline = time.monotonic() + 60
        while "sites_lost" not in (log := server.log.read_text()):
            assert time.monotonic() < deadline, log
            time.sleep(0.1)
        assert "haru site adopt" in log
        check = server.haru("check", check=False)
        assert check.returncode == 1
        assert "BAD  sites: the event store has 1 that the accounts do not know" in check.stdout
        # Whoever runs the server finds out which it is, and gives it back.
        (line, _) = server.haru("site", "adopt").stdout.splitlines()
        found = re.fullmatch(r"(\d+) +3 +events  \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d(?:  .*)?", line)
        assert found, line
        server.haru("user", "add", "owner@example.com", "--password-stdin", stdin="a long password\n")
        server.haru(*("site", "adopt", found[1], "old.example.com", "--owner", "owner@example.com", "--token", token))
        assert views(server, "old.example.com") == 3
        assert views(server, "example.com") == 1
        while server.collect(token, "/again").status_code != 200:  # the server hears of it within a second or so
            assert time.monotonic() < deadline + 60
            time.sleep(0.1)
        assert server.stop() == 0
        assert "No site is lost" in server.haru("site", "adopt").stdout  # without a server too
        refused = server.haru("site", "adopt", found[1], "third.example.com", "--owner", "x@example.com", check=False)
        assert refused.returncode == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.django_db
def test_every_store_says_which_sites_it_has_and_what_tells_them_apart(owner, stranger, engine: str) -> None:
    known = registry.create_site("known.example", "UTC", owner)
    events = [
        *journey(100, NOON, (0, "/"), site_id=known.pk),
        *journey(200, NOON, (0, "/"), (60, "/a"), site_id=7, hostname="lost.example"),
        *journey(300, NOON, (0, "/"), site_id=2**53 - 1, hostname="other.example"),
        *journey(400, NOON, (0, "/"), site_id=8),
    ]
    store = filled(events, engine)
    DeletedSite.objects.create(pk=8)
    assert store.sites() == {known.pk, 7, 8, 2**53 - 1}
    assert sorted_out(store.sites()) == ({7, 2**53 - 1}, {8})
    first, second = lost_sites(store)
    assert (first.number, first.events, first.hostname) == (7, 2, "lost.example")
    assert (first.first_at, first.last_at) == (NOON, NOON + HOUR)
    assert second.number == 2**53 - 1
    # It goes to whom it is given, and to nobody else.
    site = registry.adopt_site(7, [7, 2**53 - 1], "lost.example", "Asia/Tokyo", owner)
    assert site.pk == 7
    assert [m.user_id for m in Membership.objects.filter(site=site)] == [owner.pk]
    assert [each.number for each in lost_sites(store)] == [2**53 - 1]
    for number in (7, 8, 9, known.pk):
        with pytest.raises(SiteError, match="is no lost site"):
            registry.adopt_site(number, [each.number for each in lost_sites(store)], "x.example", "UTC", stranger)


@pytest.mark.django_db
def test_a_token_is_taken_over_only_when_it_is_one_and_nobody_has_it(site, owner) -> None:
    for token, sentence in (("short", "no token of a site"), (site.token, "Another site has this token")):
        with pytest.raises(SiteError, match=sentence):
            registry.adopt_site(7, [7], "lost.example", "UTC", owner, token)
    assert registry.adopt_site(7, [7], "lost.example", "UTC", owner, "t" * 32).token == "t" * 32


@pytest.mark.django_db
def test_no_number_of_a_site_comes_again(owner) -> None:
    numbers = [registry.create_site(f"{place}.example", "UTC", owner).pk for place in range(20)]
    assert len(set(numbers)) == 20
    assert all(2**52 <= number < 2**53 for number in numbers)
    assert numbers != sorted(numbers)


@pytest.mark.django_db
def test_a_site_that_was_deleted_is_not_lost(site, owner) -> None:
    number = site.pk
    registry.delete_site(site)
    assert sorted_out([number]) == (set(), {number})


@pytest.mark.django_db
def test_events_of_a_site_that_was_deleted_while_the_store_was_away_go_once_it_answers(
    site, data_dir, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def made() -> Node:
        return Node(settings.current(), checked=True)

    def away(site_id: int) -> None:
        raise StoreUnavailable("the disk is full")

    node, number = asyncio.run(made()), site.pk
    event = stored(1, NOON, 1) | {"site_id": number}
    node.store.load([tuple(event[name] for name, _ in COLUMNS)], Progress(1))
    jobs.look_at_sites(node)
    assert node.sites_looked_at
    registry.delete_site(site)
    with monkeypatch.context() as patch:
        patch.setattr(node.store, "delete_site", away)
        for _ in range(2):  # by whoever deletes it, and by the look that follows
            with pytest.raises(StoreUnavailable):
                node.delete_events(number)
            jobs.look_at_sites(node)
            assert not node.sites_looked_at  # so that the next look comes in some seconds
    jobs.look_at_sites(node)
    assert node.store.sites() == set()
    assert node.sites_looked_at
    asyncio.run(node.stop())


@pytest.mark.django_db
def test_a_deleted_site_that_comes_back_from_a_backup_counts_again(site, data_dir) -> None:
    async def made() -> Node:
        return Node(settings.current(), checked=True)

    def collected() -> None:
        spool.append([made_event(site_id=number)])
        node.loading.submit(jobs.load_waiting, node).result()

    node, number = asyncio.run(made()), site.pk
    spool = Spool(data_dir / "spool.sqlite3")
    node.delete_events(number)
    Site.objects.filter(pk=number).delete()
    jobs.restore_sites(node)
    collected()
    assert node.store.sites() == set()
    Site(pk=number, domain="back.example", token="t" * 32).save()
    jobs.restore_sites(node)
    collected()
    assert node.store.sites() == {number}
    spool.close()
    asyncio.run(node.stop())


@pytest.mark.django_db(transaction=True)
def test_sites_of_before_keep_their_numbers_and_all_that_belongs_to_them(owner) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("sites", "0003_goals_and_shared_links")])
    old = executor.loader.project_state([("sites", "0003_goals_and_shared_links")]).apps
    site = old.get_model("sites", "Site").objects.create(domain="old.example", token="t" * 32)
    old.get_model("sites", "Membership").objects.create(site=site, user_id=owner.pk, role="owner")
    old.get_model("sites", "Goal").objects.create(site=site, name="Signup", event="signup")
    again = MigrationExecutor(connection)
    again.migrate(again.loader.graph.leaf_nodes())
    kept = Site.objects.get()
    assert (kept.pk, kept.domain, kept.goals.get().name) == (site.pk, "old.example", "Signup")
    assert kept.memberships.get().user_id == owner.pk
    assert registry.create_site("new.example", "UTC", owner).pk > 2**52
    with connection.cursor() as cursor:
        connection.check_constraints()
        cursor.execute("SELECT count(*) FROM sites_site")
