"""Which user agents are no people: robots, crawlers of AI companies among them, and programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from haru.patterns import BadPattern, Expressions

Kind = Literal["", "bot", "ai-crawler", "library"]

# What the maintained list does not hold: (pattern, kind). The list's patterns are case-sensitive, and so are these.
_OURS: tuple[tuple[str, Kind], ...] = (
    (r"HeadlessChrome", "bot"),
    (r"PhantomJS", "bot"),
    (r"SlimerJS", "bot"),
    (r"Electron/.*Cypress|Cypress/", "bot"),
    (r"Playwright|Puppeteer|WebDriver", "bot"),
    (r"Lighthouse|PageSpeed", "bot"),
    (r"(?i)\b(?:bot|crawler|spider|scraper)\b", "bot"),
    (r"(?i)[a-z](?:bot|crawler|spider)[/ ;)+]", "bot"),
    (r"(?i)\b(?:favicon|prerender|health-?check(?:er)?)\b", "bot"),
    # Robots say where they can be read about or written to; of browsers old ones of Microsoft did, without a plus.
    (r"\+ ?(?:https?://|mailto:|www\.)", "bot"),
    (r"\(compatible; (?:[^M)]|M[^S)])[^)]*(?:https?://|\w@\w)", "bot"),
    (r"^Mozilla/[0-9.]+(?: \(compatible;?\))?$", "bot"),
)  # fmt: skip

# How browsers call themselves. Whatever is called otherwise is a program: a probe, a library, a reader of feeds, an app
# that asks by itself; what apps show a page in begins as browsers do.
_BROWSERS = (
    r"^\W*(?:User-Agent: ?)?(?:Mozilla|Opera)[/ ]",
    r"^(?:Lynx|E?Links|w3m|Midori|NetSurf|Dillo|Konqueror|amaya|Emacs-W3)\b",
    # Of phones before those that run apps
    r"(?i)\b(?:MIDP|WAP Browser|Maui Browser|UP\.Browser|SEMC-Browser|NetFront|Obigo|Teleca|Openwave|Symbian)",
    r"(?i)\bUC ?(?:Browser|WEB)\b",
    r"^(?:BlackBerry|Nokia|SAMSUNG|SonyEricsson|LG[E/-]|MOT-|DoCoMo|KDDI|SoftBank|Vodafone|J-PHONE)",
)

# Real browsers whose names look like a robot's.
_PEOPLE = (r"(?i)cubot",)

MATCHER_BYTES = 64 * 1024 * 1024  # the most the matcher may use; it uses what the user agents it sees make it use

MAX_NAME = 40  # characters of a crawler's name

_KIND_OF_TAG: dict[str, Kind] = {"ai-crawler": "ai-crawler", "http-library": "library"}


class Robot(msgspec.Struct):
    """What is needed of a row of the maintained list."""

    pattern: str
    tags: list[str] = []


def _listed() -> list[Robot]:
    # The package would keep every row with all its examples in memory, several megabytes: its file is read instead.
    package = find_spec("crawleruseragents")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).with_name("crawler-user-agents.json")
    return msgspec.json.decode(file.read_bytes(), type=list[Robot])


def _kind_of(tags: Iterable[str]) -> Kind:
    return next((_KIND_OF_TAG[tag] for tag in tags if tag in _KIND_OF_TAG), "bot")


def _name_of(pattern: str) -> str:
    """What a crawler is called, by its pattern: `[cC]laude[bB]ot` → ClaudeBot, `bigsur\\.ai` → bigsur.ai.

    Of letters to choose from the capital is taken, and an expression ends the name; where nothing is left of it, it is
    an "AI crawler".
    """
    plain = re.sub(r"\[([a-zA-Z]+)\]", lambda choice: min(choice[1]), pattern)
    plain = re.sub(r"\\(\W)", r"\1", plain)
    return re.split(r"[\[(^$|?*+\\]", plain.lstrip("^"))[0].strip(" /")[:MAX_NAME] or "AI crawler"


@cache
def _patterns() -> tuple[Expressions, tuple[Kind, ...], tuple[str, ...]]:
    """One automaton over all patterns, with the kind and the name of each."""
    kinds: list[Kind] = []
    names: list[str] = []
    robots = Expressions(MATCHER_BYTES)
    listed = [(row.pattern.replace("\\/", "/"), _kind_of(row.tags)) for row in _listed()]
    for pattern, kind in [*_OURS, *listed]:
        try:
            robots.add(pattern)
        except BadPattern:
            continue  # a list that is renewed may hold a pattern that RE2 does not know; the others still hold
        kinds.append(kind)
        names.append(_name_of(pattern) if kind == "ai-crawler" else "")
    robots.compile()
    return robots, tuple(kinds), tuple(names)


@cache
def _browsers() -> tuple[Expressions, Expressions]:
    """An automaton over what browsers call themselves, and one over the people among what looks like a robot."""
    sets = Expressions(MATCHER_BYTES), Expressions(MATCHER_BYTES)
    for automaton, patterns in zip(sets, (_BROWSERS, _PEOPLE), strict=True):
        for pattern in patterns:
            automaton.add(pattern)
        automaton.compile()
    return sets


@lru_cache(maxsize=8192)
def kind(user_agent: str) -> Kind:
    """What a user agent is: "" for a browser, "library" for another program, "ai-crawler" or another "bot".

    A user agent that says nothing is a program's. Headless browsers are robots.
    """
    robots, kinds, _ = _patterns()
    browsers, people = _browsers()
    found = {kinds[number] for number in robots.within(user_agent)}
    if people.within(user_agent) and "(compatible" not in user_agent:
        return ""
    if not found:
        return "" if browsers.within(user_agent) else "library"
    for strongest in ("ai-crawler", "bot"):
        if strongest in found:
            return strongest
    return "library"


@lru_cache(maxsize=1024)
def crawler(user_agent: str) -> str:
    """The name of an AI company's crawler, such as GPTBot; "" for everything else. Always one of `crawlers()`."""
    if kind(user_agent) != "ai-crawler":
        return ""
    robots, _, names = _patterns()
    # Of several the longest says most: "Google-Extended" rather than a part of it.
    found: list[str] = [names[number] for number in robots.within(user_agent)]
    return max(found, key=lambda name: (len(name), name))


@cache
def crawlers() -> frozenset[str]:
    """The names of all AI companies' crawlers that are known."""
    return frozenset(filter(None, _patterns()[2]))


def warm() -> None:
    """Compile the patterns now rather than at the first request."""
    _patterns()
    _browsers()
