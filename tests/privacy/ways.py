"""Every way by which an address reaches Haru. A new one joins by a function and a line in `WAYS`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from tests.privacy.addresses import Address
from tests.rounds import rounds
from tests.server import FIREFOX, Server

CONNECTIONS = 48
OWNER, PASSWORD = "owner@example.com", "a long password"  # as `Server.add_site` makes it
DOMAIN = "example.com"


@dataclass
class House:
    """The servers whose folders are searched, and what they said."""

    server: Server
    token: str
    limited: Server  # allows three requests a minute, and collects in a process of its own
    limited_token: str
    output: list[str] = field(default_factory=list)  # of the commands
    answered: int = 0  # collect requests so far

    def command(self, *arguments: str, stdin: str) -> None:
        done = self.server.haru(*arguments, stdin=stdin)
        self.output += [done.stdout, done.stderr]

    def collect(self, requests: Iterable[bytes], server: Server | None = None) -> Counter[tuple[int, str]]:
        """Send requests over many connections; how often each (status, x-haru-dropped) was the answer."""
        return asyncio.run(self._collect(list(requests), (server or self.server).port))

    async def _collect(self, requests: list[bytes], port: int) -> Counter[tuple[int, str]]:
        answers: Counter[tuple[int, str]] = Counter()

        async def sender() -> None:
            writer = None
            while requests:
                each = requests.pop()
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(each)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                status, *lines = head.rstrip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                await reader.readexactly(int(headers.get("content-length", 0)))
                answers[int(status.split()[1]), headers.get("x-haru-dropped", "")] += 1
                self.answered += 1
                if headers.get("connection") == "close":
                    writer.close()
                    writer = None
            if writer is not None:
                writer.close()

        await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))
        return answers

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.server.url, headers={"User-Agent": FIREFOX}, timeout=30)


def forwarded(number: int, address: Address) -> dict[str, str]:
    """The headers in which proxies name the client, in the ways in which they write it."""
    text = address.exploded.upper() if number % 7 == 0 else str(address)
    bracketed = f"[{text}]" if address.version == 6 else text
    written = [text, f"{bracketed}:{40_000 + number % 10_000}", f"{text}, {text}", f"{bracketed}"][number % 4]
    return {
        "X-Forwarded-For": written,
        "X-Real-IP": text,
        "CF-Connecting-IP": text,
        "True-Client-IP": text,
        "Forwarded": f'for="{bracketed}";proto=http',
    }


def request(
    number: int,
    address: Address,
    body: bytes,
    *,
    token: str = "",
    query: str = "",
    kind: str = "application/json",
    agent: str = FIREFOX,
    more: str = "",
) -> bytes:
    """The bytes of a POST to the collect endpoint from an address."""
    lines = [f"POST /api/collect{query} HTTP/1.1", "Host: 127.0.0.1", f"User-Agent: {agent}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in forwarded(number, address).items()]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [more] if more else []
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def pageview(way: str) -> bytes:
    return json.dumps({"p": f"/through/{way}", "r": "https://www.google.com/", "sw": 1920, "sh": 1080}).encode()


Addresses = Sequence[Address]


# ------------------------------------------------------------------------------------------------- what is counted


def collect_by_bearer_token(house: House, addresses: Addresses) -> None:
    body = pageview("collect_by_bearer_token")
    answers = house.collect(request(n, a, body, token=house.token) for n, a in enumerate(addresses))
    assert answers == {(200, ""): len(addresses)}


def collect_by_token_in_the_url(house: House, addresses: Addresses) -> None:
    body, query = pageview("collect_by_token_in_the_url"), f"?t={house.token}"
    answers = house.collect(request(n, a, body, query=query, kind="text/plain") for n, a in enumerate(addresses))
    assert answers == {(200, ""): len(addresses)}


def _moment() -> str:
    return datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def import_of_a_combined_log(house: House, addresses: Addresses) -> None:
    lines = [
        f'{a} - - [{_moment()}] "GET /through/import_of_a_combined_log HTTP/1.1" 200 512 "-" "{FIREFOX}" "{a}"\n'
        for a in addresses
    ]
    # Lines that are refused tell nothing either: a bot's, an asset's, one that cannot be read.
    lines += [f'{a} - - [{_moment()}] "GET / HTTP/1.1" 200 5 "-" "Googlebot/2.1"\n' for a in addresses[:20]]
    lines += [f'{a} - - [{_moment()}] "GET /a.css HTTP/1.1" 200 5 "-" "{FIREFOX}"\n' for a in addresses[:20]]
    lines += [f"{a} - - what is this\n" for a in addresses[:20]]
    house.command("import", "log", "-", "--site", DOMAIN, "--json", stdin="".join(lines))
    assert json.loads(house.output[-2])["imported"] == len(addresses)


def import_of_a_common_log(house: House, addresses: Addresses) -> None:
    lines = [f'{a} - - [{_moment()}] "GET /through/import_of_a_common_log HTTP/1.1" 200 5\n' for a in addresses]
    house.command("import", "log", "-", "--site", DOMAIN, stdin="".join(lines))


def import_of_a_caddy_log(house: House, addresses: Addresses) -> None:
    lines = [
        json.dumps(
            {
                "ts": datetime.now(UTC).timestamp(),
                "status": 200,
                "request": {
                    "method": "GET",
                    "uri": "/through/import_of_a_caddy_log",
                    "host": DOMAIN,
                    "remote_ip": str(a),
                    "client_ip": str(a),
                    "headers": {"User-Agent": [FIREFOX]},
                },
            }
        )
        + "\n"
        for a in addresses
    ]
    house.command("import", "log", "-", "--site", DOMAIN, stdin="".join(lines))


# ------------------------------------------------------------------------------------------------- what is refused


def refused_robot(house: House, addresses: Addresses) -> None:
    body = pageview("refused")
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    answers = house.collect(request(n, a, body, token=house.token, agent=agent) for n, a in enumerate(addresses))
    assert answers == {(200, "bot"): len(addresses)}


def refused_prefetch(house: House, addresses: Addresses) -> None:
    body = pageview("refused")
    answers = house.collect(
        request(n, a, body, token=house.token, more="Sec-Purpose: prefetch") for n, a in enumerate(addresses)
    )
    assert answers == {(200, "prefetch"): len(addresses)}


def refused_body(house: House, addresses: Addresses) -> None:
    bodies = [b'{"p":', b'{"p": 5}', b"[]", b"\xff\xfe", b""]
    answers = house.collect(request(n, a, bodies[n % 5], token=house.token) for n, a in enumerate(addresses))
    assert {status for status, _ in answers} == {400}


def refused_token(house: House, addresses: Addresses) -> None:
    body = pageview("refused")
    answers = house.collect(
        request(n, a, body, query="?t=no-such-token") if n % 2 else request(n, a, body, token="no-such-token")
        for n, a in enumerate(addresses)
    )
    assert answers == {(401, "unknown_site"): len(addresses)}


def refused_as_too_large(house: House, addresses: Addresses) -> None:
    body = json.dumps({"p": "/", "d": {"long": "x" * 140_000}}).encode()
    answers = house.collect(request(n, a, body, token=house.token) for n, a in enumerate(addresses))
    assert answers == {(413, "too_large"): len(addresses)}


def refused_by_the_rate_limit(house: House, addresses: Addresses) -> None:
    body = pageview("refused_by_the_rate_limit")
    requests = [request(n, a, body, token=house.limited_token) for n, a in enumerate(addresses) for _ in range(5)]
    answers = house.collect(requests, house.limited)
    assert answers[429, "rate_limited"] >= len(addresses)
    assert set(answers) == {(200, ""), (429, "rate_limited")}


def collect_by_a_process_that_only_collects(house: House, addresses: Addresses) -> None:
    body = pageview("collect_by_a_process_that_only_collects")
    requests = [request(n, a, body, query=f"?t={house.limited_token}") for n, a in enumerate(addresses)]
    assert house.collect(requests, house.limited) == {(200, ""): len(addresses)}


def engagement_without_a_visit(house: House, addresses: Addresses) -> None:
    body = json.dumps({"p": "/", "n": "engagement", "e": 5_000}).encode()
    answers = house.collect(request(n, a, body, token=house.token) for n, a in enumerate(addresses))
    assert answers == {(200, ""): len(addresses)}


# ------------------------------------------------------------------------------------------------- pages


def _submit(browser: httpx.Client, path: str, headers: dict[str, str], **values: str) -> httpx.Response:
    browser.get(path, headers=headers).raise_for_status()
    values["csrfmiddlewaretoken"] = browser.cookies["haru_csrf"]
    return browser.post(path, data=values, headers=headers)


def sign_in(house: House, addresses: Addresses) -> None:
    """With a wrong password, an unknown person, too often, and at last as it should be."""
    for n, address in enumerate(addresses):
        with house.browser() as browser:
            email = f"nobody-{n}@example.com" if n % 2 else "nobody@example.com"
            answer = _submit(browser, "/account/login/", forwarded(n, address), login=email, password="wrong password")
            assert answer.status_code in {200, 429}
    with house.browser() as browser:
        answer = _submit(browser, "/account/login/", forwarded(0, addresses[0]), login=OWNER, password=PASSWORD)
        assert answer.status_code == 302


def register_and_reset_a_password(house: House, addresses: Addresses) -> None:
    for n, address in enumerate(addresses):
        headers = forwarded(n, address)
        with house.browser() as browser:
            email = f"new-{n}@example.com"
            answer = _submit(browser, "/account/signup/", headers, email=email, password1="four words in a row")
            assert answer.status_code == 302
        with house.browser() as browser:
            assert "sends no mail" in browser.get("/account/password/reset/", headers=headers).text


def dashboard_and_its_stream(house: House, addresses: Addresses) -> None:
    with house.browser() as browser:
        assert _submit(
            browser, "/account/login/", forwarded(0, addresses[0]), login=OWNER, password=PASSWORD
        ).is_redirect
        for n, address in enumerate(addresses):
            headers = forwarded(n, address)
            for page in ("", "/refusals", "/settings", "/panels/pages"):
                assert browser.get(f"/sites/{DOMAIN}{page}", headers=headers).status_code == 200, page
            with browser.stream("GET", f"/sites/{DOMAIN}/live", headers=headers) as stream:
                assert stream.status_code == 200
                assert next(stream.iter_lines()) == "event: tick"


def api_and_a_shared_link(house: House, addresses: Addresses) -> None:
    """With a key for programs; and with the password of a link, wrong, too often, and at last as it should be."""
    done = house.server.haru("key", "add", "test", "--user", OWNER, "--scope", "stats:read", "--scope", "sites:write")
    key = {"Authorization": f"Bearer {done.stdout.split()[-1]}"}
    with house.browser() as browser:
        made = browser.put(
            "/api/v1/sites/shared-links",
            headers=forwarded(0, addresses[0]) | key,
            json={"site_id": DOMAIN, "name": "test", "password": PASSWORD},
        )
    path = httpx.URL(made.raise_for_status().json()["url"]).path
    for n, address in enumerate(addresses):
        headers = forwarded(n, address)
        with house.browser() as browser:
            for asked in (f"/api/v1/sites/{DOMAIN}", f"/api/v1/stats/aggregate?site_id={DOMAIN}", "/api/docs"):
                assert browser.get(asked, headers=headers | key).status_code == 200
            tries = [_submit(browser, path, headers, password="wrong").status_code for _ in range(11 if n == 1 else 1)]
            assert tries == [422] * 10 + [429] if n == 1 else [422]
    with house.browser() as browser:
        headers = forwarded(0, addresses[0])
        assert _submit(browser, path, headers, password=PASSWORD).is_redirect
        for page in (path, f"{path}/panels/pages"):
            assert browser.get(page, headers=headers).status_code == 200
        with browser.stream("GET", f"{path}/live", headers=headers) as stream:
            assert next(stream.iter_lines()) == "event: tick"


def small_pages_and_wrong_ones(house: House, addresses: Addresses) -> None:
    expected = {
        "/health": 200,
        "/health/live": 200,
        "/js/haru.js": 200,
        "/no-such-page": 404,
        "/sites/x.example/live": 404,
    }
    with house.browser() as browser:
        for n, address in enumerate(addresses):
            headers = forwarded(n, address)
            for path, status in expected.items():
                assert browser.get(path, headers=headers).status_code == status
            assert browser.get("/", headers={**headers, "Host": "else.example"}).status_code == 400
            assert browser.post("/account/login/", headers=headers).status_code == 403  # no CSRF token
            keyless = browser.post("/api/v2/query", headers={**headers, "Authorization": "Bearer no-key"}, json={})
            assert keyless.status_code == 401


@dataclass(frozen=True)
class Way:
    """A way in, and how many addresses of each family take it."""

    take: Callable[[House, Addresses], None]
    addresses: int
    counted: bool = False  # whether each address becomes an event

    @property
    def name(self) -> str:
        return self.take.__name__


# Those that are counted take 5,000 addresses of each family together.
WAYS = (
    Way(refused_robot, 25),
    Way(refused_prefetch, 25),
    Way(refused_body, 25),
    Way(refused_token, 25),
    Way(refused_as_too_large, 15),
    Way(refused_by_the_rate_limit, 25),
    Way(collect_by_a_process_that_only_collects, 200),
    Way(engagement_without_a_visit, 25),
    Way(small_pages_and_wrong_ones, 10),
    Way(sign_in, 7),
    Way(register_and_reset_a_password, 7),
    Way(api_and_a_shared_link, 7),
    Way(import_of_a_combined_log, rounds(300, 1_300), counted=True),
    Way(import_of_a_common_log, 100, counted=True),
    Way(import_of_a_caddy_log, 100, counted=True),
    Way(collect_by_bearer_token, rounds(400, 2_000), counted=True),
    Way(dashboard_and_its_stream, 8),
    Way(collect_by_token_in_the_url, rounds(300, 1_500), counted=True),
)
