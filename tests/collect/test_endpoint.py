from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from haru.collect import sites
from haru.collect.endpoint import INSTALLATION, Endpoint
from haru.collect.formats import FORMATS
from haru.collect.geo import Geo
from haru.collect.pipeline import Pipeline
from haru.collect.ratelimit import RateLimit
from haru.collect.ratelimit_storage import RateLimitStorage
from haru.collect.sites import Site, Sites, set_sure
from haru.collect.visitor import Salts
from haru.events.event import Event
from haru.events.ledger import RefusalCount
from haru.settings import read
from haru.spool import spool as spool_module
from haru.spool import writer as writer_module
from haru.spool.spool import Spool, SpoolUnavailable
from haru.spool.writer import Entry, Outcome, Writer
from tests.collect.formats import pages

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SITE = Site(id=1, domain="example.com", token="t-one")
OTHER = Site(id=2, domain="other.example", token="t-two", rate_limit=2)
NOW = 1_767_268_800.0


class Collect:
    """The endpoint over a real spool, driven as a server drives it."""

    def __init__(self, folder: Path, most_bytes: int = 0, **environment: str) -> None:
        self.now = NOW
        settings = read({"HARU_DATA_DIR": str(folder), **environment})
        sites.write(folder, [SITE, OTHER])
        salts = Salts(folder)
        salts.rotate(int(NOW * 1000))
        self.spool = Spool(folder / "spool.sqlite3")
        self.writer = Writer(Spool(folder / "spool.sqlite3"), asyncio.get_running_loop(), most_bytes)
        self.sites = Sites(folder)
        self.endpoint = Endpoint(
            settings,
            self.sites,
            Pipeline(salts.ids, Geo(None)),
            RateLimit(settings.rate_limit, RateLimitStorage(clock=lambda: self.now)),
            self.writer,
            clock=lambda: self.now,
        )

    async def ask(
        self,
        body: bytes | dict[str, Any] = b'{"p":"/"}',
        *,
        token: str | None = "t-one",
        query: str = "",
        method: str = "POST",
        peer: str = "203.0.113.9",
        headers: dict[str, str] | None = None,
        parts: list[bytes] | None = None,
        path: str = "/api/collect",
    ) -> tuple[int, dict[str, str], bytes]:
        lines = {"user-agent": FIREFOX} | (headers or {})
        if token is not None:
            lines["authorization"] = f"Bearer {token}"
        whole = json.dumps(body).encode() if isinstance(body, dict) else body
        waiting = list(parts) if parts is not None else [whole]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "client": (peer, 1234),
            "headers": [(k.lower().encode(), v.encode("utf-8")) for k, v in lines.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not waiting:
                return {"type": "http.disconnect"}
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(waiting) or parts is not None}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.endpoint(scope, receive, send)
        if not sent:
            return 0, {}, b""
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        answered = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], answered, sent[1].get("body", b"")

    def events(self) -> list[Event]:
        return self.spool.events()


@pytest.fixture
async def collect(tmp_path: Path) -> AsyncIterator[Collect]:
    collect = Collect(tmp_path)
    yield collect
    await asyncio.to_thread(collect.writer.close)


async def test_the_curl_of_the_readme_counts(collect: Collect) -> None:
    status, headers, body = await collect.ask(
        b'{"p":"/home","r":"https://google.com","sw":1920,"sh":1080}', headers={"user-agent": "curl/8.5.0"}
    )
    assert (status, body) == (200, b"")
    assert "x-haru-dropped" not in headers
    (event,) = collect.events()
    assert (event.path, event.origin.source, event.origin.screen) == ("/home", "Google", "1920x1080")
    assert collect.endpoint.accepted == 1


async def test_a_beacon_with_the_token_in_the_query_counts(collect: Collect) -> None:
    status, headers, _ = await collect.ask(token=None, query="t=t-one", headers={"content-type": "text/plain"})
    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert len(collect.events()) == 1
    assert (await collect.ask(token=None, query="x=1&t=t%2Done"))[0] == 200
    assert len(collect.events()) == 2


async def test_curl_with_the_public_token_is_a_robot(collect: Collect) -> None:
    status, headers, body = await collect.ask(token=None, query="t=t-one", headers={"user-agent": "curl/8.5.0"})
    assert (status, headers["x-haru-dropped"], body) == (200, "bot", b"")
    assert collect.events() == []
    assert collect.endpoint.refusals == {"bot": 1}


@pytest.mark.parametrize("token", [None, "", "wrong", "t-on", "T-ONE", "é"])
async def test_an_unknown_token_is_401_and_counts_under_the_installation(collect: Collect, token: str | None) -> None:
    status, headers, body = await collect.ask(token=token)
    assert status == 401
    assert headers["x-haru-dropped"] == "unknown_site"
    assert json.loads(body)["error"].startswith("token: no site has this token")
    assert collect.endpoint.refusals == {"unknown_site": 1}
    assert collect.events() == []


async def test_the_token_of_a_site_that_was_just_added_counts_at_once(collect: Collect, tmp_path: Path) -> None:
    assert (await collect.ask(token="t-new"))[0] == 401
    sites.write(tmp_path, [SITE, OTHER, Site(id=3, domain="new.example.com", token="t-new")])
    assert (await collect.ask(token="t-new"))[0] == 200
    assert [event.site_id for event in collect.events()] == [3]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"p":1}',
        b'{"p":"/","sw":-1}',
        b'{"p":"/","sw":1e99}',
        b'{"p":"/' + b"x" * 3000 + b'"}',
    ],
)
async def test_a_bad_body_is_400_with_a_sentence_and_harms_no_neighbour(collect: Collect, body: bytes) -> None:
    (status, headers, answer), (good, *_) = await asyncio.gather(collect.ask(body), collect.ask())
    assert (status, good) == (400, 200)
    assert ": " in json.loads(answer)["error"]
    assert headers["access-control-allow-origin"] == "*"
    assert len(collect.events()) == 1
    assert collect.endpoint.refusals == {"invalid": 1}


async def test_a_body_that_is_too_large_is_413_whether_announced_or_not(collect: Collect) -> None:
    announced = await collect.ask(b"{}", headers={"content-length": str(10 * 1024 * 1024)})
    streamed = await collect.ask(parts=[b"x" * 65536] * 160)
    at_once = await collect.ask(b"x" * (128 * 1024 + 1))
    assert [announced[0], streamed[0], at_once[0]] == [413, 413, 413]
    assert collect.endpoint.refusals == {"too_large": 3}


async def test_a_body_in_several_parts_is_one_body(collect: Collect) -> None:
    scope_parts = [b'{"p":', b'"/in-parts"', b"}"]
    waiting = list(scope_parts)

    async def receive() -> dict[str, Any]:
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/collect", "query_string": b"", "client": ("203.0.113.9", 1),
        "headers": [(b"authorization", b"Bearer t-one"), (b"user-agent", FIREFOX.encode())],
    }  # fmt: skip
    await collect.endpoint(scope, receive, send)
    assert sent[0]["status"] == 200
    assert collect.events()[0].path == "/in-parts"


async def test_a_sender_who_leaves_before_the_end_counts_nothing(collect: Collect) -> None:
    assert await collect.ask(parts=[b'{"p":"/']) == (0, {}, b"")
    assert collect.events() == []
    assert collect.endpoint.refusals == {}


async def test_refusals_reach_the_spool_by_site_hour_and_reason(collect: Collect) -> None:
    await asyncio.gather(
        *(collect.ask(token=None, query="t=t-one", headers={"user-agent": "curl/8"}) for _ in range(3))
    )
    await collect.ask(b'{"p":1}')
    await collect.ask(token="wrong")
    collect.now += 3600
    await collect.ask(b"{", token="t-two")
    await asyncio.to_thread(collect.writer.close)
    hour = int(NOW) * 1000
    found = [refusal for batch in collect.spool.read(0, 10) for refusal in batch.body.refusals]
    assert sorted(found, key=lambda t: (t.site_id, t.reason)) == [
        RefusalCount(INSTALLATION, hour, "unknown_site", "", 1),
        RefusalCount(1, hour, "bot", "", 3),
        RefusalCount(1, hour, "invalid", "p", 1),
        RefusalCount(2, hour + 3_600_000, "invalid", "body", 1),
    ]


async def test_a_token_that_is_not_known_is_503_while_the_list_of_sites_may_be_old(
    collect: Collect, tmp_path: Path
) -> None:
    set_sure(tmp_path, False)
    collect.sites.refresh()
    status, headers, _ = await collect.ask(token="perhaps-new")
    assert (status, headers["retry-after"]) == (503, "10")
    assert (await collect.ask())[0] == 200  # a site that is known goes on
    assert (await collect.ask(token=None))[0] == 401  # and no token at all is no new site's
    set_sure(tmp_path, True)
    collect.sites.refresh()
    assert (await collect.ask(token="perhaps-new"))[0] == 401


async def test_a_spool_at_its_limit_is_503_and_takes_events_again_when_it_has_room(tmp_path: Path) -> None:
    collect = Collect(tmp_path, most_bytes=400_000, HARU_RATE_LIMIT="0")
    statuses = []
    for _ in range(2000):
        statuses.append((await collect.ask({"p": "/", "d": {"x": "y" * 1000}}))[0])
        if statuses[-1] == 503:
            break
        if len(statuses) % 100 == 0:
            await asyncio.sleep(writer_module.SIZE_SECONDS / 4)
    assert statuses[-1] == 503
    assert (await collect.ask())[1]["retry-after"] == "60"
    assert collect.writer.full
    accepted = statuses.count(200)
    assert len(collect.events()) == accepted
    collect.spool.acknowledge(1 << 40)
    for _ in range(50):
        await asyncio.sleep(writer_module.SIZE_SECONDS / 10)
        if not collect.writer.full:
            break
    assert (await collect.ask())[0] == 200
    collect.writer.close()


async def test_a_fault_of_ours_is_500_with_a_sentence_and_the_next_request_works(
    collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(collect.endpoint._pipeline, "run", lambda hit: 1 / 0)
        status, _, body = await collect.ask()
    assert (status, list(json.loads(body))) == (500, ["error"])
    assert (await collect.ask())[0] == 200


async def test_a_preflight_is_answered_and_other_methods_are_not(collect: Collect) -> None:
    status, headers, _ = await collect.ask(method="OPTIONS", token=None)
    assert status == 204
    assert "authorization" in headers["access-control-allow-headers"]
    assert (await collect.ask(method="GET"))[0] == 405


async def test_beyond_the_limit_of_an_address_the_answer_is_429(tmp_path: Path) -> None:
    collect = Collect(tmp_path, HARU_RATE_LIMIT="5")
    answers = [await collect.ask() for _ in range(6)]
    assert [status for status, *_ in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1][1]["retry-after"]) <= 120
    assert (await collect.ask(peer="203.0.113.10"))[0] == 200
    assert [(await collect.ask(token="t-two"))[0] for _ in range(3)] == [200, 200, 429]  # its own limit, its own count
    collect.now += 121
    assert (await collect.ask())[0] == 200
    collect.writer.close()


async def test_guessing_tokens_is_limited_by_address(tmp_path: Path) -> None:
    collect = Collect(tmp_path, HARU_RATE_LIMIT="3")
    assert [(await collect.ask(token=f"guess-{n}"))[0] for n in range(4)] == [401, 401, 401, 429]
    assert (await collect.ask())[0] == 200
    collect.writer.close()


async def test_addresses_of_one_ipv6_network_are_one_sender(tmp_path: Path) -> None:
    collect = Collect(tmp_path, HARU_RATE_LIMIT="2")
    peers = ["2001:db8:1:1::1", "2001:db8:1:1:ffff::2", "2001:db8:1:1::3", "2001:db8:1:2::1"]
    assert [(await collect.ask(peer=peer))[0] for peer in peers] == [200, 200, 429, 200]
    collect.writer.close()


async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only(tmp_path: Path) -> None:
    collect = Collect(tmp_path, HARU_TRUSTED_PROXIES="10.0.0.0/8", HARU_COUNTRY_HEADER="CF-IPCountry")
    for peer, forwarded in [
        ("10.0.0.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.2"),
        ("203.0.113.9", "198.51.100.1"),
    ]:
        await collect.ask(peer=peer, headers={"x-forwarded-for": forwarded, "cf-ipcountry": "SE"})
    first, second, stranger = collect.events()
    assert first.visitor_id != second.visitor_id
    assert stranger.visitor_id not in (first.visitor_id, second.visitor_id)
    collect.writer.close()


async def test_a_prefetched_page_is_not_counted(collect: Collect) -> None:
    for header, value in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]:
        status, headers, _ = await collect.ask(headers={header: value})
        assert (status, headers["x-haru-dropped"]) == (200, "prefetch")
    assert collect.events() == []


async def test_the_same_key_counts_once(collect: Collect) -> None:
    first = await collect.ask({"p": "/", "id": "order-1"})
    again = await collect.ask({"p": "/", "id": "order-1"})
    assert "x-haru-dropped" not in first[1]
    assert (again[0], again[1]["x-haru-dropped"]) == (200, "duplicate")
    assert len(collect.events()) == 1


async def test_a_disk_that_refuses_is_503_with_retry_after(collect: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(entries: list[Entry], done: Callable[[Outcome], None]) -> None:
        done(SpoolUnavailable("disk full"))

    monkeypatch.setattr(collect.writer, "put", refuse)
    status, headers, _ = await collect.ask()
    assert (status, headers["retry-after"]) == (503, "10")
    assert collect.endpoint.accepted == 0


async def test_the_host_comes_from_the_body_then_the_page_then_the_origin(collect: Collect) -> None:
    await collect.ask(
        {"p": "https://shop.example.com/a", "h": "given.example"}, headers={"origin": "https://o.example"}
    )
    await collect.ask({"p": "https://shop.example.com/a"}, headers={"origin": "https://o.example"})
    await collect.ask({"p": "/a"}, headers={"origin": "https://o.example:8443"})
    await collect.ask({"p": "/a"}, headers={"origin": "null"})
    assert [event.hostname for event in collect.events()] == ["given.example", "shop.example.com", "o.example", ""]


@pytest.mark.parametrize(
    ("headers", "dropped"),
    [
        ({"dnt": "1"}, "opted_out"),
        ({"sec-gpc": "1"}, "opted_out"),
        ({"dnt": "0", "sec-gpc": "1"}, "opted_out"),
        ({"dnt": "0"}, None),
        ({"dnt": "unspecified", "sec-gpc": "0"}, None),
        ({}, None),
    ],
)
async def test_a_signal_to_opt_out_is_honoured_where_the_site_says_so(
    collect: Collect, tmp_path: Path, headers: dict[str, str], dropped: str | None
) -> None:
    assert "x-haru-dropped" not in (await collect.ask(headers=headers))[1]
    sites.write(tmp_path, [Site(id=1, domain="example.com", token="t-one", honour_opt_out=True)])
    collect.endpoint._sites.refresh()
    status, answered, _ = await collect.ask(headers=headers)
    assert (status, answered.get("x-haru-dropped")) == (200, dropped)
    assert len(collect.events()) == (1 if dropped else 2)


async def test_a_rule_is_in_force_from_the_refresh_of_the_sites_until_it_is_taken_away(
    collect: Collect, tmp_path: Path
) -> None:
    for rules, dropped in [
        ({}, None),
        ({"excluded_addresses": ("203.0.113.0/24",)}, "excluded_address"),
        ({"excluded_pages": ("/a*",)}, "excluded_page"),
        ({"allowed_hostnames": ("www.example.com",)}, "excluded_hostname"),
        ({"excluded_countries": ("DE",)}, "excluded_country"),
        ({}, None),
    ]:
        sites.write(tmp_path, [Site(id=1, domain="example.com", token="t-one", **rules)])
        collect.endpoint._sites.refresh()
        answered = (await collect.ask({"p": "/ab", "tz": "Europe/Berlin"}, headers={"origin": "https://example.com"}))[
            1
        ]
        assert answered.get("x-haru-dropped") == dropped
    assert len(collect.events()) == 2


@pytest.fixture
def pages_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format whose requests hold several hits."""
    monkeypatch.setitem(FORMATS, pages.path, pages)


@pytest.mark.usefixtures("pages_format")
async def test_the_hits_of_one_request_share_one_commit_and_one_answer(collect: Collect) -> None:
    status, headers, body = await collect.ask(b"/a one\n/b two\n/c one\n/d", path="/pages")
    assert (status, body) == (202, b"counted\ncounted\nduplicate\ncounted")
    assert headers["access-control-allow-origin"] == "*"
    assert [event.path for event in collect.events()] == ["/a", "/b", "/d"]
    assert collect.writer.commits == 1
    assert (collect.endpoint.accepted, dict(collect.endpoint.refusals)) == (3, {"duplicate": 1})
    again = await asyncio.gather(collect.ask(b"/e two\n/f", path="/pages"), collect.ask({"p": "/g", "id": "two"}))
    assert again[0][2] == b"duplicate\ncounted"
    assert again[1][1]["x-haru-dropped"] == "duplicate"  # a key is the site's, in whichever format it comes


@pytest.mark.usefixtures("pages_format")
async def test_a_hit_that_is_refused_keeps_its_place_among_those_that_count(collect: Collect, tmp_path: Path) -> None:
    sites.write(tmp_path, [Site(id=1, domain="example.com", token="t-one", excluded_pages=("/admin",))])
    collect.sites.refresh()
    body = (await collect.ask(b"/admin\n/a key\n/b key\n/admin\n/c", path="/pages"))[2]
    assert body == b"excluded_page\ncounted\nduplicate\nexcluded_page\ncounted"
    assert [event.path for event in collect.events()] == ["/a", "/c"]
    assert collect.endpoint.refusals == {"excluded_page": 2, "duplicate": 1}
    assert (await collect.ask(b"/admin", path="/pages"))[2] == b"excluded_page"
    assert (await collect.ask(b"", path="/pages"))[::2] == (202, b"")
    assert collect.writer.commits == 1


@pytest.mark.usefixtures("pages_format")
async def test_of_one_request_all_events_are_on_disk_or_none(collect: Collect, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = spool_module._encode

    def refuse(body: object) -> bytes:
        raise SpoolUnavailable("disk full")

    monkeypatch.setattr(spool_module, "_encode", refuse)
    status, headers, _ = await collect.ask(b"/a one\n/b", path="/pages")
    assert (status, headers["retry-after"]) == (503, "10")
    monkeypatch.setattr(spool_module, "_encode", encode)
    assert (await collect.ask(b"/a one\n/b", path="/pages"))[2] == b"counted\ncounted"  # its key was not used up
    assert [event.path for event in collect.events()] == ["/a", "/b"]


@pytest.mark.usefixtures("pages_format")
async def test_a_format_that_cannot_answer_keeps_nobody_else_from_an_answer(
    collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "answer", lambda outcomes: 1 / 0)
    answers = await asyncio.gather(collect.ask(b"/a", path="/pages"), collect.ask(), collect.ask())
    assert [status for status, *_ in answers] == [500, 200, 200]
