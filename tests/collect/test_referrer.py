from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.referrer import CLICK_IDS, Referral, classify, is_spam

DATA = Path(__file__).parents[1] / "data"
MEDIUMS: tuple[dict[str, str], ...] = ({}, {"utm_medium": "cpc"})


def came(query: str = "", referrer: str = "", host: str = "example.com") -> Referral:
    return classify(host, query, referrer)


@pytest.mark.parametrize(
    ("referrer", "source", "channel", "stored"),
    [
        ("", "", "", ""),
        ("https://www.google.com/", "Google", "Organic Search", "google.com"),
        ("https://www.google.co.uk/search?q=secret", "Google", "Organic Search", "google.co.uk/search"),
        ("https://mail.google.com/", "Gmail", "Email", "mail.google.com"),
        ("https://notgoogle.com/", "notgoogle.com", "Referral", "notgoogle.com"),
        ("https://google.com.evil.example/", "google.com.evil.example", "Referral", "google.com.evil.example"),
        ("https://duckduckgo.com/", "DuckDuckGo", "Organic Search", "duckduckgo.com"),
        ("https://news.ycombinator.com/item?id=1", "Hacker News", "Organic Social", "news.ycombinator.com/item"),
        ("https://t.co/abc", "Twitter", "Organic Social", "t.co/abc"),
        ("https://old.reddit.com/r/python/", "Reddit", "Organic Social", "old.reddit.com/r/python"),
        ("https://www.youtube.com/watch?v=1", "YouTube", "Organic Video", "youtube.com/watch"),
        ("https://chatgpt.com/", "ChatGPT", "AI Assistants", "chatgpt.com"),
        ("https://gemini.google.com/app", "Gemini", "AI Assistants", "gemini.google.com/app"),
        ("https://www.amazon.de/x/", "Amazon", "Organic Shopping", "amazon.de/x"),
        ("https://github.com/a/b", "GitHub", "Referral", "github.com/a/b"),
        ("https://de.wikipedia.org/wiki/Haru", "Wikipedia", "Referral", "de.wikipedia.org/wiki/Haru"),
        ("https://www.some.blog/post/", "some.blog", "Referral", "some.blog/post"),
        ("android-app://com.reddit.frontpage/", "Reddit", "Organic Social", "com.reddit.frontpage"),
        ("https://user:pass@some.blog:8443/x", "some.blog", "Referral", "some.blog/x"),
        ("https://WWW.GOOGLE.DE", "Google", "Organic Search", "google.de"),
        ("https://lens.google.com/search", "Google", "Organic Search", "lens.google.com/search"),
        ("https://accounts.google.com/", "accounts.google.com", "Referral", "accounts.google.com"),
        ("https://yandex.fr/search/", "Yandex", "Organic Search", "yandex.fr/search"),
        ("https://yandex.com.tr/", "Yandex", "Organic Search", "yandex.com.tr"),
        ("https://notyandex.fr/", "notyandex.fr", "Referral", "notyandex.fr"),
        ("https://yandex.fr.evil.example/", "yandex.fr.evil.example", "Referral", "yandex.fr.evil.example"),
        ("https://mail.yandex.kz/", "Yandex Mail", "Email", "mail.yandex.kz"),
        ("https://stackoverflow.com/q/1", "Stack Overflow", "Organic Social", "stackoverflow.com/q/1"),
        ("https://www.tripadvisor.co.uk/x", "Tripadvisor", "Organic Social", "tripadvisor.co.uk/x"),
        ("https://files.s3.amazonaws.com/a", "files.s3.amazonaws.com", "Referral", "files.s3.amazonaws.com/a"),
        ("android-app://com.discord/", "Discord", "Organic Social", "com.discord"),
        ("android-app://com.google.android.apps.magazines/", "Google News", "Organic Search", "com.google.android.apps.magazines"),
        ("android-app://com.devhd.feedly/", "Feedly", "Organic Social", "com.devhd.feedly"),
        ("android-app://org.telegram.plus/", "Telegram", "Organic Social", "org.telegram.plus"),
        ("android-app://org.example.reader/", "org.example.reader", "Referral", "org.example.reader"),
        ("https://bücher.example/x", "bücher.example", "Referral", "bücher.example/x"),
        ("https://www.xn--bcher-kva.example/x", "bücher.example", "Referral", "bücher.example/x"),
        ("https://xn--a.example/", "xn--a.example", "Referral", "xn--a.example"),
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
)  # fmt: skip
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
        ("utm_source=x&utm_medium=social-network", "", "Twitter", "Organic Social"),
        ("utm_medium=organic", "", "", "Organic Search"),
        ("utm_medium=referral", "", "", "Referral"),
        ("utm_campaign=only", "", "", ""),
    ],
)
def test_tags_come_before_the_referrer(query: str, referrer: str, source: str, channel: str) -> None:
    found = came(query, referrer)
    assert (found.source, found.channel) == (source, channel)


@pytest.mark.parametrize(
    ("tag", "referrer", "source", "channel"),
    [
        ("https://news.ycombinator.com/", "", "Hacker News", "Organic Social"),
        ("https://www.google.de/search?q=secret", "", "Google", "Organic Search"),
        ("https://www.some.blog/post?token=secret", "", "some.blog", "Referral"),
        ("news.ycombinator.com", "", "Hacker News", "Organic Social"),
        ("WWW.Yandex.FR", "", "Yandex", "Organic Search"),
        ("m.youtube.com", "", "YouTube", "Organic Video"),
        ("some.blog", "", "some.blog", "Referral"),
        ("android-app://com.discord/", "", "Discord", "Organic Social"),
        # The own site says nothing of where somebody came from, as a tag no more than as a referrer.
        ("https://www.example.com/from", "", "", ""),
        ("https://example.com/from", "https://yandex.ru/", "Yandex", "Organic Search"),
        ("javascript:alert(1)", "", "javascript:alert(1)", "Referral"),
        ("https://[", "", "https://[", "Referral"),
    ],
)
def test_a_tag_that_is_a_host_or_a_url_is_named_as_the_referrer_would_be(
    tag: str, referrer: str, source: str, channel: str
) -> None:
    found = came(urlencode({"ref": tag}), referrer)
    assert (found.source, found.channel) == (source, channel)


@pytest.mark.parametrize(
    ("click_id", "source", "channel"),
    [
        ("gclid", "Google", "Paid Search"),
        ("gbraid", "Google", "Paid Search"),
        ("wbraid", "Google", "Paid Search"),
        ("dclid", "Google", "Paid Search"),
        ("msclkid", "Bing", "Paid Search"),
        ("yclid", "Yandex", "Paid Search"),
        ("ttclid", "TikTok", "Paid Social"),
        ("twclid", "Twitter", "Paid Social"),
        ("li_fat_id", "LinkedIn", "Paid Social"),
        ("fbclid", "Facebook", "Organic Social"),
    ],
)
def test_a_click_id_alone_names_its_network(click_id: str, source: str, channel: str) -> None:
    found = came(f"{click_id}=xyz")
    assert (found.source, found.channel, found.click_id) == (source, channel, click_id)


def test_every_click_id_names_a_source_that_is_known() -> None:
    assert {came(f"{click_id}=x").source for click_id in CLICK_IDS} == set(CLICK_IDS.values())


@pytest.mark.parametrize(
    ("query", "referrer", "source", "channel"),
    [
        ("gclid=x&utm_source=spring", "", "spring", "Paid Other"),
        ("gclid=x&utm_source=google&utm_medium=organic", "", "Google", "Organic Search"),
        ("gclid=x&utm_medium=email", "", "Google", "Organic Search"),
        ("fbclid=x&utm_medium=paid_social", "", "Facebook", "Paid Social"),
        ("fbclid=x&gclid=y", "", "Google", "Paid Search"),
        ("gclid=x", "https://some.blog/", "some.blog", "Paid Other"),
        ("fbclid=x", "https://some.blog/", "some.blog", "Referral"),
        ("gclid=x", "https://www.example.com/", "Google", "Paid Search"),
        ("gclid=", "", "", ""),
    ],
)
def test_a_click_id_gives_way_to_a_tag_and_to_a_referrer(query: str, referrer: str, source: str, channel: str) -> None:
    found = came(query, referrer)
    assert (found.source, found.channel) == (source, channel)


# What Google Analytics' published source categories and its default channel grouping make of a name: the name, its
# channel without a medium, its channel with the medium cpc, and why this project's differs where it does.
PUBLISHED = [line.split("\t") for line in (DATA / "sources.tsv").read_text("utf-8").splitlines()[1:]]


def channels_of(name: str) -> Iterator[tuple[str, str]]:
    """The channels of a name without a medium and with the medium cpc: as a tag and, when it is a host, as a referrer."""
    yield tuple(came(urlencode({"utm_source": name, **medium})).channel for medium in MEDIUMS)
    if "." in name:
        for host in (name, f"www.{name}"):
            yield tuple(came(urlencode(medium), f"https://{host}/page").channel for medium in MEDIUMS)


def test_sources_have_the_channels_of_the_published_categories() -> None:
    differing = {name for name, unpaid, paid, _ in PUBLISHED if set(channels_of(name)) != {(unpaid, paid)}}
    assert differing == {name for name, _, _, reason in PUBLISHED if reason}
    assert len(PUBLISHED) == 819
    assert len(differing) <= len(PUBLISHED) * 0.02


def test_each_word_of_the_sources_stands_once_and_is_written_as_it_is_looked_up() -> None:
    text = (resources.files("haru.collect") / "sources.toml").read_text("utf-8")
    sources = [(name, words) for named in tomllib.loads(text).values() for name, words in named.items()]
    words = [word for _, words in sources for word in words]
    assert [word for word, times in Counter(words).items() if times > 1] == []
    assert [word for word in words if word != word.strip().lower() or word.startswith("www.")] == []
    assert len({name.lower() for name, _ in sources}) == len(sources)
    assert [word for word in words if "." in word and word.lstrip("=").count(".") > 7] == []


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
