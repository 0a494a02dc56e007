"""Writes the stores and the data folder of this version as text, once, when it is released: `python -m tests.released.make 0.1.0`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from haru.events.columns import NAMES
from haru.events.ledger import RefusalCount
from haru.store.protocol import Folding, Progress
from tests.released.stores import ENGINES, RELEASED, Loaded, place
from tests.stats.made import DAY, HOUR, MINUTE, journey, ms, stored

MAY, JUNE = ms("2026-05-20 12:00"), ms("2026-06-02 09:30")
SEARCH = {
    **{"source": "Google", "channel": "Organic Search", "referrer": "google.com", "country": "DE", "region": "DE-BE"},
    **{"city": 2950159, "device": "Mobile", "browser": "Firefox", "browser_version": "140", "os": "Android"},
    **{"os_version": "15", "screen": "412x915", "language": "de"},
}
MAIL = {
    **{"source": "news", "channel": "Email", "utm_source": "news", "utm_medium": "email", "click_id": "gclid"},
    **{"utm_campaign": 'spring "sale"', "utm_content": "a;b", "utm_term": "it's", "country": "FR", "language": "fr"},
    **{"browser": "Chrome", "os": "macOS"},
}
TOLD = {"site_id": 2, "hostname": "other.example"}
BOUGHT = {"props": '{"Größe":"M","plan":"a;\\n\'b\'"}', "revenue_currency": "EUR", "revenue_amount": "19.99"}
EVENTS = [
    *journey(1, MAY, (0, "/"), (2, "/pricing"), (3, "/pricing!signup"), (4, "/pricing~"), visitor_id=-7001, **SEARCH),
    *journey(11, MAY + HOUR, (0, "/blog/ü😀"), visitor_id=9_000_000_000_000_000_001, **MAIL),
    stored(21, MAY + 2 * HOUR, 21, name="purchase", path="/shop", visitor_id=42, **BOUGHT),
    *journey(22, MAY + 2 * HOUR, (1, "/shop~"), visitor_id=42, visit_id=21, engaged_ms=15_250, scroll_depth=80),
    *journey(23, MAY + 2 * HOUR, (2, "/shop!ping"), visitor_id=42, visit_id=21, interactive=False),
    *journey(31, MAY + 5 * HOUR, (0, "/pricing"), (1, "/"), visitor_id=-7001, **SEARCH | {"source": "", "channel": ""}),
    *journey(41, MAY, (0, "/other"), (29, "/other/late"), visitor_id=42, **TOLD),
    *journey(101, JUNE, (0, "/"), (1, "/docs"), visitor_id=501, **SEARCH),
    *journey(111, JUNE + DAY, (0, "/docs"), visitor_id=502, **MAIL),
    *journey(121, JUNE + DAY + MINUTE, (0, "/other"), visitor_id=503, **TOLD),
]
REFUSALS = [
    RefusalCount(1, MAY, "bot", "GPTBot", 3),
    RefusalCount(1, JUNE, "excluded_page", "", 1),
    RefusalCount(2, MAY, "bot", "it's; ü", 2),
    RefusalCount(0, MAY, "unknown_site", "", 7),
]
FOLDED = 100  # events of each engine that folds: the others wait


def main(version: str) -> None:
    folder = RELEASED / version
    folder.mkdir(parents=True)
    rows = [{name: event[name] for name in NAMES} for event in EVENTS]
    given = Loaded([tuple(row.values()) for row in rows], REFUSALS, Progress(121, {"0A1B2C3D4E5F6071": 9, "it's": 4}))
    refusals = [{name: getattr(refusal, name) for name in RefusalCount.__struct_fields__} for refusal in REFUSALS]
    kept: dict[str, Any] = {"rows": rows, "tallies": refusals, "progress": msgspec.to_builtins(given.progress)}
    (folder / "loaded.json").write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", "utf-8")
    for engine in ENGINES[:3]:
        with tempfile.TemporaryDirectory() as work, place(engine, Path(work)) as at:
            with closing(at.store()) as store:
                given.into(store)
                if isinstance(store, Folding):
                    store.fold(FOLDED)
            at.dump(folder)
    with tempfile.TemporaryDirectory() as work:
        environment = {**os.environ, "HARU_DATA_DIR": str(Path(work) / "data"), "HARU_CONFIG": os.devnull}
        program = [sys.executable, "-m", "tests.released.folder", str(folder)]
        subprocess.run(program, env=environment, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
