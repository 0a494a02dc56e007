"""What whoever asks is told where a question needs more memory than the event store may use."""

from __future__ import annotations

import time

import pytest

from haru.accounts.models import ApiKey
from haru.events.columns import COLUMNS
from haru.live import Live
from haru.stats.answers import Reports
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import Progress, StoreOutOfMemory
from haru.web.dashboard.breakdowns import panels
from haru.web.project import services
from tests.stats.made import journey

ENOUGH, LITTLE = "512MB", "1MB"
SENTENCE = (
    "This needs more memory than the event store may use. Ask for a shorter period, fewer rows or fewer dimensions;"
)
QUERY = {"site_id": "example.com", "metrics": ["visitors"], "date_range": "day", "dimensions": ["event:page"]}


@pytest.fixture
def limit(site, tmp_path):
    """Sets the memory of a store in which the site has a visit of just now."""
    store = DuckStore(tmp_path / "events.duckdb", threads=1)
    made = journey(100, int(time.time() * 1000) - 1000, (0, "/pricing"), site_id=site.pk)
    store.load([tuple(event[name] for name, _ in COLUMNS) for event in made], Progress(1))
    nothing = lambda *_: None  # noqa: E731
    services.use(
        services.Services(
            reports=Reports(store),
            live=Live(),
            sites_changed=nothing,
            delete_events=nothing,
            refusal_counts=lambda *_: [],
        )
    )
    yield lambda memory: store._opened().execute(f"SET memory_limit = '{memory}'")
    services.use(None)
    store.close()


def test_the_api_answers_400_and_says_what_to_ask_for(limit, client, owner) -> None:
    _, key = ApiKey.create(owner, "test", ["stats:read"])
    headers = {"Authorization": f"Bearer {key}"}

    def asked():
        older = {"site_id": "example.com", "period": "day", "property": "event:page"}
        yield client.post("/api/v2/query", QUERY, content_type="application/json", headers=headers)
        yield client.get("/api/v1/stats/breakdown", older, headers=headers)

    limit(LITTLE)
    for answer in asked():
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(SENTENCE)
        assert "Retry-After" not in answer.headers
    limit(ENOUGH)
    assert [answer.status_code for answer in asked()] == [200, 200]


def test_a_page_says_so_in_the_place_of_the_numbers(limit, sign_in, owner) -> None:
    browser = sign_in(owner)
    limit(LITTLE)
    answer = browser.get("/sites/example.com?period=day")
    assert answer.status_code == 200
    assert SENTENCE in answer.content.decode().partition('id="panel-pages"')[2].partition("</haru-panel>")[0]
    file = browser.get("/sites/example.com/export/pages.csv?period=day")
    assert file.status_code == 400
    assert SENTENCE in file.content.decode()
    assert "Content-Disposition" not in file.headers
    limit(ENOUGH)
    assert SENTENCE not in browser.get("/sites/example.com?period=day").content.decode()


def test_a_part_that_needs_too_much_keeps_no_other_from_its_numbers(limit, sign_in, owner, monkeypatch) -> None:
    def greedy(*_: object) -> None:
        raise StoreOutOfMemory("too little")

    monkeypatch.setattr(panels, "totals", greedy)
    page = sign_in(owner).get("/sites/example.com?period=day").content.decode()
    assert page.count(SENTENCE) == 1
    assert "/pricing" in page.partition('id="panel-pages"')[2].partition("</haru-panel>")[0]
