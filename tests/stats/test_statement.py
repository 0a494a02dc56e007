"""What the numbers mean, told as visits. Every answer here is also compared with that of the second implementation."""

from __future__ import annotations

import pytest

from haru.stats.plan import StatsSite, make
from haru.stats.query import parse
from haru.stats.sql import statement
from haru.stats.vocabulary import periods
from haru.store.duckdb.store import DuckStore
from tests.stats.made import HOUR, MINUTE, ask, journey, ms, rows, stored

MIDNIGHT = ms("2026-05-20 00:00")
NOON = ms("2026-05-20 12:00")
FACTS = ["visits", "views_per_visit", "bounce_rate", "visit_duration"]


def test_a_day_without_events_is_one_row_of_zeroes() -> None:
    answer = ask([], NOON, metrics=["visitors", "visits", "pageviews", "events", *FACTS[1:], "percentage"])
    assert rows(answer) == [(0, 0, 0, 0, None, None, None, None)]


def test_visitors_visits_pageviews_and_events_are_counted_apart() -> None:
    events = [
        *journey(100, NOON, (0, "/"), (1, "/a"), (2, "/a!signup"), (3, "/a~"), visitor_id=7),
        *journey(200, NOON + 2 * HOUR, (0, "/"), visitor_id=7),
        stored(300, NOON, 300, site_id=2),  # of another site
    ]
    events = [event for event in events if event["site_id"] == 1]
    answer = ask(events, NOON, metrics=["visitors", "visits", "pageviews", "events"])
    assert rows(answer) == [(1, 2, 3, 4)]


def test_another_sites_events_do_not_count() -> None:
    from haru.stats.answers import Reports
    from haru.stats.plan import StatsSite
    from tests.stats.made import filled

    reports = Reports(filled([*journey(100, NOON, (0, "/")), *journey(200, NOON, (0, "/"), (1, "/b"), site_id=2)]))
    asked = parse({"metrics": ["visits", "views_per_visit"], "date_range": "day"})
    assert reports.answer(StatsSite(1, "UTC"), asked, NOON).rows[0].metrics == (1, 1.0)


def test_a_visit_survives_midnight() -> None:
    visit = journey(100, MIDNIGHT - 10 * MINUTE, (0, "/in"), (20, "/out"))
    today = ask(visit, NOON, metrics=["pageviews", *FACTS], dimensions=["visit:entry_page", "visit:exit_page"])
    assert rows(today) == [("/in", "/out", 1, 1, 2.0, 0, 1200)]
    yesterday = ask(visit, NOON, metrics=["pageviews", *FACTS], date_range="yesterday")
    assert rows(yesterday) == [(1, 1, 2.0, 0, 1200)]


def test_a_visit_that_reaches_far_over_both_ends_keeps_its_facts() -> None:
    visit = journey(100, NOON, *((minutes, f"/{minutes}") for minutes in range(0, 300, 30)))
    middle = ["2026-05-20T14:00:00Z", "2026-05-20T14:00:00Z"]
    answer = ask(visit, NOON, metrics=["pageviews", *FACTS], dimensions=["visit:entry_page"], date_range=middle)
    assert rows(answer) == [("/0", 1, 1, 10.0, 0, 270 * 60)]


def test_a_visit_that_only_touches_the_gap_is_not_counted() -> None:
    visit = journey(100, NOON, (0, "/"), (20, "/b"))
    between = ["2026-05-20T12:05:00Z", "2026-05-20T12:15:00Z"]
    assert rows(ask(visit, NOON, metrics=FACTS, date_range=between)) == [(0, None, None, None)]


def test_a_visit_bounces_with_one_pageview_and_nothing_interactive() -> None:
    events = [
        *journey(100, NOON, (0, "/")),
        *journey(200, NOON, (0, "/"), (1, "/~")),
        *journey(300, NOON, (0, "/"), (1, "/!scrolled"), interactive=False),
        *journey(400, NOON, (0, "/"), (1, "/!signup")),
        *journey(500, NOON, (0, "/"), (1, "/b")),
    ]
    assert rows(ask(events, NOON, metrics=["bounce_rate", "visits"])) == [(60, 5)]


def test_engagement_keeps_a_visit_but_does_not_lengthen_it() -> None:
    visit = journey(100, NOON, (0, "/"), (25, "/~"), (50, "/~"))
    assert rows(ask(visit, NOON, metrics=["visit_duration"])) == [(0,)]
    assert rows(ask([*visit, stored(109, NOON + 70 * MINUTE, 100)], NOON, metrics=["visit_duration"])) == [(4200,)]


def test_a_visit_without_pageviews_has_no_entry_page() -> None:
    visit = journey(100, NOON, (0, "/!signup"))
    assert rows(ask(visit, NOON, dimensions=["visit:entry_page"])) == [("(not set)", 1)]
    assert rows(ask(visit, NOON, filters=[["is", "visit:exit_page", ["(not set)"]]])) == [(1,)]
    for filter in (
        ["matches", "visit:exit_page", ["^.not"]],
        ["is", "visit:exit_page", ["(NOT set)"], {"case_sensitive": False}],
    ):
        assert rows(ask(visit, NOON, filters=[filter])) == [(1,)]


def test_entry_and_exit_go_by_time_and_then_by_arrival() -> None:
    late = [stored(100, NOON, 100, path="/opened"), stored(101, NOON - MINUTE, 100, path="/late")]
    assert rows(ask(late, NOON, dimensions=["visit:entry_page", "visit:exit_page"])) == [("/late", "/opened", 1)]
    tied = [stored(100 + n, NOON, 100, path=f"/{n}") for n in range(4)]
    assert rows(ask(tied, NOON, dimensions=["visit:entry_page", "visit:exit_page"])) == [("/0", "/3", 1)]


def test_a_filter_never_changes_the_facts_of_a_visit() -> None:
    visit = journey(100, NOON, (0, "/"), (1, "/a"), (4, "/b"), (5, "/b!signup"))
    everything = rows(ask(visit, NOON, metrics=FACTS))
    for filter in (["is", "event:name", ["signup"]], ["is", "event:hostname", ["example.com"]]):
        assert rows(ask(visit, NOON, metrics=FACTS, filters=[filter])) == everything == [(1, 4 - 1, 0, 300)]


def test_all_filters_look_at_the_same_event() -> None:
    visit = journey(100, NOON, (0, "/a"), (1, "/b!signup"))
    on_a, signup = ["is", "event:page", ["/a"]], ["is", "event:name", ["signup"]]
    assert rows(ask(visit, NOON, filters=[on_a, signup])) == [(0,)]
    assert rows(ask(visit, NOON, filters=[["is", "event:page", ["/b"]], signup])) == [(1,)]


def test_a_page_speaks_of_the_visits_that_entered_there() -> None:
    events = [
        *journey(100, NOON, (0, "/a")),
        *journey(200, NOON, (0, "/"), (10, "/a")),
    ]
    metrics = ["visitors", "bounce_rate", "visit_duration"]
    assert rows(ask(events, NOON, metrics=metrics, dimensions=["event:page"])) == [("/a", 2, 100, 0), ("/", 1, 0, 600)]


def test_the_row_of_a_page_and_the_view_filtered_by_it_agree() -> None:
    events = [
        *journey(100, NOON, (0, "/a")),
        *journey(200, NOON, (0, "/"), (10, "/a")),
        *journey(300, NOON, (0, "/a"), (1, "/b")),
    ]
    by_page = rows(ask(events, NOON, metrics=["visitors", "bounce_rate"], dimensions=["event:page"]))
    for filter in (["is", "event:page", ["/a"]], ["and", [["is", "event:page", ["/a"]]]]):
        view = ask(events, NOON, metrics=["visitors", "bounce_rate"], filters=[filter])
        assert rows(view) == [row[1:] for row in by_page if row[0] == "/a"] == [(3, 50)]


def test_a_filter_on_the_page_inside_or_does_not_judge_by_entry() -> None:
    events = [*journey(100, NOON, (0, "/a")), *journey(200, NOON, (0, "/"), (1, "/a"))]
    either = ["or", [["is", "event:page", ["/a"]]]]
    assert rows(ask(events, NOON, metrics=["bounce_rate"], filters=[either])) == [(50,)]


def test_events_and_facts_can_be_asked_in_one_filter() -> None:
    events = [*journey(100, NOON, (0, "/in"), (1, "/a")), *journey(200, NOON, (0, "/b"), (1, "/c"))]
    either = ["or", [["is", "visit:entry_page", ["/in"]], ["is", "event:page", ["/c"]]]]
    assert rows(ask(events, NOON, metrics=["pageviews", "visits", "views_per_visit"], filters=[either])) == [
        (3, 2, 2.0)
    ]
    mixed = ["or", [["is", "visit:entry_page", ["/in"]], ["is", "visit:city", [5]]]]
    assert rows(ask(events, NOON, metrics=["visits"], filters=[mixed])) == [(1,)]


def test_a_series_counts_a_visit_where_it_happened_and_its_facts_where_it_began() -> None:
    visit = journey(100, ms("2026-05-20 10:50"), (0, "/"), (20, "/a"))
    answer = ask(visit, NOON, metrics=["visits", "pageviews", "views_per_visit"], dimensions=["time:hour"])
    assert rows(answer) == [("2026-05-20 10:00:00", 1, 1, 2.0), ("2026-05-20 11:00:00", 1, 1, None)]


def test_the_bucket_of_facts_does_not_move_with_a_filter() -> None:
    visit = journey(100, ms("2026-05-20 10:50"), (0, "/"), (20, "/a!signup"))
    signup = [["is", "event:name", ["signup"]]]
    answer = ask(visit, NOON, metrics=["visits", "visit_duration"], dimensions=["time:hour"], filters=signup)
    assert rows(answer) == [("2026-05-20 10:00:00", 0, 1200), ("2026-05-20 11:00:00", 1, None)]


def test_the_facts_of_a_visit_from_yesterday_count_in_its_first_bucket_today() -> None:
    visit = journey(100, MIDNIGHT - 5 * MINUTE, (0, "/"), (25, "/a"))
    answer = ask(visit, NOON, metrics=["visit_duration"], dimensions=["time"])
    assert rows(answer) == [("2026-05-20 00:00:00", 1500)]


def test_an_hour_that_happens_twice_is_one_bucket() -> None:
    first = ms("2026-10-25 00:30")  # 02:30 in Berlin, and an hour later 02:30 again
    events = [*journey(100, first, (0, "/")), *journey(200, first + HOUR, (0, "/"))]
    answer = ask(events, first + 3 * HOUR, timezone="Europe/Berlin", dimensions=["time"])
    assert rows(answer) == [("2026-10-25 02:00:00", 2)]


def test_days_are_those_of_the_sites_zone() -> None:
    events = journey(100, ms("2026-05-18 18:14"), (0, "/"), (2, "/"))
    answer = ask(events, NOON, timezone="Asia/Kathmandu", metrics=["pageviews"], date_range="7d", dimensions=["time"])
    assert rows(answer) == [("2026-05-18", 1), ("2026-05-19", 1)]


def test_rows_are_ordered_by_the_first_metric_and_then_by_code_point() -> None:
    names = ["b", "B", "ä", "\U0001f600", "\ufb01", ""]
    events = [event for n, name in enumerate(names) for event in journey(100 * n + 100, NOON, (0, "/"), browser=name)]
    answer = ask([*events, *journey(900, NOON, (0, "/"), browser="b")], NOON, dimensions=["visit:browser"])
    assert [row[0] for row in rows(answer)] == ["b", "(not set)", "B", "ä", "\ufb01", "\U0001f600"]


def test_quotients_are_ordered_as_they_are_shown() -> None:
    events = []
    for n, source in enumerate(["z", "a"]):
        for k in range(200):
            steps = [(0, "/")] if k < 100 + (1 - n) else [(0, "/"), (1, "/")]
            events += journey(10_000 * (n + 1) + 10 * k, NOON, *steps, source=source)
    answer = ask(events, NOON, metrics=["bounce_rate"], dimensions=["visit:source"], pagination={"limit": 1})
    assert rows(answer) == [("a", 50)]  # 50.0 % and 50.5 %: shown alike, so the name decides


def test_pages_of_rows_and_their_number() -> None:
    events = [event for n in range(5) for event in journey(100 * n + 100, NOON, (0, f"/{n}"))]
    for offset, found in ((0, ["/0", "/1"]), (4, ["/4"]), (9, [])):
        answer = ask(
            events,
            NOON,
            dimensions=["event:page"],
            include={"total_rows": True},
            pagination={"limit": 2, "offset": offset},
        )
        assert [row[0] for row in rows(answer)] == found
        assert answer.total_rows == 5


def test_a_value_that_is_called_as_the_unknown_is_counted_with_it() -> None:
    events = [*journey(100, NOON, (0, "/"), source="Direct / None"), *journey(200, NOON, (0, "/"))]
    assert rows(ask(events, NOON, dimensions=["visit:source"])) == [("Direct / None", 2)]


def test_a_referrer_is_found_with_www_and_without_however_it_was_stored() -> None:
    events = [
        *journey(100, NOON, (0, "/"), referrer="a.example/x"),
        *journey(200, NOON, (0, "/"), referrer="www.a.example/x"),  # as it was before they were left out
        *journey(300, NOON, (0, "/"), referrer="www.b.example"),
        *journey(400, NOON, (0, "/")),
    ]
    any_case = {"case_sensitive": False}
    for asked, visitors in [
        (["is", "visit:referrer", ["www.a.example/x"]], 2),
        (["is", "visit:referrer", ["a.example/x"]], 2),
        (["is", "visit:referrer", ["WWW.A.example/x"], any_case], 2),
        (["is", "visit:referrer", ["b.example", "Direct / None"]], 2),
        (["is_not", "visit:referrer", ["www.a.example/x"]], 2),
        (["is_not", "visit:referrer", ["B.EXAMPLE"], any_case], 3),
        (["is", "visit:referrer", ["www."]], 0),
        (["contains", "visit:referrer", ["a.example"]], 2),
    ]:
        assert rows(ask(events, NOON, filters=[asked])) == [(visitors,)]


def test_a_city_is_a_number() -> None:
    events = [*journey(100, NOON, (0, "/"), city=2950159), *journey(200, NOON, (0, "/"))]
    answer = ask(events, NOON, dimensions=["visit:city"], order_by=[["visit:city", "desc"]])
    assert rows(answer) == [(2950159, 1), ("(not set)", 1)]
    assert rows(ask(events, NOON, filters=[["is", "visit:city", [2950159]]])) == [(1,)]


def test_percentage_is_of_all_visitors_with_the_same_filters() -> None:
    events = [event for n in range(8) for event in journey(100 * n + 100, NOON, (0, "/"), os="ab"[n % 2], device="x")]
    answer = ask(events, NOON, metrics=["percentage"], dimensions=["visit:os"], filters=[["is", "visit:device", ["x"]]])
    assert rows(answer) == [("a", 50.0), ("b", 50.0)]


@pytest.mark.parametrize(("keys", "passes"), [({"metrics": ["visitors"]}, 1), ({"metrics": ["bounce_rate"]}, 1)])
def test_totals_are_one_pass_over_the_events(keys, passes) -> None:
    plan = make(StatsSite(1, "UTC"), parse({"date_range": "day", **keys}), NOON, lambda: None)
    text = DuckStore(None).sql(statement.build(plan.resolve(plan.period, {}, {})))
    assert text.count("FROM event") == passes
    assert ("visit_id" in text) == (keys["metrics"] == ["bounce_rate"])


def test_visits_are_looked_for_no_further_than_they_reach() -> None:
    visit = journey(100, MIDNIGHT - 40 * MINUTE, (0, "/"), (20, "/a"), (45, "/b"))
    from tests.stats.made import filled

    store = filled([*visit, *journey(900, MIDNIGHT - 300 * MINUTE, (0, "/"))])
    ((first, last),) = store.fetch(statement.edge(1, MIDNIGHT))
    assert (periods.milliseconds(first), periods.milliseconds(last)) == (visit[0]["at"], visit[-1]["at"])
