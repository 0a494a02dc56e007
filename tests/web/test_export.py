"""What a dashboard shows as CSV, and raw events for a key."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from haru.accounts.models import ApiKey, Scope
from haru.live import Live
from haru.sites import registry
from haru.stats.answers import Reports
from haru.store.duckdb.store import DuckStore
from haru.store.protocol import StoreUnavailable
from haru.store.stop import Stopped
from haru.transfer import export as files
from haru.web.api.endpoint import NO_ACCESS
from haru.web.dashboard import export as exports
from haru.web.dashboard import views as dashboard
from haru.web.dashboard.breakdowns import tabs
from haru.web.dashboard.csv import lines
from haru.web.project import services
from tests.stats.made import DAY, HOUR, filled, journey, ms

METRICS = (
    "visitors",
    "percentage",
    "visits",
    "pageviews",
    "events",
    "views_per_visit",
    "bounce_rate",
    "visit_duration",
)
NOW = ms("2026-01-15 12:00")


@pytest.fixture
def store(site) -> DuckStore:
    own = {"site_id": site.pk, "hostname": "example.com"}
    return filled(
        [
            *journey(10, NOW - 2 * HOUR, (0, "/"), (2, "/pricing"), **own, source="Google", country="DE"),
            *journey(20, NOW - DAY - HOUR, (0, "/=1+1"), **own, source="@home", country="SE"),
            *journey(30, NOW - 9 * DAY, (0, "/old"), **own),
            *journey(40, NOW - HOUR, (0, "/elsewhere"), site_id=site.pk + 1),
        ]
    )


@pytest.fixture
def served(store, monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setattr(dashboard, "now_ms", lambda: NOW)
    services.use(
        services.Services(
            reports=Reports(store),
            live=Live(),
            sites_changed=list,
            delete_events=lambda _: None,
            refusal_counts=lambda *_: [],
            events=lambda site_id, span, format: files.events(store, "here", site_id, span, format, tmp_path),
        )
    )
    yield
    services.use(None)


def content(answer: Any) -> bytes:
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.fixture
def browser(served, sign_in, owner):
    return sign_in(owner)


def test_a_breakdown_has_every_number_of_its_details(browser) -> None:
    answer = browser.get("/sites/example.com/export/countries.csv?period=7d&compare=none")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = 'attachment; filename="example.com-countries-2026-01-08-2026-01-14.csv"'
    assert answer.headers["Content-Disposition"] == name
    assert table(content(answer)) == [
        ["country", "country_name", *METRICS],
        ["SE", "Sweden", "1", "100.0", "1", "1", "1", "1.0", "100", "0"],
    ]
    today = table(content(browser.get("/sites/example.com/export/pages.csv?period=day&compare=none")))
    assert [row[0] for row in today[1:]] == ["/", "/pricing"]


def test_what_a_spreadsheet_would_work_out_stands_behind_an_apostrophe(browser) -> None:
    rows = table(content(browser.get("/sites/example.com/export/sources.csv?period=all")))
    assert "'@home" in [row[0] for row in rows]
    given = ["=1", "+1", "-1", "@x", "\tx", "\rx", "a=1", "", None, -1, 2.5]
    assert table(lines([given]))[0] == ["'=1", "'+1", "'-1", "'@x", "'\tx", "'\\u000dx", "a=1", "", "", "-1", "2.5"]


def test_rows_beyond_one_question_are_asked_for_with_the_next(browser, monkeypatch) -> None:
    whole = table(content(browser.get("/sites/example.com/export/pages.csv?period=all")))
    assert len(whole) == 5
    monkeypatch.setattr(exports, "MAX_ROWS", 2)
    assert table(content(browser.get("/sites/example.com/export/pages.csv?period=all"))) == whole


def test_an_export_ended_at_the_limit_is_504_and_says_what_to_ask_for(browser, monkeypatch) -> None:
    def ended(*_: object) -> None:
        raise Stopped("the limit")

    monkeypatch.setattr(services.get().reports, "answer", ended)
    for path in ("/sites/example.com/export/pages.csv", "/sites/example.com/export.zip"):
        answer = browser.get(path)
        assert answer.status_code == 504
        assert "Ask for a shorter period or fewer rows." in answer.content.decode()
        assert "Content-Disposition" not in answer.headers


def test_the_whole_view_is_a_zip_of_all_there_is(browser) -> None:
    answer = browser.get("/sites/example.com/export.zip?period=7d&interval=day")
    assert answer.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(content(answer)))
    assert archive.testzip() is None
    names = [tab.name for tab in tabs.ALL_TABS]
    assert archive.namelist() == [f"{name}.csv" for name in ("totals", "time_series", *names)]
    assert len(names) >= 12
    totals = table(archive.read("totals.csv"))
    assert totals[0] == ["metric", "value", "before", "change"]
    assert totals[1] == ["visitors", "1", "1", "0"]
    series = table(archive.read("time_series.csv"))
    assert series[0][:2] == ["day", "visitors"]
    assert [row[:2] for row in series[1:]] == [[f"2026-01-{day:02}", str(int(day == 14))] for day in range(8, 15)]
    alone = table(content(browser.get("/sites/example.com/export/pages.csv?period=7d&compare=none")))
    assert table(archive.read("pages.csv")) == alone


def test_time_that_has_not_come_yet_has_no_row(browser) -> None:
    archive = zipfile.ZipFile(io.BytesIO(content(browser.get("/sites/example.com/export.zip?period=day"))))
    series = table(archive.read("time_series.csv"))
    assert series[0][0] == "hour"
    assert series[-1][0] == "2026-01-15 13:00:00"  # in Berlin
    assert len(series) == 1 + 14


def test_a_site_without_events_has_files_without_rows(served, sign_in, owner) -> None:
    registry.create_site("empty.example", "UTC", owner)
    archive = zipfile.ZipFile(io.BytesIO(content(sign_in(owner).get("/sites/empty.example/export.zip?period=7d"))))
    assert len(table(archive.read("pages.csv"))) == 1
    assert table(archive.read("totals.csv"))[1:] == [
        ["visitors", "0", "0", ""],
        ["visits", "0", "0", ""],
        ["pageviews", "0", "0", ""],
        ["views_per_visit", "", "", ""],
        ["bounce_rate", "", "", ""],
        ["visit_duration", "", "", ""],
    ]
    assert table(archive.read("time_series.csv"))[1][1:] == ["0", "0", "0", "", "", ""]


@pytest.mark.parametrize("path", ["/sites/example.com/export.zip", "/sites/example.com/export/pages.csv"])
def test_whoever_sees_the_dashboard_may_take_it_along(served, sign_in, owner, team_mate, stranger, path: str) -> None:
    assert sign_in(owner).get(path).status_code == 200
    assert sign_in(team_mate).get(path).status_code == 200
    assert sign_in(stranger).get(path).status_code == 404
    nobody = sign_in().get(path)
    assert (nobody.status_code, nobody.url) == (302, f"/account/login/?next={path}")
    assert sign_in(owner).post(path).status_code == 405
    assert content(sign_in(owner).head(path)) == b""


def test_there_is_no_breakdown_of_another_name(browser) -> None:
    assert browser.get("/sites/example.com/export/nonsense.csv").status_code == 404


def test_the_dashboard_links_to_what_it_shows(browser) -> None:
    page = browser.get("/sites/example.com?period=7d").content.decode()
    assert 'href="/sites/example.com/export.zip?period=7d"' in page
    details = browser.get("/sites/example.com?period=7d&details=pages&pages=entry").content.decode()
    assert 'href="/sites/example.com/export/entry.csv?period=7d&amp;pages=entry&amp;details=pages"' in details


@pytest.mark.parametrize("path", ["export.zip", "export/pages.csv"])
def test_a_store_that_does_not_answer_is_said_before_the_file_begins(
    served, sign_in, owner, monkeypatch, path: str
) -> None:
    def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("down")

    browser = sign_in(owner, raise_request_exception=False)
    assert browser.get(f"/sites/example.com/{path}").status_code == 200
    monkeypatch.setattr(Reports, "answer", down)
    assert browser.get(f"/sites/example.com/{path}").status_code == 503


def events_of(client: Any, key: str, **parameters: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return client.get("/api/v1/export/events", {"site_id": "example.com", **parameters}, headers=headers)


@pytest.fixture
def key(owner) -> str:
    _, text = ApiKey.create(owner, "test", [Scope.STATS_READ])
    return str(text)


def test_a_key_takes_the_raw_events_of_its_site(served, client, key) -> None:
    answer = events_of(client, key)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="example.com-events.ndjson"'
    found = [json.loads(line) for line in content(answer).splitlines()]
    assert [event["path"] for event in found] == ["/", "/pricing", "/=1+1", "/old"]
    assert found[0]["occurred_at"] == "2026-01-15T10:00:00Z"
    assert "site_id" not in found[0]
    some = content(events_of(client, key, since="2026-01-14", until="2026-01-14")).splitlines()
    assert [json.loads(line)["path"] for line in some] == ["/=1+1"]
    parquet = events_of(client, key, format="parquet")
    assert parquet.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert content(parquet).startswith(b"PAR1")


def test_raw_events_are_for_those_who_manage_the_site(served, client, site, key, team_mate, stranger) -> None:
    assert events_of(client, key).status_code == 200
    for person in (team_mate, stranger):
        _, text = ApiKey.create(person, "test", list(Scope))
        refused = events_of(client, text)
        assert (refused.status_code, refused.json()) == (401, {"error": NO_ACCESS})
    registry.set_role(site, team_mate, "admin")
    _, text = ApiKey.create(team_mate, "admin", [Scope.STATS_READ])
    assert events_of(client, text).status_code == 200
    _, writer = ApiKey.create(team_mate, "writer", [Scope.EVENTS_WRITE])
    for text in (writer, "", "haru_nonsense"):
        assert events_of(client, text).status_code == 401
    assert client.post("/api/v1/export/events", headers={"Authorization": f"Bearer {key}"}).status_code == 405


def test_every_fault_of_a_request_for_events_is_named(served, client, key) -> None:
    answer = events_of(client, key, format="xlsx", since="soon", until="2026-02-30", colour="red")
    assert answer.status_code == 400
    faults = answer.json()["error"]
    for path in ("#/format: ", "#/since: ", "#/until: ", "#/colour: "):
        assert path in faults
    backwards = events_of(client, key, since="2026-02-01", until="2026-01-01")
    assert backwards.json()["error"].startswith("#/until: it ends before it begins")
    assert events_of(client, key, site_id="").json()["error"].startswith("#/site_id")


async def _slow(count: int) -> list[bytes]:
    from haru.web.project.streaming import in_threads

    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            for number in range(10):
                yield bytes([number])
        finally:
            closed.append(time.monotonic())

    found = []
    stream = in_threads(pieces())
    async for piece in stream:
        found.append(piece)
        if len(found) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    assert len(closed) == 1
    return found


def test_pieces_come_one_by_one_and_their_maker_is_closed_when_nobody_asks() -> None:
    import asyncio

    assert asyncio.run(_slow(3)) == [b"\0", b"\1", b"\2"]
    assert len(asyncio.run(_slow(99))) == 10
