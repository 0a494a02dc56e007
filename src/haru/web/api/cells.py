"""Values as the API writes them: numbers, nulls, and amounts of revenue in the shape that Plausible's clients read."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from haru.stats.answers import Row
from haru.stats.vocabulary import metrics

# What English writes in place of a code, and which currencies do not have two decimals (ISO 4217).
_SIGNS = {
    **{"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "ILS": "₪", "VND": "₫", "PHP": "₱"},
    **{"AUD": "A$", "CAD": "CA$", "HKD": "HK$", "MXN": "MX$", "NZD": "NZ$", "TWD": "NT$", "BRL": "R$", "CNY": "CN¥"},
}
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"


class Cells:
    """Writes the values of one answer: whether it has one currency or several decides the shape of all its amounts."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """`rows` are those of the answer."""
        every = [row for pair in rows for row in (pair, pair.comparison) if row is not None]
        lists = [value for row in every for value in row.metrics if isinstance(value, list)]
        self._several = len({amount["currency"] for amounts in lists for amount in amounts}) > 1

    def value(self, metric: str, value: metrics.Value) -> Any:
        """A number, or null; an amount, or the list of amounts where the answer has several currencies."""
        if not isinstance(value, list):
            return metrics.written(metric, value)
        amounts = [amount(**each) for each in value]
        return amounts if self._several else amounts[0]

    def change(self, metric: str, value: metrics.Value, before: metrics.Value) -> metrics.Number | None:
        """How much a value changed; null for amounts where the answer has several currencies."""
        amounts = isinstance(value, list) or isinstance(before, list)
        return None if amounts and self._several else metrics.change(metric, value, before)


def amount(currency: str, value: float) -> dict[str, Any]:
    """An amount of money in the shape that Plausible's clients read."""
    exact = Decimal(str(value))
    mark = ("-" if exact < 0 else "") + _SIGNS.get(currency, f"{currency}\u00a0")
    decimals = 0 if currency in _NO_DECIMALS.split() else 3 if currency in _THREE_DECIMALS.split() else 2
    long = f"{mark}{abs(exact):,.{decimals}f}"
    return {"currency": currency, "value": value, "short": mark + _short(abs(exact)), "long": long}


def _short(value: Decimal) -> str:
    """With one decimal, from 1,000 on in thousands and so on: `112.0`, `12.5K`."""
    for letter in ("", "K", "M", "B"):
        if round(value, 1) < 1000:
            return f"{round(value, 1)}{letter}"
        value /= 1000
    return f"{round(value, 1)}T"
