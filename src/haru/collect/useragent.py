"""Browser, operating system and device, from a user agent."""

from __future__ import annotations

import re
from functools import cache, lru_cache

import msgspec
import ua_parser
from ua_parser import Domain, PartialResult


class Agent(msgspec.Struct, frozen=True, gc=False):
    """What a visit was made with; "" where the user agent does not tell."""

    browser: str = ""
    browser_version: str = ""
    os: str = ""
    os_version: str = ""
    device: str = ""  # Desktop, Mobile or Tablet


# Names that people know, for what the parser tells apart.
_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Chromium": "Chromium",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge": "Microsoft Edge",
    "Edge Mobile": "Microsoft Edge",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "Opera Mobile": "Opera",
    "Opera Mini": "Opera Mini",
    "Yandex Browser": "Yandex Browser",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Brave": "Brave",
}
_SYSTEMS = {
    "Mac OS X": "macOS",
    "Chrome OS": "ChromeOS",
    "Linux": "GNU/Linux",
    "Ubuntu": "GNU/Linux",
    "Debian": "GNU/Linux",
    "Fedora": "GNU/Linux",
    "Arch Linux": "GNU/Linux",
    "Red Hat": "GNU/Linux",
    "CentOS": "GNU/Linux",
    "SUSE": "GNU/Linux",
    "Gentoo": "GNU/Linux",
    "Mint": "GNU/Linux",
    "Kubuntu": "GNU/Linux",
}
_WITH_MINOR = {"Safari", "macOS", "iOS"}
_TABLET = re.compile(
    r"iPad|Tablet|PlayBook|Silk(?!.*Mobile)|Kindle|Nexus (?:7|9|10)|SM-[TXP]\d|KF[A-Z]{2,4}\b|Pixel C\b"
)
_MOBILE = re.compile(r"Mobi|iPhone|iPod|Windows Phone|BlackBerry|BB10|Opera Mini|Symbian|webOS|Nokia|J2ME|MIDP")


@cache
def _parser() -> ua_parser.Parser:
    # Our own cache holds whole answers: the parser needs none, and no table of device models, which is the largest.
    # Its patterns are left as text, as the resolver compiles them itself: Python's own would take a third of a start.
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    user_agents, systems, _ = load_lazy_builtins()
    return ua_parser.Parser(Resolver((user_agents, systems, [])))


@lru_cache(maxsize=8192)
def parse(user_agent: str) -> Agent:
    """What a user agent tells. Never raises; what is not known is ""."""
    if not user_agent:
        return Agent()
    found: PartialResult = _parser().resolver(user_agent, Domain.USER_AGENT | Domain.OS)
    browser, browser_version = _browser(found)
    system, system_version = _system(found)
    return Agent(browser, browser_version, system, system_version, _device(user_agent, system))


def warm() -> None:
    """Load the patterns now rather than at the first request."""
    parse("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")


def _browser(found: PartialResult) -> tuple[str, str]:
    agent = found.user_agent
    if agent is None or agent.family == "Other":
        return "", ""
    name = _BROWSERS.get(agent.family, agent.family)
    return name, _version(name, agent.major, agent.minor)


def _system(found: PartialResult) -> tuple[str, str]:
    system = found.os
    if system is None or system.family == "Other":
        return "", ""
    name = _SYSTEMS.get(system.family, system.family)
    return name, _version(name, system.major, system.minor)


def _version(name: str, major: str | None, minor: str | None) -> str:
    if not major:
        return ""
    return f"{major}.{minor}" if minor and name in _WITH_MINOR else major


def _device(user_agent: str, system: str) -> str:
    if _TABLET.search(user_agent) or (system == "Android" and "Mobile" not in user_agent):
        return "Tablet"
    if _MOBILE.search(user_agent):
        return "Mobile"
    return "Desktop"
