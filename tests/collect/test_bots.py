from __future__ import annotations

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from haru.collect.bots import MAX_NAME, _name_of, crawler, crawlers, kind

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
    # browsers inside of apps
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram "
    "322.0.0.26.111 (iPhone13,2; iOS 17_4; de_DE; de; scale=3.00; 1170x2532; 580094065)",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UQ1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/120.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/444.0.0.0.1;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 7_0_4 like Mac OS X) AppleWebKit/536.26 (KHTML, like Gecko) GSA/3.2.1.25875 "
    "Mobile/11B554a Safari/8536.25",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.36 Chrome/120.0.0.0 "
    "Electron/28.1.0 Safari/537.36",
    # whose pages and names say a little more
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1; Embedded Web Browser from: http://bsalsa.com/; .NET CLR 2.0.50727)",
    "Mozilla/5.0 (compatible; Konqueror/3.5; OpenBSD) KHTML/3.5.9 (like Gecko)",
    "Mozilla/4.5 (compatible; iCab 2.9.8; Macintosh; U; PPC)",
    "Mozilla/4.0 (compatible; MSIE 6.0; MSIE 5.5; Windows NT 5.1) Opera 7.0 [en]",
    "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36",
    "User-Agent: Mozilla/5.0 (Windows NT 6.1; WOW64; rv:14.0) Gecko/20100101 Firefox/14.0.1",
    # that never were called Mozilla
    "Opera 9.6",
    "Lynx/2.8.7rel.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/1.0.1f",
    "Links (2.7; CYGWIN_NT-5.1 1.7.15(0.260/5/3) i686; GNU C 4.5.3; text)",
    "ELinks (0.4.3; NetBSD 3.0.2_PATCH sparc64; 141x19)",
    "w3m/0.5.3+git20230121",
    "Midori/0.2 (X11; Linux; U; fr-fr) WebKit/531.2+",
    "SAMSUNG-GT-E2232/1.0 Openwave/6.2.3 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3.c.1.101 (GUI) MMP/2.0",
    "Micromax X351/R2AE SEMC-Browser/4.0.3 Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "Nokia6120c/3.83; Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "BlackBerry9700/5.0.0.351 Profile/MIDP-2.1 Configuration/CLDC-1.1 VendorID/123",
    "MAXX_MAUI WAP Browser",
    "UCWEB/2.0 (Java; U; MIDP-2.0; en-US; nokia5130) U2/1.0.0 UCBrowser/9.4.1.482 U2/1.0.0 Mobile",
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
        ("Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.example)", "bot"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Safari/537.36 Prerender "
         "(+https://prerender.example)", "bot"),
        ("Mozilla/5.0 (Windows NT 6.1; rv:6.0) Gecko/20110814 Firefox/6.0 Google favicon", "bot"),
        ("Mozilla/5.0 (compatible; Ezooms/1.0; help@moz.example)", "bot"),
        ("Mozilla/5.0 (compatible; Some Desktop/5.9; http://desktop.example/)", "bot"),
        ("Mozilla/5.0 (Windows NT 10.0) SomeReader/2.0 (+ www.reader.example)", "bot"),
        ("Mozilla/4.0 (compatible;)", "bot"),
        ("Mozilla/5.0", "bot"),
        ("ELB-HealthChecker/2.0", "bot"),
        ("Amazon-Route53-Health-Check-Service (ref 1)", "bot"),
        ("kube-probe/1.29", "library"),
        ("GoogleHC/1.0", "library"),
        ("Prometheus/2.40.5", "library"),
        ("Apache/2.4.57 (Debian) (internal dummy connection)", "library"),
        ("Nuclei - Open-source project", "library"),
        ("NetNewsWire (RSS Reader; https://reader.example/)", "library"),
        ("VLC/3.0.20 LibVLC/3.0.20", "library"),
        ("AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5 like Mac OS X; en_us)", "library"),
        ("Microsoft-WebDAV-MiniRedir/10.0.19045", "library"),
        ("Symfony HttpClient (Curl)", "library"),
        ("Dalvik/2.1.0 (Linux; U; Android 11; SM-G960F)", "library"),
        ("MobileSafari/9537.53 CFNetwork/672.0.8 Darwin/14.0.0", "library"),
        ("eZ Publish Link Validator", "library"),
        ("-", "library"),
        ("\ufffd\x00", "library"),
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
    assert all(name and len(name) <= MAX_NAME and not set(name) & set("[]\\()^$") for name in crawlers())


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
