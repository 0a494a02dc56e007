from __future__ import annotations

from haru.clock import HOUR_MS
from haru.events.ledger import RefusalCount, merge


def test_counts_of_one_site_hour_reason_and_detail_are_added_up_and_others_stay_apart() -> None:
    one = RefusalCount(1, HOUR_MS, "bot", "Googlebot", 2)
    others = [
        RefusalCount(2, HOUR_MS, "bot", "Googlebot", 1),
        RefusalCount(1, 2 * HOUR_MS, "bot", "Googlebot", 1),
        RefusalCount(1, HOUR_MS, "spam", "Googlebot", 1),
        RefusalCount(1, HOUR_MS, "bot", "", 1),
    ]
    assert merge([one, *others, RefusalCount(1, HOUR_MS, "bot", "Googlebot", 3)]) == [
        RefusalCount(1, HOUR_MS, "bot", "Googlebot", 5),
        *others,
    ]
    assert merge([]) == []
