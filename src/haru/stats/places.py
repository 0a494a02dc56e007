"""Names of places. Regions and cities have none: collect keeps their codes, and no table of their names is at hand."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def countries() -> dict[str, str]:
    """ISO 3166-1 alpha-2 → the country's name in English; no two have the same."""
    return tomllib.loads((Path(__file__).parent / "countries.toml").read_text("utf-8"))


def country_name(code: str) -> str:
    """`DE` → Germany; a code without a name is shown as it is."""
    return countries().get(code, code)
