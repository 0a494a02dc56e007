"""What a dashboard shows under filters is what the API answers to the same question, for views drawn at random."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

from haru.accounts.models import ApiKey
from haru.sites import goals
from haru.web.api import endpoint as api
from haru.web.dashboard.breakdowns import tabs
from haru.web.dashboard.breakdowns.panels import PANEL_ROWS
from haru.web.dashboard.state import METRICS
from haru.web.templatetags.numbers import exact_value_of
from tests.rounds import long, rounds
from tests.web.test_dashboard import NOW, NOW_MS, events, part

__all__ = ["events"]
VALUES = {
    "event:page": ("/", "/pricing", "/blog/a", "/blog/b"),
    "event:hostname": ("example.com", "shop.example.com"),
    "event:name": ("pageview", "Signup"),
    "event:props:plan": ("pro", "free", "(none)"),
    "visit:source": ("Google", "Direct / None"),
    "visit:channel": ("Organic Search", "Direct"),
    "visit:utm_campaign": ("spring", "(not set)"),
    "visit:country": ("DE", "AT", "(not set)"),
    "visit:region": ("DE-BE", "DE-BY"),
    "visit:city": ("2950159", "2867714"),
    "visit:browser": ("Firefox", "Chrome"),
    "visit:os": ("Linux", "iOS"),
    "visit:device": ("Desktop", "Mobile"),
    "visit:language": ("de", "en"),
    "visit:entry_page": ("/", "/pricing"),
    "visit:exit_page": ("/blog/a", "/"),
}
STORED = {"visit:source": "source", "visit:channel": "channel", "event:page": "path", "event:hostname": "hostname"}
RATES = {"views_per_visit", "bounce_rate", "visit_duration"}
PANELS = {**tabs.PANELS, tabs.GOALS: tabs.goals_group(True, ())}
PERIODS = ("day", "yesterday", "24h", "7d", "30d", "month", "year", "all", "custom&from=2026-01-05&to=2026-01-13")


def fill(events, draw: random.Random) -> None:
    """Sixty visits of the last twelve days, of one to four events."""
    for visitor in range(1, 61):
        begun = NOW - timedelta(minutes=draw.randrange(5, 12 * 24 * 60))
        origin = {
            STORED.get(name, name.removeprefix("visit:")): draw.choice([*values, ""]).replace("Direct / None", "")
            for name, values in VALUES.items()
            if name.startswith("visit:") and not name.endswith("page")
        }
        origin = {name: value for name, value in origin.items() if value not in {"", "(not set)", "Direct"}}
        for step in range(draw.randrange(1, 5)):
            signup = step > 0 and draw.random() < 0.3
            events.add(
                begun + timedelta(seconds=40 * step),
                visitor,
                **origin,
                path=draw.choice(VALUES["event:page"]),
                hostname=draw.choice(VALUES["event:hostname"]),
                name="Signup" if signup else "pageview",
                props=json.dumps({"plan": draw.choice(("pro", "free"))}) if signup else "{}",
            )


def leaf(draw: random.Random, dimension: str = "") -> list[object]:
    dimension = dimension or draw.choice(list(VALUES))
    operator = draw.choice(("is", "is", "is_not", "contains", "contains_not", "matches"))
    clauses = draw.sample(VALUES[dimension], draw.randrange(1, len(VALUES[dimension]) + 1))
    if operator == "matches":
        clauses = [re.escape(clause[:3]) for clause in clauses]
    return [operator, dimension, clauses, *([{"case_sensitive": False}] if draw.random() < 0.2 else [])]


def filters(draw: random.Random) -> list[object]:
    trees: list[object] = [leaf(draw) for _ in range(draw.randrange(3))]
    if draw.random() < 0.3:
        trees.append(["or", [leaf(draw), leaf(draw)]])
    if draw.random() < 0.2:
        trees.append([draw.choice(("has_done", "has_not_done")), leaf(draw, "event:page")])
    if draw.random() < 0.2:
        trees.append(["is", "event:goal", ["Signup"]])
    return trees


@long
def test_each_number_of_a_filtered_view_is_that_of_the_api(site, events, sign_in, owner, client, monkeypatch):
    monkeypatch.setattr(api, "now_ms", lambda: NOW_MS)
    monkeypatch.setattr(api, "_within_limit", lambda key: None)
    goals.add_goal(site, event="Signup")
    _, key = ApiKey.create(owner, "test", ["stats:read"])
    browser = sign_in(owner)
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    fill(events, draw)

    def ask(**keys: object) -> list[dict[str, list[object]]]:
        question = {"site_id": "example.com", **keys}
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.post("/api/v2/query", question, content_type="application/json", headers=headers)
        assert answer.status_code == 200, (seed, question, answer.content)
        return answer.json()["results"]

    for _ in range(rounds(12, 500)):
        period, trees = draw.choice(PERIODS), filters(draw)
        tab = draw.choice(tabs.ALL_TABS)
        panel = next(name for name, group in PANELS.items() if tab in group.tabs)
        view = f"?period={period}&compare=none&{panel}={tab.name}" + (
            f"&filters={quote(json.dumps(trees))}" if trees else ""
        )
        asked = {"date_range": ["2026-01-05", "2026-01-13"] if "custom" in period else period, "filters": trees}

        def look(name: str, view: str = view) -> str:
            answer = browser.get(f"/sites/example.com/panels/{name}{view}")
            assert answer.status_code == 200
            return part(answer.content.decode(), name)

        shown = re.findall(r'data-metric="(\w+)" title="([^"]*)"', look("top"))
        (totals,) = ask(metrics=list(METRICS), **asked)
        assert [name for name, _ in shown] == list(METRICS)
        for (name, text), value in zip(shown, totals["metrics"], strict=True):
            # A rate of nobody is 0 in the API, as its clients read it, and a dash on pages.
            if name in RATES and text == "–":
                value = value or None
            assert text == exact_value_of(value, name), (seed, view, name)

        unknown = "Direct / None" if tab.name == "referrers" else "(not set)"
        hidden = [*([unknown] if tab.known_only else []), *tab.hidden]
        metrics = [metric for metric, _ in tab.columns]
        rows = ask(
            metrics=metrics,
            dimensions=list(tab.dimensions),
            **asked | {"filters": [*([["is_not", tab.dimension, hidden]] if hidden else []), *trees]},
            pagination={"limit": PANEL_ROWS},
        )
        html = look(panel)
        cells = [
            exact_value_of(value, name) for row in rows for name, value in zip(metrics, row["metrics"], strict=True)
        ]
        assert re.findall(r'<td title="([^"]*)"', html) == cells, (seed, view)
        if not tab.mark and not tab.of and tab.name != "languages":  # these are shown by name
            names = [unescape(name) for name in re.findall(r'<th scope="row" title="([^"]*)"', html)]
            assert names == [row["dimensions"][0] for row in rows], (seed, view)

        series = ask(metrics=["visitors"], dimensions=["time"], **asked)
        numbers = map(int, re.findall(r'<td data-value="(\d+)"', look("chart")))
        assert [n for n in numbers if n] == [row["metrics"][0] for row in series if row["metrics"][0]], (seed, view)
