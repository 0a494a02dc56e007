from __future__ import annotations

from typing import Any

import pytest

from haru.collect.geo import Geo
from haru.collect.hit import Hit
from haru.collect.pipeline import STEPS, Pipeline, language_of, split_page
from haru.collect.sites import Site
from haru.events.event import Event
from haru.events.refusals import Refusal, Refused

NOON = 1_767_268_800_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SITE = Site(id=3, domain="example.com", token="token")


def identify(at: int, site_id: int, address: bytes, user_agent: str) -> tuple[int, int]:
    return hash((site_id, address, user_agent)), 77


def hit(**values: Any) -> Hit:
    values = {"site": SITE, "at": NOON, "address": "203.0.113.9", "user_agent": FIREFOX, "url": "/"} | values
    return Hit(**values)


def run(**values: Any) -> Event:
    return Pipeline(identify, Geo(None)).run(hit(**values))


def refusal(**values: Any) -> Refusal:
    with pytest.raises(Refused) as refused:
        run(**values)
    return refused.value.reason


def test_a_pageview_becomes_an_event() -> None:
    event = run(
        url="https://www.example.com/blog?utm_campaign=spring&email=someone@example.org#top",
        referrer="https://www.google.com/search?q=secret",
        screen_width=1920,
        screen_height=1080,
        timezone="Europe/Berlin",
        language="de-AT,de;q=0.9",
    )
    assert (event.site_id, event.at, event.name) == (3, NOON, "pageview")
    assert (event.path, event.hostname) == ("/blog", "www.example.com")
    assert event.origin.source == "Google"
    assert event.origin.channel == "Organic Search"
    assert event.origin.utm_campaign == "spring"
    assert (event.origin.browser, event.origin.device) == ("Firefox", "Desktop")
    assert event.origin.country == "DE"
    assert event.origin.screen == "1920x1080"
    assert event.origin.language == "de"
    assert event.visitor_before == 77
    stored = repr(event)
    for secret in ("203.0.113.9", "someone", "secret", FIREFOX):
        assert secret not in stored


@pytest.mark.parametrize(
    ("url", "path", "host", "query"),
    [
        ("/", "/", "", ""),
        ("home", "/home", "", ""),
        ("/a?b=c&d#e", "/a", "", "b=c&d"),
        ("https://example.com", "/", "example.com", ""),
        ("https://EXAMPLE.com:8443/a/?q#x", "/a/", "example.com", "q"),
        ("https://example.com/#/route/1?tab=2", "/#/route/1", "example.com", ""),
        ("/app#!/inbox", "/app#!/inbox", "", ""),
        ("/app#section", "/app", "", ""),
        ("//cdn.example.com/x", "/x", "cdn.example.com", ""),
        ("https://[not-an-address/x", "/https://[not-an-address/x", "", ""),
        ("/nul\x00l", "/nul\ufffdl", "", ""),
        ("/日本語/ページ", "/日本語/ページ", "", ""),
    ],
)
def test_of_a_page_the_path_the_host_and_the_query_are_read(url: str, path: str, host: str, query: str) -> None:
    page = split_page(url)
    assert (page.path, page.hostname, page.query) == (path, host, query)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, Refusal.BOT),
        ({"user_agent": "curl/8.5.0"}, Refusal.BOT),
        ({"user_agent": ""}, Refusal.BOT),
        ({"prefetch": True}, Refusal.PREFETCH),
        ({"referrer": "https://semalt.com/"}, Refusal.SPAM_REFERRER),
        ({"url": "/" + "ü" * 1200}, Refusal.INVALID),
    ],
)
def test_what_is_not_counted_is_refused_by_name(values: dict[str, Any], reason: Refusal) -> None:
    assert refusal(**values) is reason


def site(**rules: Any) -> Site:
    return Site(id=3, domain="example.com", token="token", **rules)


@pytest.mark.parametrize(
    ("rules", "counted", "refused", "reason"),
    [
        ({"excluded_addresses": ("203.0.113.0/24",)}, {"address": "198.51.100.1"}, {}, Refusal.EXCLUDED_ADDRESS),
        (
            {"excluded_countries": ("DE",)},
            {"timezone": "Europe/Paris"},
            {"country_hint": "de"},
            Refusal.EXCLUDED_COUNTRY,
        ),
        ({"excluded_countries": ("DE",)}, {}, {"timezone": "Europe/Berlin"}, Refusal.EXCLUDED_COUNTRY),
        ({"excluded_pages": ("/admin/**",)}, {"url": "/a?/admin/x"}, {"url": "/admin/x?y"}, Refusal.EXCLUDED_PAGE),
        (
            {"allowed_hostnames": ("example.com",)},
            {"url": "https://example.com/"},
            {"url": "https://copy.example/"},
            Refusal.EXCLUDED_HOSTNAME,
        ),
        (
            {"allowed_hostnames": ("example.com",)},
            {"url": "/"},
            {"hostname": "copy.example"},
            Refusal.EXCLUDED_HOSTNAME,
        ),
        ({"honour_opt_out": True}, {}, {"opted_out": True}, Refusal.OPTED_OUT),
    ],
)
def test_what_a_site_excludes_is_refused_and_only_there(
    rules: dict[str, Any], counted: dict[str, Any], refused: dict[str, Any], reason: Refusal
) -> None:
    assert run(site=site(**rules), **counted).name == "pageview"
    assert refusal(site=site(**rules), **refused) is reason
    assert run(**refused).name == "pageview"  # a site without the rule


def test_the_rules_of_a_site_are_compiled_once() -> None:
    one = site(excluded_pages=("/admin",))
    refusal(site=one, url="/admin")
    compiled = one.exclusions
    refusal(site=one, url="/admin")
    assert one.exclusions is compiled


def test_of_a_robot_the_crawlers_name_is_told_where_an_ai_company_runs_it() -> None:
    for user_agent, detail in [
        ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ""),
        ("curl/8.5.0", ""),
    ]:
        with pytest.raises(Refused) as refused:
            run(user_agent=user_agent, site=site(honour_opt_out=True), opted_out=True)
        assert (refused.value.reason, refused.value.detail) == (Refusal.BOT, detail)


def test_a_program_with_the_sites_key_counts_but_a_robot_with_it_does_not() -> None:
    assert run(user_agent="curl/8.5.0", by_key=True).name == "pageview"
    assert run(user_agent="", by_key=True).name == "pageview"
    assert refusal(user_agent="Googlebot/2.1 (+http://www.google.com/bot.html)", by_key=True) is Refusal.BOT


def test_the_country_comes_from_the_cdn_before_the_time_zone() -> None:
    assert run(country_hint="FR", timezone="Europe/Berlin").origin.country == "FR"
    assert run(country_hint="XX", timezone="Europe/Berlin").origin.country == "DE"
    assert run(timezone="Mars/Olympus").origin.country == ""


def test_the_own_domain_is_no_source() -> None:
    assert run(url="/b", referrer="https://www.example.com/a").origin.source == ""


def test_two_sites_get_ids_of_their_own() -> None:
    other = Site(id=4, domain="other.example", token="t")
    assert run().visitor_id != run(site=other).visitor_id


def test_the_first_language_of_the_header_counts() -> None:
    assert [language_of(h) for h in ("en-US,en;q=0.5", "pt", "*", "", "x-klingon", "DE-de")] == [
        "en", "pt", "", "", "", "de",
    ]  # fmt: skip


def test_every_step_explains_itself() -> None:
    assert all(step.__doc__ for step in STEPS)
    assert len({step.__name__ for step in STEPS}) == len(STEPS)
