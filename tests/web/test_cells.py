from __future__ import annotations

from typing import Any

import pytest

from haru.accounts.models import ApiKey
from haru.live import Live
from haru.stats.answers import Reports, Row
from haru.web.api.cells import Cells
from haru.web.project import services
from tests.stats.made import DAY, filled, journey, ms

NOON = ms("2026-05-20 12:00")


@pytest.mark.parametrize(
    ("currency", "value", "short", "long"),
    [
        ("EUR", 0.0, "€0.0", "€0.00"),
        ("EUR", 112.0, "€112.0", "€112.00"),
        ("EUR", 950.0, "€950.0", "€950.00"),
        ("EUR", 999.96, "€1.0K", "€999.96"),
        ("EUR", 12_500.0, "€12.5K", "€12,500.00"),
        ("EUR", 999_960.0, "€1.0M", "€999,960.00"),
        ("USD", 166_733_566.75, "$166.7M", "$166,733,566.75"),
        ("USD", 2e15, "$2000.0T", "$2,000,000,000,000,000.00"),
        ("EUR", -12_500.0, "-€12.5K", "-€12,500.00"),
        ("JPY", 12_345.0, "¥12.3K", "¥12,345"),
        ("KWD", 1.5, "KWD\u00a01.5", "KWD\u00a01.500"),
        ("CHF", 5.0, "CHF\u00a05.0", "CHF\u00a05.00"),
    ],
)
def test_an_amount_has_its_texts(currency, value, short, long) -> None:
    amounts = [{"currency": currency, "value": value}]
    cell = Cells([Row((), (amounts,), ())]).value("total_revenue", amounts)
    assert cell == {"currency": currency, "value": value, "short": short, "long": long}


def paid(visit: int, at: int, currency: str, amount: str, **columns: Any) -> list[dict[str, Any]]:
    return journey(visit, at, (0, "/"), revenue_currency=currency, revenue_amount=amount, **columns)


@pytest.fixture
def asked(client, site, owner):
    """Asks for the revenue of these events, by the query or by an older read."""

    def ask(events: list[dict[str, Any]], read: str = "", **more: Any) -> Any:
        live = Live()
        reports = Reports(filled([{**event, "site_id": site.pk} for event in events]))
        services.use(
            services.Services(
                reports=reports,
                live=live,
                sites_changed=list,
                delete_events=lambda _: None,
                refusal_counts=lambda *_: [],
            )
        )
        headers = {"Authorization": f"Bearer {ApiKey.create(owner, 'test', ['stats:read'])[1]}"}
        if read:
            asked = {"site_id": "example.com", "metrics": "total_revenue", **more}
            return client.get(f"/api/v1/stats/{read}", asked, headers=headers).json()["results"]
        query = {"site_id": "example.com", "metrics": ["total_revenue", "average_revenue"], **more}
        query.setdefault("date_range", ["2026-05-20", "2026-05-20"])
        answer = client.post("/api/v2/query", query, content_type="application/json", headers=headers)
        return answer.json()["results"]

    yield ask
    services.use(None)


EURO_5 = {"currency": "EUR", "value": 5.0, "short": "€5.0", "long": "€5.00"}
EURO_1500 = {"currency": "EUR", "value": 1500.0, "short": "€1.5K", "long": "€1,500.00"}
DOLLAR_2 = {"currency": "USD", "value": 2.0, "short": "$2.0", "long": "$2.00"}


def test_revenue_in_one_currency_is_an_amount_and_none_is_null(asked) -> None:
    events = [
        *paid(100, NOON, "EUR", "5", source="a"),
        *paid(200, NOON, "EUR", "1500", source="b"),
        *journey(300, NOON, (0, "/"), source="c"),
    ]
    assert [row["metrics"] for row in asked(events, dimensions=["visit:source"])] == [
        [EURO_1500, EURO_1500],
        [EURO_5, EURO_5],
        [None, None],
    ]
    assert asked([])[0]["metrics"] == [None, None]


def test_revenue_in_several_currencies_is_a_list_in_every_row(asked) -> None:
    events = [
        *paid(100, NOON, "EUR", "5", source="a"),
        *paid(101, NOON, "USD", "2", source="a"),
        *paid(200, NOON, "EUR", "5", source="b"),
        *journey(300, NOON, (0, "/"), source="c"),
    ]
    rows = asked(events, metrics=["total_revenue"], dimensions=["visit:source"])
    assert [row["metrics"] for row in rows] == [[[EURO_5, DOLLAR_2]], [[EURO_5]], [None]]


def test_a_change_of_revenue_is_of_the_value_and_null_with_several_currencies(asked) -> None:
    compared = {"metrics": ["total_revenue"], "include": {"comparisons": {"mode": "previous_period"}}}
    euros = [*paid(100, NOON, "EUR", "1500"), *paid(200, NOON - DAY, "EUR", "5")]
    (row,) = asked(euros, **compared)
    assert (row["metrics"], row["comparison"]) == (
        [EURO_1500],
        {"metrics": [EURO_5], "dimensions": [], "change": [29_900]},
    )
    (row,) = asked([*euros, *paid(300, NOON - DAY, "USD", "2")], **compared)
    assert (row["metrics"], row["comparison"]) == (
        [[EURO_1500]],
        {"metrics": [[EURO_5, DOLLAR_2]], "dimensions": [], "change": [None]},
    )


def test_the_older_reads_have_the_same_amounts(asked) -> None:
    events = [*paid(100, NOON, "EUR", "5", source="a"), *journey(200, NOON - DAY, (0, "/"))]
    days = {"period": "custom", "date": "2026-05-19,2026-05-20"}
    assert asked(events, "aggregate", **days) == {"total_revenue": {"value": EURO_5}}
    assert asked(events, "timeseries", **days) == [
        {"date": "2026-05-19", "total_revenue": None},
        {"date": "2026-05-20", "total_revenue": EURO_5},
    ]
    assert asked(events, "breakdown", property="visit:source", **days)[0] == {"source": "a", "total_revenue": EURO_5}
