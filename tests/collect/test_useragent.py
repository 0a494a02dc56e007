from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haru.collect.useragent import Agent, parse

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
         Agent("Chrome", "140", "Windows", "10", "Desktop")),
        (f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/140.0.0.0 Mobile Safari/537.36",
         Agent("Chrome", "140", "Android", "14", "Mobile")),
        (f"Mozilla/5.0 (Linux; Android 13; SM-T870) {WEBKIT} Chrome/120.0.0.0 Safari/537.36",
         Agent("Chrome", "120", "Android", "13", "Tablet")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
         "Mobile/15E148 Safari/604.1", Agent("Safari", "17.4", "iOS", "17.4", "Mobile")),
        ("Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 "
         "Mobile/15E148 Safari/604.1", Agent("Safari", "12.1", "iOS", "12.2", "Tablet")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
         "Safari/605.1.15", Agent("Safari", "17.4", "macOS", "10.15", "Desktop")),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
         Agent("Firefox", "140", "GNU/Linux", "", "Desktop")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
         Agent("Microsoft Edge", "140", "Windows", "10", "Desktop")),
        (f"Mozilla/5.0 (Linux; Android 13; SM-S901B) {WEBKIT} SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
         Agent("Samsung Internet", "23", "Android", "13", "Mobile")),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
         Agent("Chrome", "140", "ChromeOS", "14541", "Desktop")),
        ("", Agent()),
    ],
)  # fmt: skip
def test_a_user_agent_tells_browser_system_and_device(user_agent: str, expected: Agent) -> None:
    assert parse(user_agent) == expected


@given(st.text(max_size=300))
def test_no_user_agent_raises(user_agent: str) -> None:
    assert parse(user_agent).device in {"", "Desktop", "Mobile", "Tablet"}
