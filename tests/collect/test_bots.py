from __future__ import annotations

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from haru.collect.bots import MOST_NAME, _name_of, crawler, crawlers, kind

PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Linux; U; Android 2.3.5; de-de; HTC Desire) AppleWebKit/533.1 (KHTML, like Gecko) Version/4.0 Mobile Safari/533.1",
    "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.4430.91 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; WOW64; Trident/6.0)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)",
    "Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.16",
    "Mozilla/5.0 (Linux; Android 13; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 Chrome/115.0.0.0 "
    "Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 "
    "Edg/140.0.0.0",
]  # fmt: skip


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_a_browser_is_no_robot(user_agent: str) -> None:
    assert kind(user_agent) == ""


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bot"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0 Safari/537.36", "bot"),
        ("SomeNewThing-crawler/1.0", "bot"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "ai-crawler"),
        ("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ai-crawler"),
        ("curl/8.5.0", "library"),
        ("Wget/1.21", "library"),
        ("python-requests/2.31.0", "library"),
        ("python-httpx/0.28", "library"),
        ("Go-http-client/2.0", "library"),
        ("okhttp/4.12.0", "library"),
        ("axios/1.6", "library"),
        ("", "library"),
        ("  ", "library"),
    ],
)  # fmt: skip
def test_robots_and_programs_are_told_apart(user_agent: str, expected: str) -> None:
    assert kind(user_agent) == expected


def test_every_robot_of_the_maintained_list_is_one() -> None:
    instances = [instance for row in CRAWLER_USER_AGENTS_DATA for instance in row.get("instances", ())]
    assert len(instances) > 1000
    assert [instance for instance in instances if not kind(instance)] == []


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot"),
        ("claudebot", "ClaudeBot"),
        ("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot"),
        ("Mozilla/5.0 (compatible; PerplexityBot/1.0; +https://perplexity.ai/bot)", "PerplexityBot"),
        ("cohere-training-data-crawler (+crawler@cohere.ai)", "cohere-training-data-crawler"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ""),
        ("curl/8.5.0", ""),
        (PEOPLE[0], ""),
        ("", ""),
    ],
)
def test_a_crawler_of_an_ai_company_has_a_name(user_agent: str, name: str) -> None:
    assert crawler(user_agent) == name


def test_every_ai_crawler_of_the_maintained_list_has_a_name_from_a_bounded_list() -> None:
    rows = [row for row in CRAWLER_USER_AGENTS_DATA if "ai-crawler" in row.get("tags", ())]
    instances = [instance for row in rows for instance in row.get("instances", ())]
    assert len(instances) > 50
    assert [instance for instance in instances if crawler(instance) not in crawlers()] == []
    assert len(crawlers()) <= len(rows)
    assert all(name and len(name) <= MOST_NAME and not set(name) & set("[]\\()^$") for name in crawlers())


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("PerplexityBot/", "PerplexityBot"),
        ("[cC]laude[bB]ot", "ClaudeBot"),
        (r"bigsur\.ai", "bigsur.ai"),
        (r"Spider[\s\S]*spider\.com", "Spider"),
        ("Kangaroo Bot", "Kangaroo Bot"),
        (r"^Nova Act", "Nova Act"),
        (r"(foo|bar)bot", "AI crawler"),
    ],
)
def test_a_crawlers_name_is_what_its_pattern_says_plainly(pattern: str, name: str) -> None:
    assert _name_of(pattern) == name
