"""The closed list of reasons for which a request is not counted."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why a request is not counted. The list is closed: each has a counter, a test and a line in docs/metrics.md."""

    BOT = "bot"
    PREFETCH = "prefetch"
    SPAM_REFERRER = "spam_referrer"
    UNKNOWN_SITE = "unknown_site"
    RATE_LIMITED = "rate_limited"
    EXCLUDED_ADDRESS = "excluded_address"
    EXCLUDED_COUNTRY = "excluded_country"
    EXCLUDED_PAGE = "excluded_page"
    EXCLUDED_HOSTNAME = "excluded_hostname"
    OPTED_OUT = "opted_out"
    NO_VISIT_FOR_ENGAGEMENT = "no_visit_for_engagement"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    TOO_LARGE = "too_large"


class Refused(Exception):
    """A hit is not counted: the reason from the closed list for the sender a sentence, for the ledger a detail."""

    def __init__(self, reason: Refusal, sentence: str = "", detail: str = "") -> None:
        super().__init__(sentence or reason.value)
        self.reason = reason
        self.sentence = sentence
        self.detail = detail  # for the ledger: `haru.events.ledger.RefusalCount.detail`
