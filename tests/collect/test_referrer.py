from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.referrer import Referral, classify, is_spam


def came(query: str = "", referrer: str = "", host: str = "example.com") -> Referral:
    return classify(host, query, referrer)


@pytest.mark.parametrize(
    ("referrer", "source", "channel", "stored"),
    [
        ("", "", "", ""),
        ("https://www.google.com/", "Google", "Organic Search", "www.google.com"),
        ("https://www.google.co.uk/search?q=secret", "Google", "Organic Search", "www.google.co.uk/search"),
        ("https://mail.google.com/", "Gmail", "Email", "mail.google.com"),
        ("https://notgoogle.com/", "notgoogle.com", "Referral", "notgoogle.com"),
        ("https://google.com.evil.example/", "google.com.evil.example", "Referral", "google.com.evil.example"),
        ("https://duckduckgo.com/", "DuckDuckGo", "Organic Search", "duckduckgo.com"),
        ("https://news.ycombinator.com/item?id=1", "Hacker News", "Organic Social", "news.ycombinator.com/item"),
        ("https://t.co/abc", "X", "Organic Social", "t.co/abc"),
        ("https://old.reddit.com/r/python/", "Reddit", "Organic Social", "old.reddit.com/r/python"),
        ("https://www.youtube.com/watch?v=1", "YouTube", "Organic Video", "www.youtube.com/watch"),
        ("https://chatgpt.com/", "ChatGPT", "AI Assistants", "chatgpt.com"),
        ("https://gemini.google.com/app", "Gemini", "AI Assistants", "gemini.google.com/app"),
        ("https://www.amazon.de/x/", "Amazon", "Organic Shopping", "www.amazon.de/x"),
        ("https://github.com/a/b", "GitHub", "Referral", "github.com/a/b"),
        ("https://de.wikipedia.org/wiki/Haru", "Wikipedia", "Referral", "de.wikipedia.org/wiki/Haru"),
        ("https://www.some.blog/post/", "some.blog", "Referral", "www.some.blog/post"),
        ("android-app://com.reddit.frontpage/", "Reddit", "Organic Social", "com.reddit.frontpage"),
        ("https://user:pass@some.blog:8443/x", "some.blog", "Referral", "some.blog/x"),
        ("https://WWW.GOOGLE.DE", "Google", "Organic Search", "www.google.de"),
        # none of these is a referrer
        ("https://example.com/a", "", "", ""),
        ("https://www.example.com/a", "", "", ""),
        ("http://localhost:3000/", "", "", ""),
        ("http://127.0.0.1/", "", "", ""),
        ("file:///home/someone/page.html", "", "", ""),
        ("javascript:alert(1)", "", "", ""),
        ("not a url", "", "", ""),
        ("https://[::1", "", "", ""),
        ("https://", "", "", ""),
    ],
)
def test_a_referrer_names_source_and_channel(referrer: str, source: str, channel: str, stored: str) -> None:
    found = came(referrer=referrer)
    assert (found.source, found.channel, found.referrer) == (source, channel, stored)


@pytest.mark.parametrize(
    ("query", "referrer", "source", "channel"),
    [
        ("utm_source=newsletter&utm_medium=email", "", "Newsletter", "Email"),
        ("utm_source=my-list&utm_medium=e-mail", "", "my-list", "Email"),
        ("source=hn", "", "Hacker News", "Organic Social"),
        ("ref=producthunt", "", "Product Hunt", "Organic Social"),
        ("utm_source=chatgpt.com", "", "ChatGPT", "AI Assistants"),
        ("utm_source=a&source=b&ref=c", "https://google.com/", "a", "Referral"),
        ("utm_source=google&utm_medium=cpc", "", "Google", "Paid Search"),
        ("utm_source=GOOGLE&utm_medium=CPC", "", "Google", "Paid Search"),
        ("gclid=xyz", "https://www.google.com/", "Google", "Paid Search"),
        ("fbclid=xyz", "https://l.facebook.com/", "Facebook", "Organic Social"),
        ("utm_source=facebook&utm_medium=paid", "", "Facebook", "Paid Social"),
        ("utm_source=youtube&utm_medium=ppc", "", "YouTube", "Paid Video"),
        ("utm_source=amazon&utm_medium=cpc", "", "Amazon", "Paid Shopping"),
        ("utm_source=x-site&utm_medium=cpc&utm_campaign=summer-shop", "", "x-site", "Paid Shopping"),
        ("utm_source=x-site&utm_medium=cpc&utm_campaign=workshop", "", "x-site", "Paid Other"),
        ("utm_source=x-site&utm_medium=retargeting", "", "x-site", "Paid Other"),
        ("utm_source=x-site&utm_medium=banner", "", "x-site", "Display"),
        ("utm_campaign=cross-network-1&utm_source=google", "", "Google", "Cross-network"),
        ("utm_source=partner&utm_medium=affiliate", "", "partner", "Affiliates"),
        ("utm_source=show&utm_medium=audio", "", "show", "Audio"),
        ("utm_source=sms", "", "sms", "SMS"),
        ("utm_source=app&utm_medium=web_push", "", "app", "Mobile Push Notifications"),
        ("utm_source=x&utm_medium=social-network", "", "X", "Organic Social"),
        ("utm_medium=organic", "", "", "Organic Search"),
        ("utm_medium=referral", "", "", "Referral"),
        ("utm_campaign=only", "", "", ""),
    ],
)
def test_tags_come_before_the_referrer(query: str, referrer: str, source: str, channel: str) -> None:
    found = came(query, referrer)
    assert (found.source, found.channel) == (source, channel)


def test_of_the_query_only_tags_and_names_of_click_ids_are_kept() -> None:
    found = came(
        "utm_source=a&utm_medium=b&utm_campaign=c&utm_content=d&utm_term=e&email=me@example.org&gclid=SECRET&token=T"
    )
    assert (found.utm_source, found.utm_medium, found.utm_campaign, found.utm_content, found.utm_term) == tuple("abcde")
    assert found.click_id == "gclid"
    assert "SECRET" not in repr(found)
    assert "example.org" not in repr(found)


def test_texts_are_cut_and_made_storable() -> None:
    found = came("utm_campaign=" + "x" * 5000 + "&utm_term=a%00b")
    assert len(found.utm_campaign) == 200
    assert found.utm_term == "a\ufffdb"


@given(
    st.text(max_size=60), st.text(max_size=200), st.text(max_size=200) | st.text(max_size=60).map("https://".__add__)
)
def test_no_text_raises(host: str, query: str, referrer: str) -> None:
    found: Any = classify(host, query, referrer)
    is_spam(referrer)
    for value in (found.source, found.referrer, found.utm_campaign):
        assert len(value) <= 500
        value.encode("utf-8")


@pytest.mark.parametrize(
    ("referrer", "spam"),
    [
        ("https://semalt.com/crawler", True),
        ("http://100dollars.semalt.com/", True),
        ("https://notsemalt.com/", False),
        ("https://www.google.com/", False),
        ("", False),
        ("rubbish", False),
    ],
)
def test_spammers_are_known_by_their_hosts(referrer: str, spam: bool) -> None:
    assert is_spam(referrer) is spam
